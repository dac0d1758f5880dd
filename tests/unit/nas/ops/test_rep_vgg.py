from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from pathlib import Path

import onnx
import pytest
import timm
import torch
from torch import nn

from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.identity import count_macs, count_parameters
from nas.layers.rep_vgg import RepVgg, merge_when_deployed
from nas.space import Architecture, Network
from nas.space.site import find_sites

SHAPE = (1, 3, 32, 32)


def network(name: str) -> Network:
    model = timm.create_model(name, num_classes=10)
    made = Network(Architecture({"name": "timm_model"}, (), {}), model)
    seed_weights(made, SHAPE, "seed")
    return made


@pytest.mark.parametrize("name", ["repvgg_a0", "mobileone_s0"])
def test_a_network_of_branches_computes_what_it_did_and_ships_without_them(name: str, tmp_path: Path) -> None:
    made = network(name)
    inputs = torch.randn(4, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    keys = list(made.model.state_dict())
    with torch.no_grad():
        before = made.model(inputs)
        merge_when_deployed(made.model)
        after = made.model(inputs)
    assert list(made.model.state_dict()) == keys
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3 * float(before.std()))
    assert OnnxExporter().export(made, tmp_path / "x.onnx", input_shape=SHAPE).route == "fx"
    found = {node.op_type for node in onnx.load(str(tmp_path / "x.onnx")).graph.node}
    assert found == {"Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"}


def test_training_goes_through_the_branches_and_a_gradient_reaches_all_of_them() -> None:
    torch.manual_seed(0)
    block = RepVgg(4, 4).train()
    block(torch.randn(2, 4, 5, 5)).sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())
    assert block.conv_1x1.bn.num_batches_tracked == 1


def test_it_counts_as_it_ships() -> None:
    block = nn.Sequential(RepVgg(4, 6, stride=2))
    assert count_parameters(block) == 4 * 6 * 9 + 2 * 6
    assert count_macs(block, (1, 4, 8, 8)) == 16 * 6 * 4 * 9
    assert {(site.kind, site.module) for site in find_sites(block)} == {("weight", "0"), ("activation", "0")}


def test_eight_bits_are_those_of_the_merged_convolution(tmp_path: Path) -> None:
    made = network("repvgg_a0")
    merge_when_deployed(made.model)
    made.bits.update({site.module: 8 for site in find_sites(made.model, "weight")})
    inputs = torch.randn(32, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    OnnxExporter().export(made, tmp_path / "x.onnx", input_shape=SHAPE, calibration=inputs)
    model = onnx.load(str(tmp_path / "x.onnx"))
    weights = [
        item for item in model.graph.initializer if item.data_type == onnx.TensorProto.INT8 and len(item.dims) == 4
    ]
    assert len(weights) == sum(isinstance(module, RepVgg) for module in made.model.modules())
