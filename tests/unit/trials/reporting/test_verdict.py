from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from trials.analysis.histories import History
from trials.reporting.verdict import verdict
from trials.store.read.studies import StudyRow

ROW = StudyRow(1, "s", "s", "search", "complete", 0, "nsga2", datetime(2026, 1, 1, tzinfo=UTC), None, {}, {}, {})
RANDOM = replace(ROW, name="r", role="baseline", strategy="random")


def run(role: str, *volumes: float, last: int = 9) -> History:
    numbers = np.arange(len(volumes))
    none = np.empty((len(volumes), 0))
    return History("s", role, (), (), numbers, none, none, np.array(volumes), last)


def test_one_run_each() -> None:
    text = verdict([ROW, RANDOM], [run("search", 0.5, 0.906), run("baseline", 0.973)])
    assert text == "The search is behind its random baseline: hypervolume 0.906 against 0.973, one run each."
    assert "is level with its" in verdict([ROW, RANDOM], [run("search", 0.5), run("baseline", 0.5001)])


def test_several_runs_are_averaged_and_their_spread_is_told() -> None:
    group = [ROW, ROW, RANDOM]
    text = verdict(group, [run("search", 0.9), run("search", 0.8), run("baseline", 0.7)])
    assert text == (
        "The search is ahead of its random baseline: hypervolume 0.850 against 0.700 on average of 2 and 1 runs "
        "(0.800 to 0.900 against 0.700 to 0.700)."
    )


def test_studies_that_go_on_are_compared_at_an_equal_number_of_trials() -> None:
    group = [replace(ROW, state="running"), RANDOM]
    text = verdict(group, [run("search", 0.1, 0.3, last=1), run("baseline", 0.1, 0.2, 0.9)])
    assert text == (
        "After 2 trials each, the search is ahead of its random baseline: "
        "hypervolume 0.300 against 0.200, one run each."
    )


def test_there_is_none_before_both_found_something() -> None:
    assert verdict([ROW, RANDOM], [run("search", 0.1), run("baseline")]) == ""
    assert verdict([ROW], [run("search", 0.1)]) == ""
