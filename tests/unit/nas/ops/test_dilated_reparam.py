from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError
from nas.export.onnx import OnnxExporter
from nas.graph.identity import count_parameters
from nas.layers.dilated_reparam import PUBLISHED, DilatedReparam, branches
from nas.space import Architecture, Network
from nas.space.site import find_sites

SHAPE = (2, 4, 9, 8)
KERNELS = [*PUBLISHED, 21, 31]


def shaken(model: nn.Module) -> nn.Module:
    """The module in evaluation mode, with batch norms as after a training."""
    generator = torch.Generator().manual_seed(0)
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return model.eval()


def trained_form(layer: DilatedReparam, inputs: Tensor) -> Tensor:
    """The sum of the branches, each computed by torch's own convolution and batch norm."""
    pairs = [(layer.large.weight, 1, layer.norm)]
    pairs += [(conv.weight, conv.dilation[0], norm) for conv, norm in layer.branches]
    outputs = []
    for weight, dilation, norm in pairs:
        padding = dilation * (weight.shape[-1] - 1) // 2
        outputs.append(norm(F.conv2d(inputs, weight, padding=padding, dilation=dilation, groups=layer.channels)))
    return torch.stack(outputs).sum(0)


def check_ships_as_one_convolution(model: nn.Sequential, expected: Tensor, inputs: Tensor, path: Path) -> None:
    network = Network(Architecture({"name": "test"}, (), {}), model)
    OnnxExporter().export(network, path, input_shape=SHAPE)
    assert [node.op_type for node in onnx.load(str(path)).graph.node] == ["Conv"]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": inputs.numpy()})
    answers = expected.detach().numpy()
    for outputs in (found, model(inputs).detach().numpy()):
        np.testing.assert_allclose(outputs, answers, rtol=1e-5, atol=1e-5 * answers.std())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("norm_behind", [False, True])
def test_one_convolution_ships_and_computes_what_was_trained(kernel: int, norm_behind: bool, tmp_path: Path) -> None:
    layer = DilatedReparam(SHAPE[1], kernel)
    model = nn.Sequential(layer, *[nn.BatchNorm2d(SHAPE[1])] * norm_behind)
    shaken(model)
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected = trained_form(layer, inputs)
    if norm_behind:
        expected = model[1](expected)
    check_ships_as_one_convolution(model, expected, inputs, tmp_path / "x.onnx")


def test_a_branch_that_is_not_merged_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layer = DilatedReparam(SHAPE[1], 7)
    shaken(layer)
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected = trained_form(layer, inputs)
    pairs = layer._pairs()
    monkeypatch.setattr(DilatedReparam, "_pairs", lambda self: pairs[:-1])
    monkeypatch.setattr(layer, "dilated", layer.dilated[:-1])
    with pytest.raises(AssertionError):
        check_ships_as_one_convolution(nn.Sequential(layer), expected, inputs, tmp_path / "x.onnx")


def test_training_runs_the_branches() -> None:
    layer = DilatedReparam(4, 13).train()
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    expected = trained_form(layer, inputs)
    assert torch.allclose(layer(inputs), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [*KERNELS, 19, 51])
def test_branches_fit_into_the_kernel_about_its_centre(kernel: int) -> None:
    spans = [branch.span for branch in branches(kernel)]
    assert max(spans) <= kernel
    assert all(span % 2 == 1 for span in spans)
    assert len(set(branches(kernel))) == len(spans)


def test_beyond_the_table_branches_go_on_like_it() -> None:
    sizes = {kernel: [(branch.size, branch.dilation) for branch in branches(kernel)] for kernel in (21, 31)}
    assert sizes == {
        21: [(5, 1), (11, 2), (3, 5), (3, 7), (3, 10)],
        31: [(5, 1), (15, 2), (3, 7), (3, 10), (3, 15)],
    }


@pytest.mark.parametrize("kernel", [3, 12])
def test_kernels_without_branches_are_refused(kernel: int) -> None:
    with pytest.raises(SpaceError, match=rf"kernel {kernel}; allowed: odd numbers from 5"):
        DilatedReparam(4, kernel)


def test_it_is_one_site_and_counts_as_it_ships() -> None:
    layer = DilatedReparam(4, 7)
    weight, activation = find_sites(nn.Sequential(layer))
    assert (weight.kind, weight.module, weight.shape, weight.dense) == ("weight", "0", (4, 1, 7, 7), True)
    assert (activation.kind, activation.shape) == ("activation", (4,))
    assert count_parameters(layer) == 4 * 7 * 7 + 2 * 4


def test_the_merged_kernel_ships_in_8_bits(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(4, 4, 1), DilatedReparam(4, 7), nn.BatchNorm2d(4), nn.ReLU())
    network = Network(Architecture({"name": "test"}, (), {}), shaken(model), bits={"0": 8, "1": 8})
    path = tmp_path / "x.onnx"
    OnnxExporter().export(network, path, input_shape=SHAPE, calibration=torch.randn(16, *SHAPE[1:]))
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert kinds.count("Conv") == 2
    assert kinds.count("DequantizeLinear") > 4
    assert "BatchNormalization" not in kinds
