"""The recipe of a training, as a plan gives it."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from timm.optim import list_optimizers

from nas.errors import PlanError
from nas.registry import nearest

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Count0 = Annotated[int, Field(ge=0)]


class Recipe(BaseModel):
    """Parameters of ``training`` and their defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: Count = 12
    #: Of training; a last batch that is not full is left out.
    batch_size: Count = 64
    #: Any optimizer of timm.
    optimizer: str = "adamw"
    learning_rate: Positive = 4e-3
    weight_decay: NonNegative = 0.02
    momentum: Share = 0.9
    #: timm's schedules, moved every step; or none.
    scheduler: Literal["cosine", "tanh", "step", "poly", "none"] = "cosine"
    #: Epochs from a tenth of ``learning_rate`` up to it; fewer where there are fewer epochs.
    warmup_epochs: Count0 = 1
    min_learning_rate: NonNegative = 1e-5
    #: ``step`` multiplies the rate by ``decay_rate`` every so many epochs; for ``poly`` it is the power.
    decay_epochs: Count = 4
    decay_rate: Positive = 0.3
    label_smoothing: Share = 0.0
    #: Alpha of mixup and of CutMix; 0 is off.
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0
    #: Decay a step of a moving average of the weights, which then is what is judged and kept.
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    #: Largest norm of the gradient.
    clip_grad: Positive | None = None
    #: Stop after so many epochs without the task's first metric improving by ``min_delta``; None never stops.
    patience: Count | None = None
    min_delta: NonNegative = 0.0
    #: Train with the task's augmentation.
    augment: bool = True
    num_workers: Count0 = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Mixed precision on a GPU: what it does best, one of the two types, or off. A CPU trains in float32.
    amp: Literal["auto", "bfloat16", "float16", "off"] = "auto"
    channels_last: bool = True
    #: With a checkpoint, steps between two of them within an epoch; there is one at its end anyway.
    checkpoint_steps: Count = 200


def make_recipe(parameters: dict[str, Any]) -> Recipe:
    """A recipe from a plan's values.

    Raises:
        PlanError: one is unknown or out of range.
    """
    known = list(Recipe.model_fields)
    for key, value in parameters.items():
        if key not in known:
            hint = nearest(key, ["name", *known], f"it takes: {', '.join(known)}")
            raise PlanError(f"estimator: training has no parameter {key!r}{hint}")
        if isinstance(value, bool) and Recipe.model_fields[key].annotation is not bool:
            raise PlanError(f"estimator: training: {key}: {value!r}; true and false are no value here")
    try:
        recipe = Recipe(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise PlanError(f"estimator: training: {name}: {first['input']!r}; {first['msg']}") from None
    optimizers = list_optimizers()
    if recipe.optimizer.lower() not in optimizers:
        hint = nearest(recipe.optimizer.lower(), optimizers, f"known: {', '.join(optimizers)}")
        raise PlanError(f"estimator: training: timm has no optimizer {recipe.optimizer!r}{hint}")
    return recipe
