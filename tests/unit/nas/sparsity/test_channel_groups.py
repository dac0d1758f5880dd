"""Channels that can only be removed together, in networks with sums, products, depthwise convolutions and
concatenations.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.tracing import trace
from nas.ops import OPS
from nas.space import Architecture, Chooser, Network, SearchSpace
from nas.space.chooser import PositionChooser
from nas.space.sampling import Searched
from nas.sparsity.channel_groups import channel_groups
from nas.sparsity.policy import Sparsity
from nas.tasks import Task, make_task

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)


class Branched(nn.Module):
    """A stem, a residual block with a depthwise convolution and a gate, two joined branches, and a head on a flattened
    map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.expand = nn.Conv2d(8, 16, 1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.squeeze = nn.Conv2d(16, 4, 1)
        self.excite = nn.Conv2d(4, 16, 1)
        self.project = nn.Conv2d(16, 8, 1)
        self.left = nn.Conv2d(8, 6, 3, stride=2, padding=1)
        self.right = nn.Conv2d(8, 6, 1, stride=2)
        self.last = nn.Conv2d(12, 10, 1)
        self.hidden = nn.Linear(10 * 16, 12)
        self.head = nn.Linear(12, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        stem = self.stem(inputs)
        wide = torch.nn.functional.hardswish(self.depthwise(self.norm(self.expand(stem))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(wide.mean((2, 3), keepdim=True)))))
        total = stem + self.project(wide * gate)
        joined = torch.cat([self.left(total), self.right(total)], 1)
        return self.head(torch.sigmoid(self.hidden(torch.flatten(torch.relu(self.last(joined)), 1))))


class BranchedSpace(SearchSpace):
    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        return Branched()


def network(**parameters: object) -> Network:
    spec = {"name": "sparsity", "patterns": ["channels"], "densities": [0.5], "schedule": "one_shot", **parameters}
    space = Searched(BranchedSpace(), {"name": "branched"}, (spec,), TASK)
    built = space.build(space.sample(PositionChooser(0)).architecture, seed=0)
    seed_weights(built, SHAPE, "seed")
    return built


def widths(model: nn.Module) -> dict[str, tuple[int, int]]:
    return {
        path: tuple(module.weight.shape[:2])  # type: ignore[misc]
        for path, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def test_groups_of_a_network_with_branches() -> None:
    groups = channel_groups(trace(Branched(), SHAPE))
    free = {tuple(group.writers): group for group in groups if not group.whole}
    assert set(free) == {("stem.0", "project"), ("expand", "excite"), ("squeeze",), ("last",), ("hidden",)}
    residual = free["stem.0", "project"]
    assert residual.readers == [("expand", 1), ("left", 1), ("right", 1)]
    gated = free["expand", "excite"]
    assert {("norm", 1), ("depthwise", 1)} <= set(gated.followers)
    assert gated.readers == [("squeeze", 1), ("project", 1)]
    assert free["last",].readers == [("hidden", 16)]
    held = {path for group in groups if group.whole for path in group.writers}
    assert held == {"left", "right", "head"}


def test_a_group_loses_its_channels_everywhere(tmp_path: Path) -> None:
    """The file computes what the masked network does, with half of the channels removed from five groups."""
    built = network()
    policy = built.policies[0]
    assert isinstance(policy, Sparsity)
    policy.schedule.finish(built.model, policy._attached.parts)
    inputs = torch.rand(4, *TASK.input_shape, generator=torch.Generator().manual_seed(0))
    before = built.model(inputs)
    built.finalize()
    assert torch.allclose(built.model(inputs), before, atol=1e-5)
    assert widths(built.model) == {
        "stem.0": (4, 1),
        "expand": (8, 4),
        "depthwise": (8, 1),
        "squeeze": (2, 8),
        "excite": (8, 2),
        "project": (4, 8),
        "left": (6, 4),
        "right": (6, 4),
        "last": (5, 12),
        "hidden": (6, 80),
        "head": (10, 6),
    }
    assert built.model.get_submodule("norm").num_features == 8
    artifact = OnnxExporter().export(built, tmp_path / "model.onnx", input_shape=SHAPE)
    assert artifact.route == "fx"


def test_a_group_goes_at_the_largest_density_of_its_writers_or_not_at_all() -> None:
    """Stem and projection are added: if one of them is dense or has another pattern, both keep all channels."""

    class Answers(PositionChooser):
        def __init__(self, answers: dict[str, object]) -> None:
            super().__init__(0)
            self._given = answers

        def _answer(self, question):  # type: ignore[no-untyped-def]
            return self._given.get(question.name, question.options[-1])

    def stems(answers: dict[str, object]) -> tuple[int, int]:
        spec = {
            "name": "sparsity",
            "scope": "site",
            "patterns": ["unstructured", "channels"],
            "densities": [0.25, 0.5, 1.0],
            "schedule": "one_shot",
        }
        space = Searched(BranchedSpace(), {"name": "branched"}, (spec,), TASK)
        sampled = space.sample(Answers(answers))  # type: ignore[arg-type]
        sampled.finalize()
        return widths(sampled.model)["stem.0"][0], widths(sampled.model)["project"][0]

    density, pattern = "sparsity.density.", "sparsity.pattern."
    both = {pattern + "stem.0": "channels", pattern + "project": "channels"}
    assert stems({**both, density + "stem.0": 0.25, density + "project": 0.5}) == (4, 4)
    assert stems({**both, density + "stem.0": 0.25, density + "project": 0.25}) == (2, 2)
    assert stems({**both, density + "stem.0": 0.25}) == (8, 8)
    mixed = {**both, pattern + "project": "unstructured"}
    assert stems({**mixed, density + "stem.0": 0.25, density + "project": 0.25}) == (8, 8)


def test_other_patterns_are_made_within_the_channels_that_are_there() -> None:
    """A 2:4 weight that loses inputs is 2:4 among the inputs it keeps."""
    model = nn.Sequential(
        OrderedDict(one=nn.Conv2d(1, 16, 3, padding=1), relu=nn.ReLU(), two=nn.Conv2d(16, 8, 1), flat=nn.Flatten())
    )
    policy = Sparsity(scope="site", patterns=["channels", "nm_2_4"], densities=[0.5], schedule="one_shot")

    class Pattern(PositionChooser):
        def _answer(self, question):  # type: ignore[no-untyped-def]
            return "channels" if question.site == "one" else "nm_2_4"

    space = SearchSpace.sites(BranchedSpace(), model)
    policy.ask(Pattern(0), space)
    built = Network(Architecture({}, (), {}), model, (policy,), input_shape=SHAPE)
    policy.attach(built)
    seed_weights(built, SHAPE, "seed")
    built.finalize()
    weight = model.two.weight
    assert tuple(weight.shape) == (8, 8, 1, 1)
    assert (weight.reshape(8, 2, 4).count_nonzero(dim=2) == 2).all()


@pytest.mark.parametrize("name", OPS.names())
def test_an_op_that_passes_channels_on_does_so(name: str) -> None:
    """If an op declares ``same`` channels, changing one input channel changes only that channel of the output."""
    torch.manual_seed(0)
    for example in OPS.get(name)().examples():
        graph = trace(example.model, example.input_shape)
        groups = channel_groups(graph)
        assert all(group.size > 0 for group in groups)
        for node in graph.nodes:
            module = node.call.module
            if node.op is None or module is None or len(node.inputs) != 1 or node.op.channels(node.call) != "same":
                continue
            before, after = node.call.input_shapes[0], node.call.output_shape
            if len(before) not in (2, 4) or len(after) not in (2, 4):
                continue
            inputs = torch.rand(before)
            changed = inputs.clone()
            changed[:, 0] += 1.0
            with torch.no_grad():
                differences = (module.eval()(inputs) != module(changed)).transpose(0, 1).flatten(1).any(1)
            assert not differences[after[1] // before[1] :].any(), example.name
