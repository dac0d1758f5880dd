from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas.errors import SpaceError
from nas.graph.identity import count_macs, count_parameters, graph_identity, layers, trace

SHAPE = (1, 3, 8, 8)


def block(inputs: int, outputs: int, kernel: int = 3, **settings: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **settings)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(outputs), activation=nn.ReLU()))


def network(*, width: int = 8, slot: str = "stage", dropout: float = 0.0, skipped: int = 0) -> nn.Module:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts[f"{slot}1"] = block(3, width)
    for index in range(skipped):
        parts[f"skipped{index}"] = nn.Identity()
    parts[f"{slot}2"] = block(width, width)
    parts["dropout"] = nn.Dropout(dropout)
    parts["pool"] = nn.AdaptiveAvgPool2d(1)
    parts["flatten"] = nn.Flatten()
    parts["head"] = nn.Linear(width, 10)
    return nn.Sequential(parts)


def identity(model: nn.Module, bits: dict[str, int] | None = None) -> str:
    return graph_identity(model, SHAPE, bits or {})


def test_names_weights_and_skipped_slots_do_not_enter() -> None:
    expected = identity(network())
    assert identity(network(slot="other")) == expected
    assert identity(network(skipped=2)) == expected


def test_width_bits_and_dropout_enter() -> None:
    model = network()
    different = [
        identity(model),
        identity(network(width=9)),
        identity(network(dropout=0.1)),
        identity(network(dropout=0.2)),
        identity(model, {"head": 8}),
        identity(model, {"stage1.conv": 8}),
    ]
    assert len(set(different)) == len(different)


def test_explicit_32_bits_equal_the_default() -> None:
    assert identity(network(), {"head": 32}) == identity(network())


def test_bits_of_a_module_without_effect_do_not_enter() -> None:
    assert identity(network(skipped=1), {"skipped0": 8}) == identity(network())


def test_policy_annotations_enter() -> None:
    model = network()
    model.stage1.conv.policy_annotations = {"density": 0.5}
    assert identity(model) != identity(network())


