"""Scores of runs as rows of a table, as CSV, and as curves."""

from __future__ import annotations

import csv
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from search_parts.runs import Run

COLOURS = ("#2f80c2", "#d55e00", "#009e73", "#8a8f98", "#cc79a7", "#e69f00", "#222222")
#: Shares of the best hypervolume of which the table says when they are reached.
TARGETS = (0.9, 0.95)


def rows(runs: Sequence[Run], marks: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each strategy: mean and standard deviation of its scores over problems and seeds."""
    found = []
    for strategy, own in _by_strategy(runs).items():
        row: dict[str, Any] = {"strategy": strategy, "runs": len(own)}
        for mark in marks:
            shares = [item.shares[mark - 1] for item in own if len(item.shares) >= mark]
            row[str(mark)] = None
            if shares:
                row[str(mark)] = [statistics.fmean(shares), statistics.stdev(shares) if len(shares) > 1 else 0.0]
        for target in TARGETS:
            needed = [next((n + 1 for n, share in enumerate(item.shares) if share >= target), None) for item in own]
            reached = sorted(n for n in needed if n is not None)
            enough = len(reached) > len(own) / 2
            row[f"median to {target}"] = reached[len(own) // 2] if enough else None
        row["ms per suggestion"] = 1e3 * statistics.median(second for item in own for second in item.suggestion_s)
        found.append(row)
    return found


def written(runs: Iterable[Run], path: Path) -> Iterator[Run]:
    """Write each run to a CSV file as soon as it ends, and yield it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["strategy", "problem", "seed", "trained", "share"])
        for item in runs:
            places = enumerate(item.shares, start=1)
            writer.writerows([item.strategy, item.problem, item.seed, place, f"{share:.5f}"] for place, share in places)
            file.flush()
            yield item


def draw(runs: Sequence[Run], folder: Path) -> None:
    """Write curves of mean and standard deviation to ``curves.html``, and to ``curves.svg`` if matplotlib is there."""
    curves = {strategy: _curve(own) for strategy, own in _by_strategy(runs).items()}
    figure = go.Figure()
    for place, (strategy, (trained, mean, spread)) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        band = np.concatenate([mean + spread, (mean - spread)[::-1]])
        figure.add_scatter(x=trained, y=mean, name=strategy, line={"color": colour, "width": 2})
        figure.add_scatter(
            x=np.concatenate([trained, trained[::-1]]),
            y=band,
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            showlegend=False,
            hoverinfo="skip",
        )
    figure.update_xaxes(title="trained networks", type="log")
    figure.update_yaxes(title="share of the best hypervolume")
    figure.write_html(folder / "curves.html")
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        print("curves.svg was not written, because matplotlib is not installed", file=sys.stderr)
        return
    with mpl.rc_context({"backend": "svg", "svg.fonttype": "none", "svg.hashsalt": "curves", "font.size": 10}):
        _draw_svg(curves, folder / "curves.svg")


Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _draw_svg(curves: dict[str, Curve], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for place, (strategy, (trained, mean, spread)) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(trained, mean, color=colour, label=strategy)
        axes.fill_between(trained, mean - spread, mean + spread, color=colour, alpha=0.08, linewidth=0)
    axes.set(xscale="log", xlabel="trained networks", ylabel="share of the best hypervolume", ylim=(0.5, 1.0))
    axes.set_xticks(ticks := [10, 20, 50, 100, 200, 500], [str(tick) for tick in ticks])
    axes.set_xlim(10, max(trained[-1] for trained, _, _ in curves.values()))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)
    figure.savefig(path, metadata={"Date": None})


def _curve(runs: Sequence[Run]) -> Curve:
    """Numbers of trained networks, spaced evenly on a logarithmic axis, with mean and deviation of the shares there."""
    last = min(len(item.shares) for item in runs)
    trained = np.unique(np.geomspace(1, last, 120).round().astype(int))
    table = np.array([item.shares[:last] for item in runs])[:, trained - 1]
    return trained.astype(np.float64), table.mean(axis=0), table.std(axis=0)


def _by_strategy(runs: Sequence[Run]) -> dict[str, list[Run]]:
    names = dict.fromkeys(item.strategy for item in runs)
    return {name: [item for item in runs if item.strategy == name] for name in names}
