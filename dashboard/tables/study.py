"""Tables about a study and its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dashboard.tables.candidate import plain
from nas.foreign import line
from trials.analysis.by_target import RankCorrelation
from trials.analysis.gaps import gaps
from trials.analysis.predictions import PredictionError
from trials.analysis.rungs import RungCorrelation
from trials.reporting.comparison import Comparison
from trials.reporting.labels import dominated_by, interval, label, title, unit
from trials.reporting.study import StudyView
from trials.store.read.candidate import ExportInfo
from trials.store.read.candidates import CandidateRow
from trials.store.records import Remark


def candidates_table(rows: Sequence[CandidateRow], metrics: Sequence[str], shares: Mapping[int, float]) -> pd.DataFrame:
    """Return one row per trial: number, state, unrounded metrics, probability of the front, costs, why it ended."""
    lines = [
        {
            "Trial": row.number,
            **({"Network": "original" if row.original else ""} if any(other.original for other in rows) else {}),
            "State": row.state,
            **{
                _head(metric): row.metrics[metric].value if metric in row.metrics else None
                for metric in metrics
                if metric not in ("parameters", "macs")
            },
            "On the front": shares.get(row.number),
            "Parameters": row.parameters,
            "MACs": row.macs,
            **(_speedup(row) if any(other.speedups for other in rows) else {}),
            "Reason": line(row.reason or ""),
            **(_remark(row) if any(other.remark != Remark() for other in rows) else {}),
        }
        for row in rows
    ]
    return pd.DataFrame(lines)


def listing_table(study: StudyView, numbers: NDArray[np.int64]) -> pd.DataFrame:
    """Return trials to take away: number, state, metrics with the ends of their intervals, probability of the front."""
    names = list(dict.fromkeys([*study.shown_metrics, "parameters", "macs"]))
    known, states, cells = study.columns(names)
    places = np.searchsorted(known, numbers)
    table = pd.DataFrame({"trial": numbers, "state": states[places]})
    for name, column in zip(names, cells, strict=True):
        table[name] = column[places, 0]
        if np.isfinite(column[:, 1]).any():
            table[f"{name}_low"], table[f"{name}_high"] = column[places, 1], column[places, 2]
    table["on_front"] = table["trial"].map(study.shares)
    if found := study.remarks:
        table["tags"] = [", ".join(found[number].tags) if number in found else "" for number in numbers.tolist()]
        table["note"] = [found[number].note if number in found else "" for number in numbers.tolist()]
    return table


def _remark(row: CandidateRow) -> dict[str, str]:
    return {"Tags": line(", ".join(row.remark.tags)), "Note": line(row.remark.note)}


def _speedup(row: CandidateRow) -> dict[str, Any]:
    """Return the speed-up over the dense twin on each target, and warnings."""
    several = len(row.speedups) > 1
    speedups = {f"Speed-up at {item.target}" if several else "Speed-up": item.speedup for item in row.speedups}
    return {**(speedups or {"Speed-up": None}), "Beware": ", ".join(row.flags)}


def exported_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per exported network, from the JSON of ``nas export``: the verdict first, without its folder."""
    kept = [{"verification": row.get("verification"), **row} for row in rows]
    return pd.DataFrame([{name: plain(value) for name, value in row.items() if name != "folder"} for row in kept])


def imported_table(study: StudyView) -> pd.DataFrame:
    """Return one row per imported network: objectives with intervals, costs, and the trials that dominate it."""
    metrics = list(dict.fromkeys([*study.row.objectives, "parameters", "macs", "size_bytes"]))
    return pd.DataFrame(
        [
            {
                "Network": line(item.name),
                "Dominated by": dominated_by(study.better_than(item)),
                **{
                    title(name): interval(name, value.value, value.low, value.high)
                    for name in metrics
                    if (value := item.metrics.get(name)) is not None
                },
                "Notes": line("; ".join(item.notes)),
            }
            for item in study.imported
        ]
    )


def comparison_table(name: str, compared: Comparison) -> pd.DataFrame:
    """Return one row per network: each that the study ``name`` found, followed by those it is compared with."""
    lines = []
    for row in compared.rows:
        what = f"Trial {row.candidate.number}, found" if row.study == name else f"\N{EM SPACE}{row.what}"
        cells: dict[str, Any] = {}
        for metric in compared.metrics:
            value = row.value(metric)
            cells[_head(metric)] = value and value.value
            if value and value.low is not None and value.high is not None:
                cells[f"{title(metric)}, 95 %"] = f"{value.low:.4g} to {value.high:.4g}"
        own = {"Network": what, **_speedup(row.candidate), **cells, "From": f"{row.study} {row.candidate.number}"}
        lines.append(own if row.candidate.state == "complete" else own | {"State": row.candidate.state})
    return pd.DataFrame(lines)


def ranks_table(found: Sequence[RankCorrelation]) -> pd.DataFrame:
    """Return Kendall's tau of every pair of targets as a matrix."""
    names = list(dict.fromkeys(name for item in found for name in (item.first, item.second)))
    table = pd.DataFrame(1.0, index=pd.Index(names, name="Target"), columns=names)
    for item in found:
        for row, column in ((item.first, item.second), (item.second, item.first)):
            table.loc[row, column] = np.nan if item.tau is None else item.tau
    return table.reset_index()


def predictions_table(found: Sequence[PredictionError]) -> pd.DataFrame:
    """Return one row per target: how well the strategy predicted latencies; shares in percent."""
    return pd.DataFrame(
        [
            {
                "Target": item.target,
                "Candidates": item.count,
                "Median relative error": 100 * item.median_relative_error,
                "Rank correlation": item.spearman,
                "In the 95 % interval": 100 * item.share_in_interval,
            }
            for item in found
        ]
    )


def rungs_table(found: Sequence[RungCorrelation]) -> pd.DataFrame:
    """Return one row per score at a rung: its rank correlation with the score at the end."""
    return pd.DataFrame(
        [
            {
                "Score": title(item.metric),
                "After epochs": item.epochs,
                "Of epochs": item.of,
                "Rank correlation": item.spearman,
                "Trials": item.count,
            }
            for item in found
        ]
    )


def gaps_table(exported: Sequence[ExportInfo]) -> pd.DataFrame:
    """Return one row per metric of each exported candidate: validation, test, and their difference."""
    return pd.DataFrame(
        [
            {
                "Trial": item.number,
                "Metric": title(gap.metric),
                **{
                    head: interval(gap.metric, value.value, value.low, value.high)
                    for head, value in (
                        ("Validation", gap.validation),
                        ("Test", gap.test),
                        ("Validation − test", gap.difference),
                    )
                },
            }
            for item in exported
            for gap in gaps(item.scores)
        ]
    )


def bytes_metrics(metrics: Sequence[str]) -> list[str]:
    """Return the metrics that count bytes; each of their cells shows its own unit, KB or MB."""
    return [metric for metric in metrics if unit(metric) == "B"]


def _head(metric: str) -> str:
    return title(metric) if bytes_metrics([metric]) else label(metric)
