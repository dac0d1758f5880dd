from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboard.tables.measurements import health_table, repeats_table, trial_address
from tests.browser.seed import seed_database
from tests.browser.seed_measurements import AGAIN, DISTURBED, seed_measurements
from tests.browser.seed_targets import seed_targets
from trials.analysis.measurements import (
    agreement,
    canaries,
    disturbed,
    half_width,
    measure_plan,
    overlap,
    repeats,
    wide,
)
from trials.reporting.charts.measurements import drift_figure, repeats_figure
from trials.store.database.engine import open_engine
from trials.store.read.candidates import Value
from trials.store.read.measurements import Measured, measurements

START = datetime(2026, 3, 2, tzinfo=UTC)
GATE = Measured(
    number=0, target="local", purpose="gate", latency=Value(1.0, 0.98, 1.02), recorded=Value(1.0, 0.98, 1.02),
    structure_hash="a", trust="good", reused=False, rejected=False, health={}, disturbed_by=(), created_at=START,
)  # fmt: skip


def again(value: float, **changes: object) -> Measured:
    latency = Value(value, 0.98 * value, 1.02 * value)
    return replace(GATE, **{"purpose": "remeasure", "latency": latency, **changes})


def test_the_newest_measurements_are_read_with_recorded_latency_and_conditions(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(engine)
    seed_targets(engine)
    seed_measurements(engine)
    found = measurements(engine, "pair")
    newest = measurements(engine, "pair", limit=2)
    engine.dispose()
    assert {item.number for item in repeats(found.rows)} == set(AGAIN)
    assert [row.number for row in disturbed(found.rows)] == [DISTURBED]
    assert found.trust == {"local": {"good": 11, "unverified": 4}}
    assert all(row.recorded == row.latency for row in found.rows if row.purpose == "gate")
    assert newest.rows == found.rows[-2:]
    assert newest.trust == found.trust


def test_measurements_in_a_row_share_a_canary() -> None:
    rows = [
        replace(
            GATE, health={"drift": drift, "warnings": []}, created_at=START + timedelta(minutes=place), reused=copied
        )
        for place, (drift, copied) in enumerate([(0.0, False), (0.0, False), (0.3, True), (0.2, False)])
    ]
    found = canaries([*rows, replace(GATE, target="phone", health={"drift": -0.05}), GATE])
    assert [(item.target, item.health.drift, item.count) for item in found] == [
        ("local", 0.0, 2),
        ("local", 0.2, 1),
        ("phone", -0.05, 1),
    ]
    assert found[1].at == START + timedelta(minutes=3)
    table = health_table(found, {"local": {"good": 3}}, ["local", "phone", "pi"], 0.1)
    assert list(table["Last canary"]) == [
        "it is 20% slower than when it was calibrated", "as calibrated", "none recorded",
    ]  # fmt: skip
    assert list(table["Good"]) == [3, 0, 0]
    assert [len(trace.x) for trace in drift_figure(found, 0.1).data] == [2, 1]


def test_only_independent_measurements_of_one_file_are_repeats() -> None:
    rows = [GATE, again(1.01), again(2.0, structure_hash="b"), again(3.0, reused=True)]
    rows += [again(4.0, trust="quarantined"), again(5.0, purpose="twin"), again(6.0, target="phone"), again(1.5)]
    (found,) = repeats(rows)
    assert [each.latency.value for each in found.again] == [1.01, 1.5]
    assert (found.overlapping, found.pooled) == (1, True)
    (audited,) = repeats([GATE, again(1.01, purpose="audit")])
    assert not audited.pooled
    agreed = agreement([found, audited])
    assert agreed is not None
    assert (agreed.count, agreed.overlapping) == (3, pytest.approx(2 / 3))
    assert agreement([]) is None
    assert list(repeats_table("s", [found])["Overlapping"]) == ["1 of 2"]
    gate, repeated = repeats_figure([found]).data
    assert list(gate.x) == [1.0]
    assert list(repeated.error_x.array) == pytest.approx([0.0202, 0.03])


def test_intervals_overlap_if_they_share_a_point() -> None:
    assert overlap(Value(1.0, 0.9, 1.1), Value(1.2, 1.1, 1.3))
    assert not overlap(Value(1.0, 0.9, 1.1), Value(1.2))
    assert half_width(Value(2.0, 1.9, 2.3)) == pytest.approx(0.1)


def test_wide_intervals_are_the_recorded_ones_without_early_rejections() -> None:
    wider = Value(1.0, 0.9, 1.1)
    rows = [
        replace(GATE, number=1, recorded=wider),
        replace(GATE, number=1, recorded=wider, purpose="remeasure"),
        replace(GATE, number=2, recorded=wider, rejected=True),
        replace(GATE, number=3),
        replace(GATE, number=4, recorded=Value(1.0, 0.8, 1.2)),
    ]
    assert [row.number for row in wide(rows, 0.05)] == [4, 1]


def test_a_plan_without_settings_has_the_default_ones() -> None:
    assert measure_plan({}).max_drift == 0.1
    assert measure_plan({"measure": {"precision": 0.05}}).precision == 0.05


def test_the_address_of_a_trial_holds_any_name() -> None:
    assert trial_address("a&b=c#d /x", 3) == "trial?study=a%26b%3Dc%23d+%2Fx&trial=3"


def test_a_trial_whose_first_measurement_was_not_read_is_left_out() -> None:
    assert repeats([again(1.1), again(1.2)]) == []
    assert len(repeats([GATE, again(1.1)])) == 1
