"""Users' habits × precisions: the exported file computes what was trained, or the habit is refused by name before
training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nas.errors import ExportError, PlanError
from nas.export import EXPORTERS
from nas.export.checking.check import TOLERANCE, file_answers
from nas.export.checking.expected import expect
from nas.export.onnx import OnnxExporter
from nas.export.rehearsal import rehearse_shipping
from nas.export.seeding import seed_weights
from nas.space import Architecture, Network
from nas.space.chooser import RandomChooser
from nas.tasks.digits import Digits
from tests.contracts.habits import HABITS, IMAGE_SIZE
from tests.contracts.test_habits import REFUSED as NEVER_BUILT
from tests.contracts.test_habits import opened

#: Deprecated weight norms, and layers of unknown shape, raise warnings.
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore:Lazy")]

SHAPE = (1, 1, IMAGE_SIZE, IMAGE_SIZE)
#: Largest root mean square difference from the network, in standard deviations of its output.
ALLOWED = {"fp32": TOLERANCE, "fp16": 0.01, "int8": 0.35}
BITS = {"fp32": 32, "fp16": 16, "int8": 8}
#: One habit of each kind, for the short run.
FEW = [
    "sharing.SharedLayer",
    "sharing.TiedTranspose",
    "functional.Normalize",
    "functional.Interpolate",
    "hooks.hook_on_network",
    "hooks.hook_on_layer",
    "flow.DropoutLeftOn",
    "flow.StochasticDepthLeftOn",
    "layers.MultiheadAttention",
    "layers.average_pool_divisor",
    "layers.grouped_transposed_convolution",
    "layers.group_norm",
]
#: Habit that is refused → text in the message.
REFUSED = {
    "hooks.hook_on_network": "whole network",
    "hooks.hook_on_layer": "second",
    "hooks.pre_hook_on_layer": "second",
    "hooks.pre_hook_on_network": "whole network",
    "flow.DropoutLeftOn": "bernoulli_ in forward, flow.py",
    "flow.StochasticDepthLeftOn": "rand in forward, flow.py",
    "layers.average_pool_divisor": "AvgPool2d",
}
#: Habit that is refused only in 8 bits → text in the message.
REFUSED_IN_INTEGERS = {
    "sharing.TiedTranspose": "quantiser",
    "layers.grouped_transposed_convolution": "quantiser",
}
#: Here the error of ONNX Runtime's 8-bit pooling is about as large as that of rounding: it shows only on real data.
DOUBTED_IN_INTEGERS = {"layers.average_pool_ceil_counted": "rounding explains"}


def digits(count: int) -> torch.Tensor:
    data = Digits(image_size=IMAGE_SIZE).dataset("validation")
    return torch.stack([data[index][0] for index in range(count)])


def model_of(name: str) -> nn.Module:
    """A habit as the space of a plan builds it; where no plan may use the habit, as its factory makes it."""
    if name in REFUSED:
        return HABITS[name]()
    searched = opened(name, "dense").searched
    return searched.build(searched.sample(RandomChooser(3)).architecture, 0).model


def network_of(model: nn.Module, precision: str) -> Network:
    sites = [path for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    network = Network(Architecture({"name": "habit"}, (), {}), model, bits=dict.fromkeys(sites, BITS[precision]))
    seed_weights(network, SHAPE, "habit")
    network.finalize()
    return network


def distance(network: Network, precision: str, path: Path) -> float:
    """Difference between the answers of the file and of the network to the same images."""
    images = digits(64)
    OnnxExporter().export(network, path, input_shape=SHAPE, calibration=images)
    expected = expect(network.model, images, 1)
    found, _ = file_answers(path, images, "onnxruntime")
    return float(np.sqrt(np.mean((found - expected.outputs) ** 2))) / expected.spread


def check_habit(name: str, precision: str, path: Path) -> None:
    network = network_of(model_of(name), precision)
    if precision == "int8" and name in DOUBTED_IN_INTEGERS:
        with pytest.raises(ExportError, match=DOUBTED_IN_INTEGERS[name]):
            distance(network, precision, path)
        return
    named = REFUSED.get(name) or (REFUSED_IN_INTEGERS.get(name) if precision == "int8" else None)
    if named is None:
        assert distance(network, precision, path) <= ALLOWED[precision]
        return
    with pytest.raises(ExportError) as caught:
        distance(network, precision, path)
    assert named in str(caught.value)
    with pytest.raises(PlanError) as refused:
        rehearse_shipping(OnnxExporter(), network, input_shape=SHAPE, precisions=[precision], runtimes=["onnxruntime"])
    assert named in str(refused.value)


@pytest.mark.parametrize("precision", ["int8"])
@pytest.mark.parametrize("name", FEW)
def test_few_habits_ship_as_trained(name: str, precision: str, tmp_path: Path) -> None:
    check_habit(name, precision, tmp_path / "habit.onnx")


def distance_after_masks(habit: str, policies: str, path: Path) -> float:
    """Root mean square difference between the masked network, before it is finished, and its exported fp32 file."""
    problem = opened(habit, policies)
    network = problem.searched.build(problem.searched.sample(RandomChooser(3)).architecture, 0)
    seed_weights(network, SHAPE, "habit")
    images = digits(64)
    trained = expect(network.model, images, 1)
    network.finalize()
    OnnxExporter().export(network, path, input_shape=SHAPE, calibration=images)
    found, _ = file_answers(path, images, "onnxruntime")
    return float(np.sqrt(np.mean((found - trained.outputs) ** 2))) / trained.spread


@pytest.mark.slow
@pytest.mark.parametrize("precision", BITS)
@pytest.mark.parametrize("name", [name for name in HABITS if name not in NEVER_BUILT])
def test_every_habit_ships_as_trained_or_is_refused(name: str, precision: str, tmp_path: Path) -> None:
    check_habit(name, precision, tmp_path / "habit.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("policies", ["unstructured", "channels"])
@pytest.mark.parametrize("name", [name for name in HABITS if name not in NEVER_BUILT and name not in REFUSED])
def test_every_habit_ships_as_it_was_masked(name: str, policies: str, tmp_path: Path) -> None:
    assert distance_after_masks(name, policies, tmp_path / "habit.onnx") <= TOLERANCE


class Corner(nn.Module):
    """A network with output channels that have no weights but a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(inputs).mean((2, 3)))


class UnknownCorner(Corner):
    """A network with such channels that torch's exporter writes, because no op covers its norm."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(F.normalize(self.conv(inputs).mean((2, 3))))


@pytest.mark.parametrize("exporter", EXPORTERS.names())
@pytest.mark.parametrize("factory", [Corner, UnknownCorner])
def test_channels_without_weights_keep_their_bias(exporter: str, factory: type[Corner], tmp_path: Path) -> None:
    network = network_of(factory(), "int8")
    model = network.model
    with torch.no_grad():
        model.conv.weight[:4] = 0.0  # type: ignore[union-attr, index, operator]
        model.conv.bias[:4] = torch.tensor([0.3, -0.002, 1e-5, 0.0])  # type: ignore[union-attr, index, operator]
        model.head.weight[:3] = 0.0  # type: ignore[union-attr, index, operator]
        model.head.bias[:3] = torch.tensor([0.001, -0.4, 0.01])  # type: ignore[union-attr, index, operator]
    images = digits(32)
    path = tmp_path / "corner"
    EXPORTERS.get(exporter)().export(network, path, input_shape=SHAPE, calibration=images)
    found, _ = file_answers(path, images, "onnxruntime")
    assert np.allclose(found[:, :3], [0.001, -0.4, 0.01], atol=0.004 * float(np.ptp(found)))
