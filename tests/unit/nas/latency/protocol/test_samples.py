import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import MeasureError
from nas.latency.protocol.samples import Samples, Visit, burst_array

times = st.integers(1, 10**10)
burst = st.lists(st.tuples(times, times, st.integers(0, 3)), min_size=1, max_size=6).map(
    lambda runs: np.array(runs, dtype=np.int64).T
)
visit = st.builds(Visit, burst, burst)
samples = st.builds(
    Samples,
    st.lists(st.lists(visit, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4).map(tuple),
    st.sampled_from(["process", "wall"]),
)


@settings(deadline=None, max_examples=50)
@given(samples)
def test_bytes_give_back_every_run(original: Samples) -> None:
    again = Samples.from_bytes(original.to_bytes())
    assert again.clock == original.clock
    assert [len(session) for session in again.sessions] == [len(session) for session in original.sessions]
    for session, session_again in zip(original.sessions, again.sessions, strict=True):
        for first, second in zip(session, session_again, strict=True):
            np.testing.assert_array_equal(first.candidate, second.candidate)
            np.testing.assert_array_equal(first.reference, second.reference)


@pytest.mark.parametrize("blob", [b"", b"nonsense", b"PK\x03\x04 broken", pickle.dumps([1])])
def test_other_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(MeasureError, match="not samples"):
        Samples.from_bytes(blob)


def test_pickled_objects_are_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, clock=np.array("process"), index=np.array([{"a": 1}], dtype=object), runs=np.empty((3, 0)))
    with pytest.raises(MeasureError, match="not samples"):
        Samples.from_bytes(buffer.getvalue())


def test_an_index_that_does_not_fit_the_runs_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, clock=np.array("process"), index=np.array([[0, 2, 2]]), runs=np.ones((3, 3), np.int64))
    with pytest.raises(MeasureError, match="index of 4 runs, 3 runs"):
        Samples.from_bytes(buffer.getvalue())


def test_preempted_runs_do_not_count() -> None:
    candidate = burst_array([90, 40, 80], [70, 30, 60], [0, 1, 0])
    one = Samples(((Visit(candidate, burst_array([10, 20], [10, 20], [0, 0])),),), "process")
    assert one.fastest()[0].tolist() == [[80, 10]]
    assert (one.num_runs, one.num_discarded) == (3, 1)


def test_a_visit_with_nothing_but_preempted_runs_is_left_out_while_another_remains() -> None:
    clean = Visit(burst_array([5], [], []), burst_array([4], [], []))
    spoilt = Visit(burst_array([3], [], [1]), burst_array([4], [], []))
    assert Samples(((clean, spoilt),), "wall").fastest()[0].tolist() == [[5, 4]]
    assert Samples(((spoilt,),), "wall").fastest()[0].tolist() == [[3, 4]]


def test_where_every_run_was_preempted_the_processor_s_clock_counts() -> None:
    spoilt = Visit(burst_array([30, 50], [6, 5], [1, 2]), burst_array([40], [4], [1]))
    assert Samples(((spoilt,),), "process").fastest()[0].tolist() == [[5, 4]]
    assert Samples(((spoilt,),), "process").fastest("wall")[0].tolist() == [[30, 40]]


def test_what_a_runtime_cannot_tell_becomes_wall_time_and_no_preemption() -> None:
    assert burst_array([7, 8], [], []).tolist() == [[7, 8], [7, 8], [0, 0]]
