from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nas.graph.identity import trace
from nas.ops import OPS, op_name, op_of_module, op_of_target


def test_ops_are_found_by_class_function_and_method() -> None:
    found = [op_of_module(nn.ReLU()), op_of_target(F.relu), op_of_target(torch.relu), op_of_target("relu")]
    assert [op_name(op) for op in found if op is not None] == ["activation"] * 4


def test_a_subclass_is_not_its_parent() -> None:
    class Noisy(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input) + 1

    assert op_of_module(Noisy(1, 1, 1)) is None


def test_no_two_ops_cover_the_same_thing() -> None:
    targets = [target for name in OPS.names() for target in OPS.get(name).targets]
    assert len(targets) == len(set(targets))


def test_calls_an_emitter_can_not_write_count_as_uncovered() -> None:
    shape = (1, 2, 6, 6)
    models: list[nn.Module] = [
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(2, track_running_stats=False),
        nn.AdaptiveAvgPool2d(4),
        nn.Upsample(scale_factor=1.25, mode="bilinear"),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        nn.AvgPool2d(2, divisor_override=3),
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
    ]
    for model in models:
        assert len(trace(nn.Sequential(model), shape).uncovered) == 1, model


def test_work_of_uncovered_nodes_is_counted_by_torch() -> None:
    covered = trace(nn.Sequential(nn.Conv2d(2, 3, 3, padding=1)), (1, 2, 5, 5))
    reflecting = nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect")
    uncovered = trace(nn.Sequential(reflecting), (1, 2, 5, 5))
    assert uncovered.nodes[-1].macs == covered.nodes[-1].macs == 25 * 3 * 18
