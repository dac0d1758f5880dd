from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from pathlib import Path

import pytest
import timm
import torch

from nas.errors import PlanError
from nas.export.weights import save_weights
from nas.graph.identity import count_parameters
from nas.space.chooser import ReplayChooser
from nas.tasks import make_task
from search_spaces.timm_model import TimmModel


def test_an_unknown_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(PlanError, match="no model 'resnet8'; did you mean 'resnet"):
        TimmModel("resnet8")


@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224"])
def test_a_model_is_timms_for_this_task(name: str) -> None:
    task = make_task("digits", image_size=32)
    with torch.device("meta"):
        model = TimmModel(name).build(ReplayChooser({}), task)
        size = {"img_size": 32} if name.startswith("vit") else {}
        theirs = timm.create_model(name, num_classes=10, in_chans=1, **size)
        assert model.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 10)
    assert count_parameters(model) == count_parameters(theirs)


def test_an_image_too_small_for_the_model_is_refused() -> None:
    with torch.device("meta"), pytest.raises(PlanError, match="vit_tiny"):
        TimmModel("vit_tiny_patch16_224").build(ReplayChooser({}), make_task("digits", image_size=8))


def test_published_weights_fit_but_for_stem_and_classifier(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = timm.create_model("resnet10t")
    save_weights(published, tmp_path / "model.safetensors")
    task = make_task("digits", image_size=32)
    model = TimmModel("resnet10t", weights=str(tmp_path / "model.safetensors")).build(ReplayChooser({}), task)
    theirs = published.state_dict()
    fitting = [name for name, value in model.state_dict().items() if torch.equal(value, theirs[name])]
    assert set(theirs) - set(fitting) == {"conv1.0.weight", "fc.weight", "fc.bias"}
