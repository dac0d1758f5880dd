import pytest

from nas.latency.protocol.samples import Samples, Visit, burst_array
from nas.latency.protocol.summary import disturbances, times_of


def samples(wall_us: list[int], process_us: list[int], preemptions: list[int]) -> Samples:
    burst = burst_array([1000 * x for x in wall_us], [1000 * x for x in process_us], preemptions)
    return Samples(((Visit(burst, burst),),), "process")


def test_usual_statistics_leave_pre_empted_runs_out_while_there_are_others() -> None:
    walls = [*range(1, 11), 900]
    found = times_of(samples(walls, walls, [0] * 10 + [1]))
    assert found.p50_ms == pytest.approx(0.0055)
    assert found.min_ms == pytest.approx(0.001)
    assert found.trimmed_mean_ms == pytest.approx(0.0055)
    assert found.p90_ms == pytest.approx(0.0091)
    assert times_of(samples([4], [4], [1])).p50_ms == pytest.approx(0.004)


def test_a_free_core_shows_nothing_and_a_shared_one_does() -> None:
    assert disturbances(samples([10] * 10, [10] * 10, [0] * 9 + [1])) == []
    assert disturbances(samples([10] * 10, [10] * 10, [1] * 3 + [0] * 7)) == ["30% of the runs were pre-empted"]
    waited = disturbances(samples([20] * 10, [10] * 10, [0] * 10))
    assert waited == ["runs waited for the processor 50% of their time"]
