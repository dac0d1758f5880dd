"""Networks written as plain PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas.errors import ExportError
from nas.export.formats.openers.torch import load
from nas.export.plain.network import plain_network
from nas.space import Architecture, Network

SHAPE = (2, 3, 8, 8)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.skip = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(inputs)) + self.skip(inputs))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(3, 8, 2), Block(8, 8, 1), Block(8, 8, 1), Block(8, 8, 1)])
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.head = nn.Linear(8, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        return self.head(inputs.mean((2, 3)) * self.scale)


def plain(model: nn.Module, folder: Path) -> tuple[str, nn.Module]:
    """The source of a network, and the module that it makes."""
    network = Network(Architecture({"name": "own"}, (), {}), model.eval())
    found = plain_network(network, SHAPE, torch.randn(SHAPE), "weights.safetensors")
    save_file(dict(found.tensors), folder / "weights.safetensors")
    (folder / "model.py").write_text(found.source)
    return found.source, load(folder)


def check_same(model: nn.Module, made: nn.Module) -> None:
    inputs = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(made(inputs), model(inputs), atol=1e-5, rtol=1e-5)


def test_blocks_of_equal_structure_share_a_class_and_a_chain(tmp_path: Path) -> None:
    model = Net()
    source, made = plain(model, tmp_path)
    check_same(model, made)
    assert source.count("class Block(") == source.count("class Block") == 1
    assert "BatchNorm" not in source.partition("\nclass ")[2], "folded into the convolutions"
    assert "*[Block(in_channels=8, stride=1) for _ in range(3)]" in source
    assert "x = self.blocks(x)" in source
    assert len(source.splitlines()) < 60


def test_zeros_stay_zeros_in_the_file(tmp_path: Path) -> None:
    model = Net()
    with torch.no_grad():
        model.blocks[1].conv.weight[:, :4] = 0.0  # type: ignore[union-attr, index, operator]
    plain(model, tmp_path)
    weight = load_file(tmp_path / "weights.safetensors")["blocks.1.conv.weight"]
    assert not weight[:, :4].any()
    assert weight[:, 4:].all()


class Shared(nn.Module):
    """Calls one module twice, two modules out of order, and one with two inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.same = Block(3, 3, 1)
        self.lists = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, padding=1)])
        self.crossing = Crossing()

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.same(self.same(inputs))
        first, second = self.crossing(self.lists[1](found), self.lists[0](found))
        return (first - second).flatten(1)


class Crossing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 1, 1))
        self.register_buffer("order", torch.tensor([2, 0, 1]))

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        batch, channels, height, width = first.shape
        turned = first.reshape(batch, channels, height * width)[:, :, 1:].mean(-1)[..., None, None]
        return second * self.weight + turned, first.index_select(1, self.order)


def test_shared_and_branching_modules_keep_their_structure(tmp_path: Path) -> None:
    model = Shared()
    source, made = plain(model, tmp_path)
    check_same(model, made)
    assert source.count("self.same = Block()") == 1
    assert source.count("self.same(") == 2
    assert "nn.ModuleList(" in source
    assert "y, x = self.crossing(y, x)" in source


class Branches(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs if max(inputs.shape) > 3 else -inputs


def test_a_module_that_cannot_be_traced_is_named(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), Branches())
    with pytest.raises(ExportError, match=r"1 \(Branches\): its forward can.t be traced"):
        plain(model, tmp_path)


class Foreign(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return doubled(inputs)


@torch.fx.wrap
def doubled(inputs: Tensor) -> Tensor:
    return inputs * 2


def test_a_function_that_is_not_torchs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"the function .*doubled is not one of torch's"):
        plain(nn.Sequential(nn.Conv2d(3, 4, 1), Foreign()), tmp_path)


def test_names_of_modules_cannot_put_code_into_the_source(tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module('a"""\nraise SystemExit', Block(3, 4, 1))
    source, made = plain(model, tmp_path)
    check_same(model, made)
    assert "\nraise" not in source
