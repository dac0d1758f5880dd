"""Any model of timm, unchanged, as a baseline or as a network whose layers policies search over."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from collections.abc import Mapping, Sequence
from typing import Any

import timm
from torch import nn

from nas.errors import PlanError
from nas.layers.rep_vgg import merge_when_deployed
from nas.registry import nearest
from nas.space import Chooser, SearchSpace
from nas.space.start import Start
from nas.tasks import Task
from search_spaces.answers import check_answers
from search_spaces.timm_recipe import record_recipe


class TimmModel(SearchSpace):
    """One model of timm (Wightman 2019), built for the channels, image size and classes of the task.

    Use it as a baseline, or as a network whose layers policies search over. It has no choices.

    Args:
        model: name of the model in timm, without the tag of its weights.
        weights: local safetensors file to start from; tensors that do not fit, such as a classifier for other classes,
            start with random values.
    """

    paths = ("weights",)

    def __init__(self, model: str = "resnet18", weights: str | None = None) -> None:
        names = timm.list_models()
        if model not in names:
            hint = nearest(str(model), names, f"{len(names)} are listed by timm.list_models()")
            raise PlanError(f"timm_model: timm {timm.__version__} has no model {model!r}{hint}")
        self._model = model
        self._start = Start.of(weights)

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        """See ``SearchSpace.build``."""
        channels, height, width = task.input_shape
        # Networks with position embeddings need the size of the image.
        fixed = getattr(timm.get_pretrained_cfg(self._model, allow_unregistered=True), "fixed_input_size", False)
        size = {"img_size": (height, width)} if fixed else {}
        arguments = {"num_classes": task.num_outputs, "in_chans": channels, **size}
        model: nn.Module = timm.create_model(self._model, **arguments)
        record_recipe(model, self._model, **arguments)
        merge_when_deployed(model)
        check_answers(model, task, self._model)
        self._start.apply(model)
        return model

    def start(self) -> Mapping[str, Any]:
        """The weights to start from."""
        return self._start.identity()

    def trained(self, model: nn.Module) -> bool:
        """See ``SearchSpace.trained``."""
        return self._start.fills(model)

    @classmethod
    def examples(cls) -> Sequence[SearchSpace]:
        """See ``SearchSpace.examples``."""
        return [cls("resnet10t")]