class Branches(nn.Module):
    def __init__(self, *, shared: bool = False, swapped: bool = False, subtract: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = self.first if shared else nn.Conv2d(3, 4, 3, padding=1)
        self.wide = nn.Conv2d(3, 4, 5, padding=2)
        self.swapped, self.subtract = swapped, subtract

    def forward(self, inputs: Tensor) -> Tensor:
        left, right = self.first(inputs), self.wide(self.second(inputs)[:, :3])
        if self.swapped:
            left, right = right, left
        return left - right if self.subtract else left + right


def test_the_order_of_operands_matters_in_differences_but_not_in_sums() -> None:
    assert identity(Branches()) == identity(Branches(swapped=True))
    assert identity(Branches(subtract=True)) != identity(Branches(subtract=True, swapped=True))


def test_sharing_a_module_is_another_network() -> None:
    assert identity(Branches(shared=True)) != identity(Branches())


class Dead(nn.Module):
    def __init__(self, dead: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.unused = nn.Conv2d(3, 8, 3)
        self.dead = dead

    def forward(self, inputs: Tensor) -> Tensor:
        if self.dead:
            self.unused(inputs)
        return self.conv(inputs)


def test_what_reaches_no_output_does_not_count() -> None:
    assert identity(Dead(True)) == identity(Dead(False))
    assert count_macs(Dead(True), SHAPE) == 3 * 4 * 64


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.relu(self.conv(inputs)).mean((2, 3))


def test_modules_and_functions_are_one() -> None:
    class Modules(Functional):
        def __init__(self) -> None:
            super().__init__()
            self.activation = nn.ReLU(inplace=True)

        def forward(self, inputs: Tensor) -> Tensor:
            value = self.activation(self.conv(inputs))
            return torch.mean(value, dim=[-1, -2])

    assert identity(Modules()) == identity(Functional())


class Mutating(nn.Module):
    """Adds an activation to its input. If the activation is in place, the sum is twice the activation."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.activation = nn.ReLU(inplace=inplace)

    def forward(self, inputs: Tensor) -> Tensor:
        value = self.conv(inputs)
        return self.activation(value) + value


def test_in_place_changes_are_followed() -> None:
    graph = trace(Mutating(inplace=True), SHAPE)
    assert graph.nodes[-1].inputs == (2,)
    assert trace(Mutating(inplace=False), SHAPE).nodes[-1].inputs == (2, 1)


class Stubborn(nn.Module):
    """A network that can't be traced: it branches on values of its input's shape, which torch.fx hides."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.conv(inputs) * self.factor if bool(inputs.shape[0] > 0) else inputs


def test_an_untraceable_part_is_one_node_without_op() -> None:
    model = nn.Sequential(OrderedDict(stubborn=Stubborn(2.0), norm=nn.BatchNorm2d(4)))
    graph = trace(model, SHAPE)
    assert [node.name for node in graph.uncovered] == ["stubborn"]
    assert [node.op_name for node in graph.nodes[1:]] == ["Stubborn", "batch_norm"]
    assert count_macs(model, SHAPE) == 36 * 3 * 9 * 4
    other = nn.Sequential(Stubborn(3.0), nn.BatchNorm2d(4))
    assert identity(other) != identity(model)
    assert identity(nn.Sequential(Stubborn(2.0), nn.BatchNorm2d(4))) == identity(model)


def test_an_untraceable_network_is_one_node() -> None:
    graph = trace(Stubborn(2.0), SHAPE)
    assert [node.op_name for node in graph.uncovered] == ["Stubborn"]
    assert graph.nodes[-1].call.output_shape == (1, 4, 6, 6)


def test_tracing_computes_nothing_and_leaves_modes_alone() -> None:
    model = network().to("meta")
    model.stage1.eval()
    modes = [module.training for module in model.modules()]
    assert trace(model, (7, *SHAPE[1:])).nodes[-1].call.output_shape == (7, 10)
    assert [module.training for module in model.modules()] == modes


def test_an_input_that_does_not_fit_names_the_layer() -> None:
    with pytest.raises(SpaceError, match=r"stage1\.conv.*\(1, 5, 8, 8\)"):
        trace(network(), (1, 5, 8, 8))


def test_a_second_input_is_refused() -> None:
    class Two(nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return first + second

    with pytest.raises(SpaceError, match="second"):
        trace(Two(), SHAPE)


def test_layers_and_counts_by_hand() -> None:
    model = network(skipped=1)
    table = layers(model, SHAPE, {"head": 8})
    assert [row["name"] for row in table] == [
        *("stage1.conv", "stage1.norm", "stage1.activation"),
        *("stage2.conv", "stage2.norm", "stage2.activation"),
        *("pool", "flatten", "head"),
    ]
    assert table[3] == {
        "name": "stage2.conv",
        "op": "conv2d",
        "output_shape": [1, 8, 8, 8],
        "parameters": 8 * 8 * 9 + 8,
        "macs": 64 * 8 * 8 * 9,
        "bits": 32,
    }
    assert table[-1]["bits"] == 8
    assert sum(row["parameters"] for row in table) == count_parameters(model)
    assert sum(row["macs"] for row in table) == count_macs(model, SHAPE) == 64 * 8 * 27 + 64 * 8 * 72 + 80


def test_macs_of_a_convolution_equal_those_of_a_loop() -> None:
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)
    height, width = conv(torch.zeros(1, 4, 7, 6)).shape[2:]
    counted = 0
    for _output in range(6 * height * width):
        for _channel in range(4 // 2):
            for _tap in range(3 * 2):
                counted += 1
    assert count_macs(nn.Sequential(conv), (1, 4, 7, 6)) == counted


def test_a_module_used_twice_counts_its_parameters_once_and_its_work_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1, bias=False)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.conv(self.conv(inputs))

    table = layers(Twice(), SHAPE, {})
    assert [(row["name"], row["parameters"], row["macs"]) for row in table] == [
        ("conv", 9, 576),
        ("conv#2", 0, 576),
    ]


def test_a_parameter_outside_of_layers_counts_where_it_is_used() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(3, 1, 1))

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs * self.gamma.expand(3, 1, 1)

    model = nn.Sequential(Scaled(), Scaled())
    table = layers(model, SHAPE, {})
    assert [(row["name"], row["op"], row["parameters"]) for row in table] == [
        ("0.mul", "elementwise", 3),
        ("1.mul", "elementwise", 3),
    ]
