"""Quantization-aware training: off until its start, resumable, and removed afterwards."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from nas.estimators.training import Training
from nas.export.checking.evaluate import deployed_outputs
from nas.export.onnx import OnnxExporter
from nas.graph.identity import graph_identity
from nas.ops import op_of_module
from nas.quantization import aware
from nas.quantization.scheme import Scheme
from nas.quantization.steps import Steps
from nas.space import Network
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)


def searched(**parameters: Any) -> Searched:
    settings = {"name": "precision", "options": ["int8"], "quantization_aware": 0.5, **parameters}
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, (settings,), TASK)


def new_network(**parameters: Any) -> Network:
    space = searched(**parameters)
    return space.build(space.sample(PositionChooser(0.5)).architecture, 0)


def images(count: int = 16) -> Tensor:
    return torch.rand(count, *SHAPE[1:], generator=torch.Generator().manual_seed(0))


def layers(network: Network) -> list[nn.Module]:
    return [network.model.get_submodule(path) for path in network.bits]


def trained(folder: Path | None = None, *, stop_after: int | None = None, **recipe: Any) -> Network:
    network = new_network()
    run = Training(epochs=2, batch_size=128, checkpoint_steps=2, **recipe)
    for number, _ in enumerate(run.fit(network, TASK, seed=1, checkpoint=folder), 1):
        if number == stop_after:
            break
    return network


def test_nothing_changes_until_it_is_time() -> None:
    aware_network, plain = new_network(), new_network(quantization_aware=None)
    assert torch.equal(aware_network.model.eval()(images()), plain.model.eval()(images()))
    for module in layers(aware_network):
        assert op_of_module(module) is not None, "still a leaf of the trace"
    aware_network.model.train()(images())
    aware_network.on_step(49, 100)
    before = aware_network.model.eval()(images())
    aware_network.on_step(50, 100)
    assert not torch.equal(aware_network.model(images()), before)


@pytest.mark.parametrize("option", ["int8", "int4"])
def test_the_file_computes_what_was_trained(option: str, tmp_path: Path) -> None:
    """The accuracy of the rounded network equals that of its file, whose ranges are calibrated again."""
    network = new_network(options=[option], quantization_aware=0.3)
    curve = list(Training(epochs=4).fit(network, TASK, seed=0))
    network.finalize()
    data = TASK.dataset("train")
    calibration = torch.stack([data[index][0] for index in range(128)])
    OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=SHAPE, calibration=calibration)
    found = TASK.score(*deployed_outputs(tmp_path / "x.onnx", TASK.dataset("validation"), runtime="onnxruntime"))
    assert found["accuracy"] > 0.5
    assert found["accuracy"] == pytest.approx(curve[-1].values["accuracy"], abs=0.03)


def check_resumes(folder: Path) -> None:
    whole = trained(ema_decay=0.8)
    trained(folder, stop_after=1, ema_decay=0.8)
    continued = trained(folder, ema_decay=0.8)
    state, other = whole.model.state_dict(), continued.model.state_dict()
    assert any(key.endswith("input_range.range") for key in state)
    assert state.keys() == other.keys()
    assert all(torch.equal(state[key], other[key]) for key in state)
    assert all(bool(value) for key, value in state.items() if key.endswith(".on"))


def test_an_interrupted_training_ends_at_the_same_weights_and_ranges(tmp_path: Path) -> None:
    check_resumes(tmp_path)


def test_a_range_that_is_not_saved_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aware.RoundedInput, "register_buffer", _not_saved)
    with pytest.raises(AssertionError):
        check_resumes(tmp_path)


def _not_saved(module: nn.Module, name: str, value: Tensor) -> None:
    nn.Module.register_buffer(module, name, value, persistent=False)


def check_ordinary(network: Network, plain: Network) -> None:
    assert list(network.model.state_dict()) == list(plain.model.state_dict())
    for module in network.model.modules():
        assert not parametrize.is_parametrized(module)
        assert not module._forward_pre_hooks
        assert type(module).__module__.startswith(("torch.nn", "nas.", "search_spaces."))
    assert graph_identity(network.model, SHAPE, network.bits) == graph_identity(plain.model, SHAPE, network.bits)


@pytest.mark.parametrize("build", [searched().sample, lambda chooser: new_network()])
def test_finalized_networks_are_ordinary(build: Callable[..., Network]) -> None:
    network = build(PositionChooser(0.5))
    expected = new_network()
    with pytest.raises(AssertionError):
        check_ordinary(network, network)
    network.finalize()
    expected.finalize()
    check_ordinary(network, expected)
    network.finalize()


def test_finalizing_gives_the_weights_behind_the_rounding() -> None:
    network = trained()
    originals = [module.parametrizations.weight.original.clone() for module in layers(network)]  # type: ignore[union-attr]
    network.finalize()
    for module, original in zip(layers(network), originals, strict=True):
        assert torch.equal(module.weight, original)  # type: ignore[arg-type]


class Masked(nn.Module):
    """A weight mask, registered as sparsity policies do it."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.kept


