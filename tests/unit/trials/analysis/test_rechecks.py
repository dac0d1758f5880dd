from __future__ import annotations

import numpy as np
import pytest

from trials.analysis.rechecks import LayerChange, Recheck, Rechecked, changed_front, slower_layers
from trials.store.read.points import Points


def points(values: list[tuple[float, float]]) -> Points:
    array = np.array(values)
    return Points(
        study="s",
        role="search",
        metrics=("accuracy", "latency_ms"),
        directions=("maximize", "minimize"),
        objectives=("accuracy", "latency_ms"),
        numbers=np.arange(len(values)),
        states=np.array(["complete"] * len(values)),
        values=array,
        low=array,
        high=array,
        on_front=np.ones(len(values), dtype=np.bool_),
    )


@pytest.mark.parametrize(
    ("low", "high", "change"),
    [(1.03, 1.2, "slower"), (0.8, 0.97, "faster"), (0.9, 1.1, "equal"), (1.01, 1.019, "equal"), (0.99, 2.0, "equal")],
)
def test_only_a_certain_change_counts(low: float, high: float, change: str) -> None:
    assert Rechecked(0, (low + high) / 2, low, high).change == change


def test_a_slower_network_leaves_the_front_and_another_enters() -> None:
    found = points([(0.9, 1.0), (0.89, 1.1), (0.5, 0.2)])
    assert changed_front(found, [1], {0: 1.0, 1: 1.0, 2: 1.0}) == ([], [])
    assert changed_front(found, [1], {0: 1.5, 1: 1.0, 2: 1.0}) == ([1], [])
    assert changed_front(found, [1], {0: 1.0, 1: 1.0, 2: 9.0}) == ([], [2])
    assert changed_front(found, [], {0: 1.5, 1: 1.0, 2: 9.0}) == ([], []), "latency is no objective"
    assert changed_front(found, [1], {0: 1.5, 2: 1.0}) == ([], []), "trial 1 has no file"


def nodes(**times: float) -> list[dict[str, object]]:
    return [{"layer": None if name == "own" else name, "op": "Conv", "time_ms": time} for name, time in times.items()]


def test_layers_that_got_slower_are_named() -> None:
    found = slower_layers(
        nodes(stem=1.0, stage1=2.0, head=0.01, own=0.0), nodes(stem=1.05, stage1=3.0, head=0.02, own=0.5)
    )
    assert found == (
        LayerChange("stage1", "Conv", 2.0, 3.0),
        LayerChange("the runtime's own", "Conv", 0.0, 0.5),
    )


def test_the_verdict_says_who_is_slower_and_who_leaves() -> None:
    trials = [
        Rechecked(0, 1.3, 1.2, 1.4, (LayerChange("stem", "Conv", 1.0, 2.0),)),
        Rechecked(3, 1.1, 1.05, 1.2),
        Rechecked(4, 1.0, 0.99, 1.01),
    ]
    found = Recheck("local", "onnxruntime 2", "onnxruntime 3", "/python", trials, [3, 4], [0])
    assert found.verdict == (
        "onnxruntime 3 against onnxruntime 2 on local: 2 of 3 slower (ratio 1.100 to 1.300), 1 of 3 equally fast "
        "(ratio 1.000). The front changes: trials 3, 4 enter; trial 0 leaves."
    )
    assert Recheck.from_json(found.to_json()) == found
