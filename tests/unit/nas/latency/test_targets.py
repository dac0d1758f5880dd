import json

import pytest

from nas.errors import MeasureError
from nas.latency.targets import Target, TargetSpec
from nas.processor import describe_processor


def test_json_round_trip() -> None:
    target = Target(TargetSpec("pi", threads=2, core=1), {"r0": 0.01}, {"processor": "x", "flags": ["avx2"]})
    assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"spec": {"name": "a"}},
        {"spec": {"nam": "a"}, "references": {"r0": 1}, "description": {}},
        {"spec": {"name": "a"}, "references": {}, "description": {}},
        {"spec": {"name": "a"}, "references": 3, "description": {}},
    ],
)
def test_what_is_no_target_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(MeasureError):
        Target.from_json(data)


def test_threads_and_batch_are_positive() -> None:
    with pytest.raises(MeasureError, match="at least 1"):
        TargetSpec("a", threads=0)
    with pytest.raises(MeasureError, match="at least 1"):
        TargetSpec("a", batch=0)


def test_the_processor_is_described() -> None:
    described = describe_processor()
    assert described["processor"]
    assert described["cores"] >= 1
    assert all(isinstance(flag, str) for flag in described["flags"])
