"""The contract of every registered layout: neutral cases, first order, keys, skipped slots, the deployed file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from nas.export.onnx import OnnxExporter
from nas.graph.identity import count_macs, count_parameters, graph_identity
from nas.layouts import LAYOUTS, Layout
from nas.layouts.residual_stage import ResidualStage
from nas.space import Architecture, Network, slot

SHAPE = (2, 6, 5, 5)


def function() -> nn.Module:
    return nn.Sequential(nn.Conv2d(6, 12, 1), nn.Tanh(), nn.Conv2d(12, 6, 3, padding=1))


def slots(depth: int, seed: int = 0) -> Mapping[str, nn.Module]:
    torch.manual_seed(seed)
    return {f"block{index}": function() for index in range(1, depth + 1)}


def stage(layout: Layout, depth: int) -> nn.Module:
    return ResidualStage(layout, slots(depth)).double().eval()


def inputs() -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)).double()


def output(layout: Layout, depth: int, scale: float = 1.0) -> Tensor:
    """Output of a layout whose functions are multiplied by ``scale``."""
    parts = [part.double() for part in slots(depth).values()]
    functions = [lambda value, part=part: scale * part(value) for part in parts]
    with torch.no_grad():
        return layout.arrange(functions, inputs())


def check_neutral(layout: Layout) -> None:
    """Without functions, the layout returns its input; with one, it is a residual block."""
    only = slots(1)["block1"].double()
    with torch.no_grad():
        expected = inputs() + only(inputs())
    assert torch.equal(output(layout, 0), inputs())
    assert torch.allclose(output(layout, 1), expected, atol=1e-12)


def check_first_order(layout: Layout) -> None:
    """The remainder beyond ``x + Σ f(x)`` shrinks with the square of the functions' scale."""
    parts = [part.double() for part in slots(4).values()]

    def beyond(scale: float) -> float:
        with torch.no_grad():
            linear = inputs() + scale * sum((part(inputs()) for part in parts), torch.zeros(SHAPE))
        return float((output(layout, 4, scale) - linear).norm())

    assert beyond(1e-3) <= beyond(2e-3) / 3.9 + 1e-12


def check_skipped(layout: Layout) -> None:
    """A skipped slot changes nothing except that its keys are missing."""
    some = slots(3)
    kept = ResidualStage(layout, {name: part for name, part in some.items() if name != "block2"}).eval()
    with_skip = {name: slot(lambda part=part: part, active=name != "block2") for name, part in some.items()}
    skipped = ResidualStage(layout, with_skip).eval()
    with torch.no_grad():
        assert torch.equal(skipped(inputs().float()), kept(inputs().float()))
    assert skipped.state_dict().keys() == kept.state_dict().keys()


def check_keys(layout: Layout) -> None:
    """Parameters and keys follow from the slots alone, whatever the layout."""
    parts = slots(3)
    found = ResidualStage(layout, parts)
    assert list(found.state_dict()) == list(nn.ModuleDict(parts).state_dict())
    assert count_parameters(found) == sum(map(count_parameters, parts.values()))
    assert count_macs(found, SHAPE) == sum(count_macs(part, SHAPE) for part in parts.values())


CHECKS = [check_neutral, check_first_order, check_skipped, check_keys]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", LAYOUTS.names())
def test_layout(name: str, check: Callable[[Layout], None]) -> None:
    check(LAYOUTS.get(name)())


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_the_deployed_file_computes_what_torch_computes(name: str, tmp_path: Path) -> None:
    model = ResidualStage(LAYOUTS.get(name)(), slots(3)).eval()
    network = Network(Architecture({}, (), {}), model)
    artifact = OnnxExporter().export(network, tmp_path / "stage.onnx", input_shape=SHAPE)
    assert artifact.route == "fx"
    session = onnxruntime.InferenceSession(str(artifact.path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": inputs().float().numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, model(inputs().float()).numpy(), rtol=1e-4, atol=1e-5)


def test_parallel_is_the_first_order_of_serial() -> None:
    serial, parallel = (LAYOUTS.get(name)() for name in ("serial", "parallel"))
    assert count_parameters(stage(serial, 4)) == count_parameters(stage(parallel, 4))
    assert torch.equal(output(serial, 1), output(parallel, 1))
    identities = [graph_identity(stage(layout, 1).float(), SHAPE, {}) for layout in (serial, parallel)]
    assert identities[0] == identities[1]
    differences = [float((output(serial, 4, e) - output(parallel, 4, e)).norm()) for e in (4e-3, 2e-3, 1e-3)]
    assert differences[0] > 0
    assert [a / b for a, b in itertools.pairwise(differences)] == pytest.approx([4, 4], rel=0.02)


def test_layouts_of_two_functions_are_two_networks() -> None:
    identities = {graph_identity(stage(LAYOUTS.get(name)(), 2).float(), SHAPE, {}) for name in LAYOUTS.names()}
    assert len(identities) == len(LAYOUTS.names())


class _Mean(Layout):
    """Planted: an average, which keeps only a part of each function's first order."""

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        outputs: Any = sum(function(inputs) for function in functions)
        return inputs + outputs / max(len(functions), 1)


class _Chain(Layout):
    """Planted: a layout without the shortcut."""

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        for function in functions:
            inputs = function(inputs)
        return inputs


class _EverySecond(Layout):
    """Planted: a layout that never runs some functions."""

    def arrange(self, functions: Sequence[Callable[[Tensor], Tensor]], inputs: Tensor) -> Tensor:
        return sum((function(inputs) for function in functions[::2]), inputs)


@pytest.mark.parametrize(
    ("check", "broken"), [(check_neutral, _Chain), (check_first_order, _Mean), (check_keys, _EverySecond)]
)
def test_each_check_fails_on_a_layout_that_breaks_its_rule(
    check: Callable[[Layout], None], broken: type[Layout]
) -> None:
    with pytest.raises(AssertionError):
        check(broken())


def test_skipped_slots_that_count_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(self: ResidualStage, inputs: Tensor) -> Tensor:
        return self._layout.arrange(list(self.children()), inputs)

    monkeypatch.setattr(ResidualStage, "forward", everything)
    with pytest.raises(AssertionError):
        check_skipped(LAYOUTS.get("serial")())