@pytest.mark.parametrize("symmetry", ["symmetric", "asymmetric"])
@pytest.mark.parametrize("bits", [8, 4])
def test_masks_stay_under_the_rounding_and_after_it(symmetry: Any, bits: int) -> None:
    layer = nn.Conv2d(4, 8, 3)
    with torch.no_grad():
        layer.weight.add_(0.3)
    kept = (torch.rand(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    parametrize.register_parametrization(layer, "weight", Masked(kept))
    handle = aware.attach(layer, bits, Scheme(weights=symmetry))
    layer(torch.randn(2, 4, 8, 8))
    aware.switch(layer, True)
    assert torch.equal((layer.weight != 0) & (kept == 0), torch.zeros_like(kept, dtype=torch.bool))
    assert len(layer.weight.unique()) <= 8 * 2 ** (bits - 1) * 2
    aware.detach(layer, handle)
    assert parametrize.is_parametrized(layer, "weight"), "detaching the rounding must leave the mask"
    assert torch.equal(layer.weight, layer.parametrizations.weight.original * kept)  # type: ignore[union-attr, index]


def test_copies_round_by_their_own_ranges() -> None:
    network = new_network()
    network.model.train()(images())
    network.on_step(99, 100)
    copied = copy.deepcopy(network.model).eval()
    before = copied(images())
    assert torch.equal(before, network.model.eval()(images()))
    network.model.train()(100 * images())
    assert torch.equal(copied(images()), before)


def test_channels_last_computes_the_same() -> None:
    network = new_network()
    network.model.train()(images())
    network.on_step(99, 100)
    network.model.eval()
    with torch.no_grad():
        expected = network.model(images())
        network.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        found = network.model(images().to(memory_format=torch.channels_last))
    assert torch.allclose(found, expected, atol=2e-2 * float(expected.std()))
    first = layers(network)[1]
    assert first.weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr, operator]


def test_ranges_come_from_training_batches() -> None:
    layer = nn.Linear(4, 3)
    aware.attach(layer, 8, Scheme())
    layer.train()
    layer(torch.tensor([[-1.0, 0.0, 2.0, 1.0]]))
    assert layer.input_range.range.tolist() == [-1.0, 2.0]  # type: ignore[union-attr]
    layer(torch.tensor([[0.5, 0.0, 4.0, 1.0]]))
    assert layer.input_range.range.tolist() == pytest.approx([-0.95, 2.1])  # type: ignore[union-attr]
    layer.eval()(torch.full((1, 4), 50.0))
    assert layer.input_range.range.tolist() == pytest.approx([-0.95, 2.1])  # type: ignore[union-attr]


def test_the_file_and_training_round_by_one_implementation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of ``Steps`` affects both training and the file."""
    network = new_network()
    network.model.train()(images())
    network.on_step(99, 100)
    expected = network.model.eval()(images()).detach().numpy()
    monkeypatch.setattr(Steps, "unclipped", lambda self, values: torch.floor(values / self.scale) + self.zero_point)
    assert np.abs(network.model(images()).detach().numpy() - expected).max() > 0
