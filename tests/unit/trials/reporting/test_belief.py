from __future__ import annotations

from dataclasses import replace

from tests.unit.trials.analysis.test_measurements import GATE, again
from trials.plans.plan import MeasurePlan
from trials.reporting.belief import belief
from trials.store.read.candidates import Value

PLAN = MeasurePlan(precision=0.05, max_drift=0.1)
CANARY = {"rung": "none", "drift": 0.3, "throttled": 0.0, "warnings": []}


def test_latencies_that_agree_with_repeats_can_be_believed() -> None:
    assert belief([GATE, again(1.01)], PLAN) == (
        "The latencies can be believed",
        "1 of 1 repeats agree with the first measurement (median difference 1.0%)",
    )


def test_repeats_that_disagree_and_slow_targets_make_them_doubtful() -> None:
    words, reasons = belief([replace(GATE, health=CANARY), again(1.5)], PLAN)
    assert words == "The latencies are doubtful"
    assert reasons.startswith("local: it is 30% slower than when it was calibrated; only 0 of 1 repeats agree")


def test_disturbances_and_wide_intervals_are_named() -> None:
    busy = replace(GATE, disturbed_by=("others kept the core busy",), recorded=Value(1.0, 0.8, 1.2))
    assert belief([busy], PLAN) == (
        "Nothing speaks against the latencies",
        "but no file was measured twice; 1 of 1 measurements were disturbed by other work on the machine; "
        "1 interval is wider than the plan asks for",
    )
