import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.latency.protocol.intervals import derive, reference_drift, statistic_of
from nas.latency.protocol.samples import Samples, Visit, burst_array

REFERENCE_MS = 0.1


def simulated(
    ratio: float, *, sessions: int, visits: int = 12, noise: float = 0.03, slow: float = 1.0, seed: int = 0
) -> Samples:
    """Samples in which both models are slowed by ``slow`` and, in each run, by exponential noise."""
    generator = np.random.default_rng(seed)

    def burst(time_ns: float) -> np.ndarray:
        times = (time_ns * slow * (1 + generator.exponential(noise, 10))).astype(np.int64)
        return burst_array(times.tolist(), times.tolist(), [0] * 10)

    reference_ns = REFERENCE_MS * 1e6
    return Samples(
        tuple(
            tuple(Visit(burst(reference_ns * ratio), burst(reference_ns)) for _ in range(visits))
            for _ in range(sessions)
        ),
        "process",
    )


@settings(max_examples=25, deadline=None)
@given(st.floats(0.3, 3), st.integers(1, 5), st.floats(1, 1.6), st.integers(0, 1000))
def test_the_interval_holds_the_latency_and_what_is_true(ratio: float, sessions: int, slow: float, seed: int) -> None:
    latency_ms, low_ms, high_ms = derive(simulated(ratio, sessions=sessions, slow=slow, seed=seed), REFERENCE_MS)
    assert low_ms < latency_ms < high_ms
    assert low_ms < ratio * REFERENCE_MS < high_ms


def test_noiseless_samples_still_have_an_interval_and_more_sessions_narrow_it() -> None:
    widths = [derive(simulated(1.5, sessions=count, noise=0.0), REFERENCE_MS).half_width for count in (1, 3, 6)]
    assert widths[0] > widths[1] > widths[2] > 0.002


def test_few_visits_of_a_disturbed_machine_are_compared_by_medians_else_minima() -> None:
    assert statistic_of(simulated(1, sessions=1), REFERENCE_MS) == "min_ratio"
    assert statistic_of(simulated(1, sessions=1, slow=1.4), REFERENCE_MS) == "median_ratio"
    assert statistic_of(simulated(1, sessions=3, slow=1.4), REFERENCE_MS) == "min_ratio"


def test_drift_widens_the_interval_up_to_a_bound() -> None:
    def width(slow: float) -> float:
        return derive(simulated(1, sessions=3, slow=slow), REFERENCE_MS).half_width

    assert width(1.0) < width(1.1) < width(1.25)
    assert width(8.0) == pytest.approx(width(4.0), rel=0.01)
    assert width(8.0) < 0.2
    assert reference_drift(simulated(1, sessions=1, slow=1.5), REFERENCE_MS, "min_ratio") == pytest.approx(
        np.log(1.5), abs=0.01
    )


def test_sessions_that_disagree_widen_the_interval() -> None:
    alike = simulated(1, sessions=4)
    other = Samples((*alike.sessions[:3], *simulated(0.8, sessions=1).sessions), "process")
    assert derive(other, REFERENCE_MS).half_width > 2 * derive(alike, REFERENCE_MS).half_width


def test_deriving_twice_gives_the_same_numbers() -> None:
    samples = simulated(1.2, sessions=3)
    assert derive(samples, REFERENCE_MS) == derive(Samples.from_bytes(samples.to_bytes()), REFERENCE_MS)
