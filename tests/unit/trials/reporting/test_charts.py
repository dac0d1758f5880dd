from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from sqlalchemy import Engine

from tests.browser.seed import LIMIT_MS, seed_database
from trials.analysis.histories import histories
from trials.reporting.charts import front as charts_front
from trials.reporting.charts.candidate import curves_figure, latency_figure
from trials.reporting.charts.front import front_figure, show_part
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.store.database.engine import open_engine
from trials.store.read.epochs import curves
from trials.store.read.points import Points, front, points
from trials.store.read.studies import list_studies, study_summary


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('charts') / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


def surely(engine: Engine) -> dict[int, float]:
    """Points as if all values were known exactly."""
    return dict.fromkeys(front(engine, "digits").numbers.tolist(), 1.0)


def by_name(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data if trace.name}


def test_the_front_has_intervals_limits_and_hollow_infeasible_points(engine: Engine) -> None:
    found = points(engine, "digits")
    figure = front_figure(found, study_summary(engine, "digits").limits, shares=surely(engine))
    traces = by_name(figure)
    best = front(engine, "digits")
    drawn = traces["Pareto front"]
    assert drawn.customdata.tolist() == best.numbers.tolist()
    assert drawn.error_x.array == pytest.approx(best.high[:, 1] - best.values[:, 1])
    assert drawn.error_x.arrayminus == pytest.approx(best.values[:, 1] - best.low[:, 1])
    assert drawn.error_y.arrayminus == pytest.approx(best.values[:, 0] - best.low[:, 0])
    assert traces["infeasible"].marker.symbol == "circle-open"
    assert [shape.x0 for shape in figure.layout.shapes] == [LIMIT_MS]
    everyone = np.concatenate([trace.customdata for trace in traces.values() if trace.customdata is not None])
    assert sorted(everyone.tolist()) == sorted(found.numbers.tolist())


def test_untrained_candidates_stand_in_a_strip_of_their_own(engine: Engine) -> None:
    found = points(engine, "digits")
    strip = by_name(front_figure(found, {}, shares=surely(engine)))["rejected before training"]
    assert set(strip.customdata.tolist()) == set(found.numbers[np.isnan(found.values[:, 0])].tolist())
    assert strip.yaxis == "y2"


def test_an_axis_has_the_scale_that_is_asked_for(engine: Engine) -> None:
    found = points(engine, "digits")

    def kinds(found: Points, scales: tuple[str, str]) -> tuple[str | None, str | None]:
        figure = front_figure(found, {}, shares=surely(engine), scales=scales)
        return figure.layout.yaxis.type, figure.layout.xaxis.type

    assert kinds(found, ("logarithmic", "logarithmic")) == ("log", "log")
    assert kinds(found, ("logarithmic", "linear")) == ("log", None)
    below = replace(found, values=-found.values)
    assert kinds(below, ("logarithmic", "logarithmic")) == (None, None)
    wide = replace(found, values=found.values ** np.array([1, 5]))
    assert kinds(wide, ("automatic", "automatic"))[1] == "log"
    assert kinds(wide, ("automatic", "linear"))[1] is None


def test_the_front_line_is_drawn_on_the_objectives_only(engine: Engine) -> None:
    def lines(metrics: list[str]) -> list[str]:
        figure = front_figure(points(engine, "digits", metrics), {}, shares=surely(engine))
        return [trace.line.shape for trace in figure.data if trace.mode == "lines"]

    assert lines(["accuracy", "latency_ms"]) == ["hv"]
    assert lines(["latency_ms", "accuracy"]) == ["vh"]
    assert lines(["accuracy", "parameters"]) == []


def test_a_crowd_of_dominated_candidates_is_thinned_and_the_front_is_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts_front, "MAX_DOTS", 4)
    traces = by_name(front_figure(points(engine, "digits"), {}, shares=surely(engine)))
    assert 1 <= len(traces["dominated"].x) <= 4
    assert len(traces["Pareto front"].x) == len(front(engine, "digits").numbers)


def test_a_place_that_is_not_sure_is_hollow(engine: Engine) -> None:
    found = points(engine, "digits")
    first, *others = front(engine, "digits").numbers.tolist()
    rival = int(found.numbers[(found.states == "complete") & ~found.on_front][0])
    traces = by_name(front_figure(found, {}, shares=dict.fromkeys(others, 1.0) | {first: 0.6, rival: 0.4}))
    assert traces["Pareto front"].customdata.tolist() == others
    assert traces["Pareto front, not sure"].customdata.tolist() == [first]
    assert traces["perhaps on the front"].customdata.tolist() == [rival]
    assert list(traces["perhaps on the front"].text) == ["0.40"]
    hollow = [name for name, trace in traces.items() if str(trace.marker.symbol).endswith("-open")]
    assert set(hollow) >= {"Pareto front, not sure", "perhaps on the front"}


