"""The torch runtime: what its translation preserves, and what it refuses. The file of every op is checked in
``test_ops.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from nas.errors import MeasureError, PlanError
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.latency.runtimes.torch import Torch
from nas.latency.runtimes.torch.graph import TorchGraph
from nas.latency.runtimes.torch.semi_structured import make_sparse, pointwise

SHAPE = (1, 4, 7, 6)


def save(path: Path, nodes: list[Any], constants: dict[str, np.ndarray], opset: int = 18) -> Path:
    """Save a model of nodes from ``x`` of ``SHAPE`` to ``y``."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), str(path))
    return path


def node(kind: str, inputs: str = "x", output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(" ") if inputs else [], [output], **attributes)


KERNEL = {"w": np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype(np.float32)}
#: Nodes that torch's own exporter, other tools and other opsets write and this project's emitters do not.
FOREIGN: dict[str, tuple[list[Any], dict[str, np.ndarray]]] = {
    "same_upper": ([node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])], KERNEL),
    "same_lower": ([node("Conv", "x w", auto_pad="SAME_LOWER", strides=[2, 2])], KERNEL),
    "uneven_pads": ([node("Conv", "x w", pads=[0, 1, 2, 0])], KERNEL),
    "uneven_max_pool": ([node("MaxPool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0])], {}),
    "uneven_average": ([node("AveragePool", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 1, 0])], {}),
    "counted_average": ([node("AveragePool", kernel_shape=[3, 3], pads=[0, 0, 2, 1], count_include_pad=1)], {}),
    "gemm": (
        [node("Flatten", "x", "f"), node("Gemm", "f a b", alpha=0.5, beta=2.0)],
        {"a": np.ones((168, 3), np.float32) / 100, "b": np.arange(3, dtype=np.float32).reshape(1, 3)},
    ),
    "size_from_shape": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s i", "n", axis=0),
            node("Unsqueeze", "n o", "u"),
            node("Concat", "u r", "t", axis=0),
            node("Reshape", "x t"),
        ],
        {"i": np.array(0), "o": np.array([0]), "r": np.array([-1])},
    ),
    "constant": ([node("Constant", "", "c", value_float=2.0), node("Pow", "x c")], {}),
    "negative_slice": (
        [node("Slice", "x b e a", "y")],
        {"b": np.array([-3]), "e": np.array([99]), "a": np.array([2])},
    ),
    "reflect": ([node("Pad", "x p", mode="reflect")], {"p": np.array([0, 0, 1, 2, 0, 0, 0, 1])}),
    "gather_rows": ([node("Gather", "x i", axis=-1)], {"i": np.array([[0, -1], [2, 1]])}),
    "written_out": ([node("Shrink", "x", "s", lambd=0.3, bias=0.1), node("MeanVarianceNormalization", "s")], {}),
    "nearest": ([node("Resize", "x  s", mode="nearest")], {"s": np.array([1, 1, 0.6, 1.7], np.float32)}),
    "transposed": (
        [node("ConvTranspose", "x t", strides=[2, 1], pads=[0, 1, 1, 0], output_padding=[1, 0])],
        {"t": KERNEL["w"].transpose(1, 0, 2, 3).copy()},
    ),
    "even_split": ([node("Split", "x", "y", axis=1, num_outputs=1)], {}),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_files_of_other_tools_compute_what_they_do_elsewhere(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.onnx", *FOREIGN[name])
    inputs = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    found, expected = (
        RUNTIMES.get(runtime)().open(path, SessionOptions()).run(inputs) for runtime in ("torch", "onnxruntime")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("nodes", "opset", "message"),
    [
        ([node("LpPool", kernel_shape=[2, 2])], 18, "op LpPool has no translation to torch"),
        ([node("Relu", domain="com.example")], 18, "op com.example:Relu"),
        ([node("Relu")], 11, "opset 11"),
        ([node("Resize", "x  s", mode="cubic", exclude_outside=1)], 18, "'cubic'"),
        ([node("AveragePool", kernel_shape=[2, 2], dilations=[2, 2])], 19, "dilations are not supported"),
        ([node("Pad", "x p", mode="reflect")], 18, "mode 'reflect' that pads batch or channels is not supported"),
        ([helper.make_node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], 18, "output i has no translation"),
        ([node("Reshape", "x x")], 18, "computed from the input"),
    ],
)
def test_what_is_not_translated_is_refused_by_name(nodes: list[Any], opset: int, message: str, tmp_path: Path) -> None:
    constants = {"s": np.ones(4, np.float32), "p": np.array([0, 1, 0, 0, 0, 0, 0, 0])}
    path = save(tmp_path / "x.onnx", nodes, constants, opset)
    with pytest.raises(MeasureError, match=rf"x\.onnx.*{message}"):
        Torch().open(path, SessionOptions())


@pytest.mark.parametrize("function", [F.silu, F.mish, F.gelu])
def test_an_activation_that_a_file_spells_out_is_one_call_again(function: Any) -> None:
    spelled = {
        F.silu: [node("Sigmoid", "x", "s"), node("Mul", "x s")],
        F.mish: [node("Softplus", "x", "p"), node("Tanh", "p", "s"), node("Mul", "x s")],
        F.gelu: [
            node("Div", "x r", "d"),
            node("Erf", "d", "e"),
            node("Add", "e one", "a"),
            node("Mul", "x a", "m"),
            node("Mul", "m half"),
        ],
    }[function]
    numbers = {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)}
    constants = [numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(helper.make_graph(spelled, "test", [], [output], constants))
    module = TorchGraph(model, {"x": torch.zeros(SHAPE)}).module()
    assert [item.target for item in module.graph.nodes if item.op == "call_function"] == [function]
    inputs = torch.randn(SHAPE)
    torch.testing.assert_close(module(inputs)[0], function(inputs))


def test_maps_are_channels_last_and_threads_are_given_back(tmp_path: Path) -> None:
    write_reference(LADDER[0], tmp_path / "x.onnx")
    before = torch.get_num_threads()
    session = Torch().open(tmp_path / "x.onnx", SessionOptions(threads=before + 1))
    seen: list[tuple[int, bool]] = []

    def step() -> tuple[torch.Tensor, ...]:
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return ()

    assert session._inputs[0].is_contiguous(memory_format=torch.channels_last)  # type: ignore[attr-defined]
    session._step = step  # type: ignore[attr-defined]
    session.burst(2)
    assert seen == [(before + 1, True)] * 2
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"device": "gpu"}, "'gpu'; allowed: cpu, cuda"),
        ({"half": True}, "half works only on a GPU; also set device: cuda"),
        ({"cuda_graphs": True}, "cuda_graphs works only on a GPU"),
        ({"semi_structured": True, "device": "cuda"}, "set half: true"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Torch(**parameters)


def test_what_the_machine_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MeasureError, match="finds no GPU on this machine; choose device: cpu"):
        Torch(device="cuda")
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.raises(MeasureError, match="needs a C\\+\\+ compiler, and there is no /no/such/compiler"):
        Torch(compile=True)


