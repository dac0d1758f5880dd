import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas.errors import MeasureError
from nas.latency.protocol.intervals import Derived, derive
from nas.latency.protocol.measure import LOADS, LOADS_S, REPORT, SCREEN, Bench, Effort, measure
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.protocol.samples import Samples
from nas.latency.runtimes import Burst, Session, SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime

QUICK = Effort(sessions=3, max_sessions=4, visits=3, precision=0.5, budget_s=5)
REFERENCES = {"r0": 0.01, "r2": 0.04, "r4": 0.16}


class Simulated(Session):
    """A model with an exactly known time on a machine without noise; it counts the open sessions."""

    opened = 0

    def __init__(self, time_ms: float) -> None:
        self.time_ns = round(time_ms * 1e6)
        Simulated.opened += 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1,)

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return inputs

    def burst(self, runs: int) -> Burst:
        return Burst((self.time_ns,) * runs, (self.time_ns,) * runs, (0,) * runs)

    def peak_memory_bytes(self) -> int | None:
        return 1000

    def close(self) -> None:
        Simulated.opened -= 1


@contextmanager
def no_wait() -> Iterator[float]:
    yield 0.0


def simulated_bench(time_ms: float, slow: float = 1.0) -> Bench:
    return Bench(
        open_candidate=lambda: Simulated(time_ms * slow),
        open_reference=lambda rung: Simulated(REFERENCES[rung] * slow),
        rungs=REFERENCES,
        reference_ms=REFERENCES.__getitem__,
        exclusive=no_wait,
    )


@pytest.mark.parametrize("slow", [1.0, 1.7])
@pytest.mark.parametrize(("time_ms", "rung"), [(0.005, "r0"), (0.03, "r2"), (0.07, "r2"), (0.09, "r4"), (5, "r4")])
def test_latency_and_rung_do_not_depend_on_how_slow_the_machine_is_now(time_ms: float, rung: str, slow: float) -> None:
    latency = measure(simulated_bench(time_ms, slow), QUICK)
    assert latency.latency_ms == pytest.approx(time_ms, rel=1e-3)
    assert latency.conditions["rung"] == rung
    assert Simulated.opened == 0


def test_a_number_can_be_derived_again_from_the_blob_alone() -> None:
    latency = measure(simulated_bench(0.1), QUICK)
    again = derive(Samples.from_bytes(latency.samples), latency.conditions["reference_ms"])
    assert again == (latency.latency_ms, latency.low_ms, latency.high_ms)


def test_load_times_are_those_of_enough_fresh_sessions() -> None:
    def slowly() -> Session:
        time.sleep(0.002)
        return Simulated(0.1)

    for effort in (SCREEN, QUICK):
        conditions = measure(replace(simulated_bench(0.1), open_candidate=slowly), effort).conditions
        assert len(conditions["loads_ms"]) == LOADS
        assert conditions["load_ms"] == pytest.approx(np.median(conditions["loads_ms"]))
        assert min(conditions["loads_ms"]) >= 2
    assert Simulated.opened == 0


def test_a_model_that_opens_slowly_is_not_opened_for_its_load_time_alone() -> None:
    opened = []

    def slowly() -> Session:
        opened.append(1)
        time.sleep(LOADS_S)
        return Simulated(0.1)

    measure(replace(simulated_bench(0.1), open_candidate=slowly), SCREEN)
    assert len(opened) == 1


def test_surely_over_the_limit_stops_after_one_session() -> None:
    progress: list[Derived] = []
    latency = measure(simulated_bench(0.2), QUICK, reject_above_ms=0.1, on_progress=progress.append)
    assert latency.rejected
    assert latency.conditions["sessions"] == len(progress) == 1
    assert latency.low_ms > 0.1


@pytest.mark.parametrize("limit_ms", [0.199, 0.3, None])
def test_near_or_under_the_limit_goes_on_to_the_full_effort(limit_ms: float | None) -> None:
    latency = measure(simulated_bench(0.2), QUICK, reject_above_ms=limit_ms)
    assert not latency.rejected
    assert latency.conditions["sessions"] == 3


def test_more_sessions_until_precise_or_the_most() -> None:
    def sessions(precision: float, most: int) -> int:
        effort = replace(QUICK, precision=precision, max_sessions=most)
        return int(measure(simulated_bench(0.2), effort).conditions["sessions"])

    assert sessions(1e-9, 5) == 5
    assert sessions(0.0055, 9) == 5


def test_the_budget_ends_a_measurement() -> None:
    effort = replace(QUICK, precision=1e-9, max_sessions=1000, budget_s=0.3)
    latency = measure(simulated_bench(0.2), effort)
    assert 3 <= latency.conditions["sessions"] < 1000
    screened = measure(simulated_bench(0.2), replace(SCREEN, visits=10**6, budget_s=0.05))
    assert screened.conditions["bursts"] < 10**6


def test_a_candidate_that_fails_leaves_nothing_open() -> None:
    def broken(rung: str) -> Session:
        raise MeasureError("no such rung")

    with pytest.raises(MeasureError, match="no such rung"):
        measure(replace(simulated_bench(0.1), open_reference=broken), QUICK)
    assert Simulated.opened == 0


def test_impossible_efforts_are_refused() -> None:
    with pytest.raises(MeasureError, match="1 ≤ sessions ≤ max_sessions"):
        replace(QUICK, sessions=5)
    with pytest.raises(MeasureError, match="must be positive"):
        REPORT.within(precision=0, budget_s=1)


def test_the_same_protocol_on_a_real_runtime(tmp_path: Path) -> None:
    for rung in LADDER[:3]:
        write_reference(rung, tmp_path / rung.name)
    runtime = OnnxRuntime()
    bench = Bench(
        open_candidate=lambda: runtime.open(tmp_path / "r1", SessionOptions()),
        open_reference=lambda rung: runtime.open(tmp_path / rung, SessionOptions()),
        rungs={"r0": 0.01, "r2": 0.04},
        reference_ms={"r0": 0.01, "r2": 0.04}.__getitem__,
        exclusive=no_wait,
    )
    latency = measure(bench, QUICK)
    assert 0 < latency.low_ms < latency.latency_ms < latency.high_ms
    assert latency.statistic == latency.conditions["statistic"] == "min_ratio"
    assert Samples.from_bytes(latency.samples).num_runs == latency.conditions["runs"]
