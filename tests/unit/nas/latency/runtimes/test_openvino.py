import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nas.errors import MeasureError, MissingPackageError
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.latency.runtimes.openvino.plain import OpenVino
from tests.runtimes_here import runtimes_here


def identity(path: Path, shape: list[object], kind: int = TensorProto.FLOAT) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    return save(helper.make_graph([node], "identity", ends[:1], ends[1:]), path)


def save(graph: onnx.GraphProto, path: Path) -> Path:
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64, TensorProto.BOOL]
)
def test_inputs_of_any_usual_type_are_filled(tmp_path: Path, kind: int) -> None:
    session = OpenVino().open(identity(tmp_path / "m.onnx", [1, 4], kind), SessionOptions())
    assert len(session.burst(2).wall_ns) == 2
    session.close()


def test_a_symbolic_first_dimension_is_the_batch(tmp_path: Path) -> None:
    session = OpenVino().open(identity(tmp_path / "m.onnx", ["n", 4]), SessionOptions(batch=3))
    assert session.input_shape == (3, 4)
    inputs = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(session.run(inputs), inputs)
    session.close()


def test_another_symbolic_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="only the batch"):
        OpenVino().open(identity(tmp_path / "m.onnx", ["n", 3, "height"]), SessionOptions())


def test_an_input_that_cannot_be_filled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="'x' has the type"):
        OpenVino().open(identity(tmp_path / "m.onnx", [1], TensorProto.STRING), SessionOptions())


def test_several_inputs_are_measured_but_not_answered(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "abc"]
    path = save(
        helper.make_graph([helper.make_node("Add", ["a", "b"], ["c"])], "add", ends[:2], ends[2:]), tmp_path / "m"
    )
    for runtime in [RUNTIMES.get(name)() for name in runtimes_here(RUNTIMES.names())]:
        with closing(runtime.open(path, SessionOptions())) as session:
            assert session.burst(2).wall_ns
            with pytest.raises(MeasureError, match="2 inputs" if runtime.answers else "does not return its outputs"):
                session.run(np.zeros((1, 4), np.float32))


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    for module in ("quiet", "plain", "session"):
        monkeypatch.delitem(sys.modules, f"nas.latency.runtimes.openvino.{module}")
    with pytest.raises(MissingPackageError, match=r"'openvino' needs.*pip install 'measured-nas\[openvino\]'"):
        RUNTIMES.get("openvino")
    assert "openvino_telemetry" not in sys.modules
