from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from nas.errors import MeasureError, PlanError
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.onnxruntime import OnnxRuntime


def identity(path: Path, shape: list[object], kind: int = TensorProto.FLOAT) -> Path:
    node = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    graph = helper.make_graph([node], "identity", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT64, TensorProto.BOOL]
)
def test_inputs_of_any_usual_type_are_filled(tmp_path: Path, kind: int) -> None:
    session = OnnxRuntime().open(identity(tmp_path / "m.onnx", [1, 4], kind), SessionOptions())
    assert len(session.burst(2).wall_ns) == 2
    session.close()


def test_a_symbolic_first_dimension_is_the_batch(tmp_path: Path) -> None:
    # Only a batch of 3 adds up with a constant of 3 rows.
    rows = helper.make_tensor("rows", TensorProto.FLOAT, [3, 4], [0.0] * 12)
    graph = helper.make_graph(
        [helper.make_node("Concat", ["x", "rows"], ["y"], axis=1)],
        "batch",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3, 8])],
        [rows],
    )
    path = tmp_path / "batch.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    OnnxRuntime().open(path, SessionOptions(batch=3)).close()
    with pytest.raises(MeasureError, match=r"batch\.onnx"):
        OnnxRuntime().open(path, SessionOptions(batch=2))


def test_another_symbolic_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match="only the batch"):
        OnnxRuntime().open(identity(tmp_path / "m.onnx", ["n", 3, "height"]), SessionOptions())


def test_an_input_that_cannot_be_filled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"'x' has the type tensor\(string\)"):
        OnnxRuntime().open(identity(tmp_path / "m.onnx", [1], TensorProto.STRING), SessionOptions())


def test_a_provider_that_the_build_lacks_is_refused_with_those_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(MeasureError, match=r"needs CUDAExecutionProvider.*has only CPUExecutionProvider"):
        OnnxRuntime(provider="cuda")
    with pytest.raises(PlanError, match="'gpu'; allowed: cpu, cuda, tensorrt"):
        OnnxRuntime(provider="gpu")


def test_what_falls_back_to_the_processor_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build lists the provider, but it can't be loaded: by default, ONNX Runtime falls back to the processor."""
    path = identity(tmp_path / "m.onnx", [1, 4])
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(MeasureError, match="fallback to CPU EP has been explicitly disabled"):
        OnnxRuntime(provider="cuda").open(path, SessionOptions())
