from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from nas.errors import ExportError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.space import Architecture, Network

SHAPE = (1, 3, 8, 8)


def make_network(model: nn.Module, bits: dict[str, int] | None = None, *, shape: tuple[int, ...] = SHAPE) -> Network:
    network = Network(Architecture({"name": "test"}, (), {}), model, bits=bits or {})
    seed_weights(network, shape, "seed")
    return network


def everywhere(model: nn.Module, bits: int) -> dict[str, int]:
    modules = model.named_modules()
    return {path: bits for path, module in modules if isinstance(module, nn.Conv2d | nn.Linear)}


def convolutions(activation: nn.Module | None = None) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for index, channels in enumerate((3, 8, 8)):
        parts[f"conv{index}"] = nn.Conv2d(channels, 8, 3, padding=1)
        parts[f"norm{index}"] = nn.BatchNorm2d(8)
        parts[f"activation{index}"] = activation or nn.ReLU()
    parts["pool"] = nn.AdaptiveMaxPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["head"] = nn.Linear(8, 4)
    return nn.Sequential(parts)


def optimized_ops(path: Path) -> list[str]:
    """Op types of the file after ONNX Runtime has optimized it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path.with_suffix(".optimized.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


def ops(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def test_batch_norms_are_folded_and_dropout_is_gone(tmp_path: Path) -> None:
    model = nn.Sequential(*convolutions()[:3], nn.Dropout(0.5), *convolutions()[3:])
    path = tmp_path / "x.onnx"
    OnnxExporter().export(make_network(model), path, input_shape=SHAPE)
    assert ops(path) == ["Conv", "Relu"] * 3 + ["MaxPool", "Flatten", "Gemm"]


def test_a_batch_norm_whose_input_others_read_stays(tmp_path: Path) -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, inputs: Tensor) -> Tensor:
            value = self.conv(inputs)
            return self.norm(value) - value

    path = tmp_path / "x.onnx"
    OnnxExporter().export(make_network(Shared()), path, input_shape=SHAPE)
    assert ops(path) == ["Conv", "BatchNormalization", "Sub"]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6()])
def test_eight_bits_run_in_integers_from_end_to_end(activation: nn.Module, tmp_path: Path) -> None:
    model = convolutions(activation)
    path = tmp_path / "x.onnx"
    OnnxExporter().export(make_network(model, everywhere(model, 8)), path, input_shape=SHAPE)
    expected = ["QuantizeLinear", *["QLinearConv"] * 3, "MaxPool", "Flatten", "QGemm"]
    assert optimized_ops(path) == expected


def test_sums_averages_and_concatenations_stay_in_integers(tmp_path: Path) -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Conv2d(3, 4, 3, padding=1)
            self.right = nn.Conv2d(3, 4, 1)
            self.last = nn.Conv2d(8, 4, 1)
            self.head = nn.Linear(4, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            left, right = self.left(inputs), self.right(inputs)
            joined = torch.cat([torch.relu(left + right), left], dim=1)
            return self.head(torch.relu(self.last(joined)).mean((2, 3)))

    path = tmp_path / "x.onnx"
    OnnxExporter().export(make_network(Joined(), everywhere(Joined(), 8)), path, input_shape=SHAPE)
    found = optimized_ops(path)
    assert {"QLinearAdd", "QLinearConcat", "QLinearGlobalAveragePool", "QGemm"} <= set(found)
    assert not {"DequantizeLinear", "Conv", "Add", "Relu"} & set(found)


def test_bits_of_one_layer_leave_the_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    OnnxExporter().export(make_network(convolutions(), {"conv1": 8}), path, input_shape=SHAPE)
    found = optimized_ops(path)
    assert found.count("QLinearConv") == 1
    assert found.count("FusedConv") + found.count("Conv") == 2


def test_activations_are_u8_and_weights_s8_per_channel(tmp_path: Path) -> None:
    model, path = convolutions(), tmp_path / "x.onnx"
    OnnxExporter().export(make_network(model, everywhere(model, 8)), path, input_shape=SHAPE)
    graph = onnx.load(str(path)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    activations = [constants[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert {(array.dtype.name, array.shape) for array in activations} == {("uint8", ())}
    weights = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    kinds = {constants[node.input[0]].dtype.name for node in weights}
    assert kinds == {"int8", "int32"}
    for node in weights:
        assert constants[node.input[1]].shape == constants[node.input[0]].shape[:1]
        if constants[node.input[0]].dtype == np.int8:
            assert np.abs(constants[node.input[0]]).max() == 64


def test_a_large_bias_on_tiny_weights_survives_rounding(tmp_path: Path) -> None:
    model = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), flatten=nn.Flatten(), head=nn.Linear(256, 3)))
    network = make_network(model, everywhere(model, 8))
    with torch.no_grad():
        model.conv.weight[0] = 1e-12
        model.conv.bias[:] = torch.tensor([5.0, 0.0, 0.1, -1.0])
    artifact = OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=SHAPE)
    assert artifact.relative_error < 0.3


class Learned(nn.Module):
    """A network with its own parameter, and a reshape by sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1) * 2)
        self.head = nn.Linear(192, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        value = inputs * self.scale
        return self.head(value.view(value.size(0), -1))


@pytest.mark.parametrize("batch", [1, 4])
def test_parameters_outside_of_modules_and_other_batches(batch: int, tmp_path: Path) -> None:
    shape = (batch, 3, 8, 8)
    artifact = OnnxExporter().export(make_network(Learned()), tmp_path / "x.onnx", input_shape=shape)
    assert (artifact.route, artifact.input_shape) == ("fx", shape)


@pytest.mark.parametrize("bits", [32, 8])
def test_a_node_without_op_goes_through_torch_and_is_named(bits: int, tmp_path: Path) -> None:
    model = convolutions(nn.PReLU())
    path = tmp_path / "x.onnx"
    network = make_network(model, everywhere(model, bits))
    artifact = OnnxExporter().export(network, path, input_shape=SHAPE)
    assert artifact.route == "torch"
    assert artifact.record["uncovered"] == ["PReLU"]
    assert ("QLinearConv" in optimized_ops(path)) == (bits == 8)
    assert artifact.relative_error < (1e-4 if bits == 32 else 1.0)


def test_structure_of_torchs_integers_is_blind_for_weights(tmp_path: Path) -> None:
    hashes = set()
    for seed in ("a", "b"):
        model = convolutions(nn.PReLU())
        network = make_network(model, everywhere(model, 8))
        seed_weights(network, SHAPE, seed)
        hashes.add(OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=SHAPE).structure_hash)
    assert len(hashes) == 1