def test_a_file_that_does_not_compile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the compiler crashed")

    monkeypatch.setenv("CXX", "true")
    monkeypatch.setattr(torch, "compile", failing)
    write_reference(LADDER[0], tmp_path / "x.onnx")
    with pytest.raises(MeasureError, match=r"x\.onnx: RuntimeError: the compiler crashed"):
        Torch(compile=True).open(tmp_path / "x.onnx", SessionOptions())


def two_of_four(rows: int, columns: int) -> np.ndarray:
    weight = np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)
    return np.where(np.arange(columns) % 4 < 2, weight, 0).astype(np.float32)


def test_sparse_kernels_take_weights_that_keep_two_of_four_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks which weights are chosen, and that a 1×1 convolution is replaced by a linear layer; the kernel itself
    needs a GPU.
    """
    taken: list[tuple[int, ...]] = []
    monkeypatch.setattr(torch.sparse, "to_sparse_semi_structured", lambda rows: taken.append(tuple(rows.shape)) or rows)
    constants = {
        "sparse": two_of_four(64, 128).reshape(64, 128, 1, 1),
        "dense": np.random.default_rng(1).normal(size=(64, 64, 1, 1)).astype(np.float32),
        "small": two_of_four(16, 64).reshape(16, 64, 1, 1),
    }
    nodes = [node("Conv", "x sparse", "a"), node("Conv", "a dense", "b"), node("Conv", "b small")]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = helper.make_model(helper.make_graph(nodes, "test", [], [output], initializers))
    inputs = torch.randn(1, 128, 3, 3)
    dense = TorchGraph(model, {"x": inputs}).module()
    sparse = TorchGraph(model, {"x": inputs}).module()
    assert make_sparse(sparse) == 1
    assert taken == [(64, 128)]
    assert [item.target for item in sparse.graph.nodes if item.op == "call_function"] == [pointwise, F.conv2d, F.conv2d]
    torch.testing.assert_close(sparse(inputs)[0], dense(inputs)[0], rtol=1e-4, atol=1e-3)
    with pytest.raises(MeasureError, match="leave semi_structured out"):
        make_sparse(sparse)