def test_a_selected_candidate_is_ringed(engine: Engine) -> None:
    number = int(front(engine, "digits").numbers[0])
    traces = by_name(front_figure(points(engine, "digits"), {}, shares=surely(engine), selected=number))
    assert traces["selected"].customdata.tolist() == [number]


def test_the_comparison_is_the_mean_of_replicates(engine: Engine) -> None:
    names = ["digits", "digits-1", "digits-random", "digits-random-1"]
    runs = histories(engine, names)
    traces = by_name(comparison_figure(runs))
    assert set(traces) == {"search, mean and range of 2", "baseline, mean and range of 2"}
    ends = [run.hypervolume[-1] for run in runs]
    assert traces["search, mean and range of 2"].y[-1] == pytest.approx(np.mean(ends[:2]))
    assert traces["baseline, mean and range of 2"].y[-1] == pytest.approx(np.mean(ends[2:]))
    mean = traces["search, mean and range of 2"]
    assert (mean.x[0], mean.x[-1]) == (1, runs[0].last_number + 1)
    reached = np.stack([run.reached(mean.x - 1) for run in runs[:2]]).mean(axis=0)
    assert mean.y == pytest.approx(reached)
    assert all(one != other for one, other in zip(mean.y[:-2], mean.y[1:-1], strict=True)), "only changes are drawn"


def test_history_has_a_row_an_objective_and_the_hypervolume(engine: Engine) -> None:
    (run,) = histories(engine, ["digits"])
    figure = history_figure(run)
    titles = [axis.title.text for axis in figure.select_yaxes()]
    assert titles == ["Accuracy ↑", "Latency (ms) ↓", "Hypervolume ↑"]


def test_states_count_every_candidate(engine: Engine) -> None:
    rows = list_studies(engine)
    figure = states_figure(rows)
    assert sum(sum(trace.x) for trace in figure.data) == sum(sum(row.counts.values()) for row in rows)


def test_curves_have_a_panel_a_value_and_a_legend_for_several(engine: Engine) -> None:
    several = curves_figure(curves(engine, "digits", [0, 2, 3]))
    assert [axis.title.text for axis in several.select_yaxes()] == ["Train loss", "Accuracy"]
    assert sum(bool(trace.showlegend) for trace in several.data) == len(several.data) // 2
    alone = curves_figure(curves(engine, "digits", [0]), ["accuracy"])
    assert [trace.showlegend for trace in alone.data] == [False]


def test_the_slowest_runs_are_left_out_and_counted() -> None:
    times = np.concatenate([np.linspace(0.2, 0.3, 99), [9.0]])
    figure = latency_figure(times, times * 2, np.array([0.5]), (0.49, 0.5, 0.51))
    shown = sum(len(trace.x) for trace in figure.data if trace.name in ("candidate", "reference"))
    (note,) = figure.layout.annotations
    assert note.text == f"{200 - shown} slowest runs not shown"
    assert 0 < 200 - shown < 10


def test_an_axis_of_times_is_logarithmic_if_the_slowest_would_squeeze_the_front(engine: Engine) -> None:
    found = points(engine, "digits")

    def axes(slower: float) -> tuple[go.Figure, list[str | None]]:
        values = np.linspace([0.01, 1.0], [0.9, slower], len(found.numbers))
        figure = front_figure(replace(found, values=values), {"latency_ms": {"max": 2.0}}, shares=surely(engine))
        return figure, [figure.layout.yaxis.type, figure.layout.xaxis.type]

    assert axes(9.0)[1] == [None, None]
    figure, kinds = axes(11.0)
    assert kinds == [None, "log"]  # a score is not a time
    assert figure.layout.shapes[0].x0 == 2.0
    assert figure.layout.annotations[0].x == pytest.approx(np.log10(2.0))


def test_a_part_of_the_front_is_shown_on_linear_and_logarithmic_axes(engine: Engine) -> None:
    found = points(engine, "digits")
    for scale, expected in (("linear", (0.1, 0.3)), ("logarithmic", (-1.0, np.log10(0.3)))):
        figure = front_figure(found, {}, shares={}, scales=("linear", scale))
        show_part(figure, (0.1, 0.3), (0.9, None))
        assert figure.layout.xaxis.range == pytest.approx(expected)
        assert figure.layout.yaxis.range == (0.9, None)
    whole = front_figure(found, {}, shares={})
    show_part(whole, (None, None), (None, None))
    assert whole.layout.xaxis.range is None