def test_some_integers_through_torch_are_refused(tmp_path: Path) -> None:
    network = make_network(convolutions(nn.PReLU()), {"conv1": 8})
    with pytest.raises(ExportError, match="conv1 has 8 bits and conv0 has not"):
        OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=SHAPE)


def test_two_answers_are_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
            return inputs + 1, inputs * 2

    with pytest.raises(ExportError, match="returns 2 tensors"):
        OnnxExporter().export(make_network(Two()), tmp_path / "x.onnx", input_shape=SHAPE)


def test_what_nobody_can_export_says_why(tmp_path: Path) -> None:
    class Calls(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return torch.linalg.eigvals(inputs).real

    with pytest.raises(ExportError, match="can't export this Calls"):
        OnnxExporter().export(make_network(Calls()), tmp_path / "x.onnx", input_shape=SHAPE)


def test_a_batch_norm_that_activates_is_folded_and_leaves_nothing_behind(tmp_path: Path) -> None:
    parts = [nn.Conv2d(3, 8, 3), BatchNormAct2d(8, act_layer=nn.ReLU), nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    model = nn.Sequential(*parts, nn.Linear(8, 4))
    network = make_network(model, everywhere(model, 8))
    path = tmp_path / "x.onnx"
    inputs = torch.randn(64, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    assert OnnxExporter().export(network, path, input_shape=SHAPE, calibration=inputs).route == "fx"
    assert "BatchNormalization" not in ops(path)
    assert {"QLinearConv", "BatchNormalization", "Relu"} & set(optimized_ops(path)) == {"QLinearConv"}
    graph = onnx.load(str(path)).graph
    used = {name for node in graph.node for name in node.input}
    assert {item.name for item in graph.initializer} <= used


class _JoinedForFloats(nn.Module):
    """A concatenation of 8-bit layers that a batch norm reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.cat([self.first(inputs), self.second(inputs)], 1)).mean((2, 3))  # type: ignore[no-any-return]


def test_values_that_only_floats_read_are_not_rounded(tmp_path: Path) -> None:
    network = Network(Architecture({"name": "x"}, (), {}), _JoinedForFloats(), bits={"first": 8, "second": 8})
    OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=(1, 3, 4, 4), runtime="openvino")
    nodes = onnx.load(tmp_path / "x.onnx").graph.node
    (joined,) = [node for node in nodes if node.op_type == "Concat"]
    assert [node.op_type for node in nodes if joined.output[0] in node.input] == ["BatchNormalization"]
