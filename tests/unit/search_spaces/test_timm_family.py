from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from nas.errors import PlanError
from nas.export.weights import save_weights
from nas.graph.tracing import trace
from nas.space.chooser import PositionChooser, RandomChooser, ReplayChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces.families import FAMILIES, fitting_strides
from search_spaces.timm_family import TimmFamily


def members() -> Iterator[Any]:
    for family in FAMILIES.names():
        for name in FAMILIES.get(family).published:
            yield pytest.param(family, name, id=name)


@pytest.mark.parametrize(("family", "name"), list(members()))
def test_published_networks_are_points_of_the_space(family: str, name: str) -> None:
    """Names and shapes of all tensors equal timm's, and therefore the number of parameters too."""
    chooser = ReplayChooser(FAMILIES.get(family).published[name])
    with torch.device("meta"):
        model = FAMILIES.get(family)("paper").build(chooser, (3, 224, 224), 1000)
        theirs = timm.create_model(name)
    chooser.finish()
    expected = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    assert {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()} == expected
    # `count_parameters` would not do: it leaves out branches that are merged when deployed.
    assert sum(item.numel() for item in model.parameters()) == sum(item.numel() for item in theirs.parameters())


def test_an_unknown_family_is_refused_with_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"'convnet'; did you mean 'convnext'\? Known: byobnet, convnext, eff"):
        TimmFamily("convnet")
    with pytest.raises(PlanError, match="allowed: small, paper"):
        TimmFamily("vit", preset="large")


def test_a_policy_that_asks_site_by_site_sees_a_fixed_vector() -> None:
    task = make_task("digits", image_size=16)
    policies = ({"name": "precision", "scope": "site"},)
    searched = Searched(TimmFamily("byobnet"), {"name": "timm_family"}, policies, task)
    asked, chosen = set(), set()
    for seed in range(6):
        chooser = RandomChooser(seed)
        network = searched.sample(chooser)
        asked.add(tuple(chooser.questions))
        chosen.add(tuple(network.architecture.choices))
    assert len(asked) == 1
    assert len(chosen) > 1


def test_weights_of_another_family_are_refused(tmp_path: Path) -> None:
    save_weights(timm.create_model("lcnet_035"), tmp_path / "lcnet.safetensors")
    space = TimmFamily("vit", weights=str(tmp_path / "lcnet.safetensors"))
    with torch.device("meta"), pytest.raises(PlanError, match="same architecture"):
        space.build(RandomChooser(0), make_task("digits", image_size=16))


def test_a_task_that_wants_maps_is_refused() -> None:
    task = make_task("shapes_segmentation", image_size=32)
    with torch.device("meta"), pytest.raises(PlanError, match="timm_family returns classes"):
        TimmFamily().build(RandomChooser(0), task)


def test_as_many_strides_as_leave_two_pixels() -> None:
    assert fitting_strides(16, [2, 2, 2, 1]) == [2, 2, 2, 1]
    assert fitting_strides(8, [2, 2, 2, 1]) == [1, 2, 2, 1]
    assert fitting_strides(4, [1, 2, 2, 1]) == [1, 1, 2, 1]
    assert fitting_strides(5, [2, 2]) == [2, 2]
    assert fitting_strides(1, [2, 2]) == [1, 1]


@pytest.mark.parametrize("size", [8, 16, 32])
def test_small_images_leave_kernels_that_reach_a_pixel(size: int) -> None:
    task = make_task("digits", image_size=size)
    with torch.device("meta"):
        model = TimmFamily("convnext", preset="paper").build(PositionChooser(1.0), task)
    depthwise = [node for node in trace(model, (1, *task.input_shape)).nodes if node.path.endswith("conv_dw")]
    assert depthwise
    for node in depthwise:
        conv = node.call.module
        assert isinstance(conv, nn.Conv2d)
        assert conv.dilation[0] * (conv.kernel_size[0] // 2) <= node.call.input_shapes[0][-1] - 1
