"""The recipe of a training, as a plan sets it."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from timm.optim import list_optimizers

from nas.errors import PlanError
from nas.halving import Halving
from nas.registry import nearest

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Count0 = Annotated[int, Field(ge=0)]


class Recipe(BaseModel):
    """Parameters of the estimator ``training``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: Largest number of epochs.
    epochs: Count = 12
    #: Number of examples per training step. An epoch has floor(images / batch_size) steps: a last batch that is not
    #: full is left out. Small data sets need a smaller value, or the network is trained for too few steps.
    batch_size: Count = 64
    #: Name of any optimizer of timm.
    optimizer: str = "adamw"
    #: Highest learning rate; begin with 0.0003 if the space has ``weights``.
    learning_rate: Positive = 4e-3
    #: Weight decay.
    weight_decay: NonNegative = 0.02
    #: Momentum, for optimizers that have one.
    momentum: Share = 0.9
    #: timm's schedule, which changes the learning rate in every step: ``cosine``, ``tanh``, ``step``, ``poly`` or
    #: ``none``.
    scheduler: Literal["cosine", "tanh", "step", "poly", "none"] = "cosine"
    #: Epochs in which the learning rate rises from a tenth to its full value; fewer if there are fewer epochs.
    warmup_epochs: Count0 = 1
    #: Learning rate at the end of the schedule.
    min_learning_rate: NonNegative = 1e-5
    #: For ``step``: number of epochs between two decays.
    decay_epochs: Count = 4
    #: For ``step``: factor of a decay; for ``poly``: the power.
    decay_rate: Positive = 0.3
    #: Label smoothing.
    label_smoothing: Share = 0.0
    #: Alpha of mixup; 0 switches it off.
    mixup: NonNegative = 0.0
    #: Alpha of cutmix; 0 switches it off.
    cutmix: NonNegative = 0.0
    #: Decay of a moving average of the weights, which is then scored and shipped; off by default.
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    #: Let the decay of the average rise to ``ema_decay`` during the training, so that short trainings do not keep their
    #: first weights in it.
    ema_warmup: bool = False
    #: Largest norm of the gradient; off by default.
    clip_grad: Positive | None = None
    #: Stop after this many epochs without an improvement of the task's first metric; off by default.
    patience: Count | None = None
    #: Smallest change that counts as an improvement.
    min_delta: NonNegative = 0.0
    #: Compare trainings after few epochs, and finish only the best ones (asynchronous successive halving): a mapping of
    #: ``factor`` (default 3: one in three goes on) and ``first_epochs`` (default: ``epochs`` / ``factor``²). Off by
    #: default. See docs/how-to/halving.md.
    halving: Halving | None = None
    #: Use the augmentation of the task.
    augment: bool = True
    #: Number of processes that load data.
    num_workers: Count0 = 0
    #: ``auto``, ``cpu`` or ``cuda``.
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Mixed precision: ``bfloat16``, ``float16``, ``off``, or ``auto`` for the best type of the GPU. A CPU trains in
    #: float32, unless this is ``bfloat16``.
    amp: Literal["auto", "bfloat16", "float16", "off"] = "auto"
    #: Store feature maps with channels last.
    channels_last: bool = True
    #: Number of steps between two checkpoints within an epoch; the end of an epoch always has one.
    checkpoint_steps: Count = 200


def make_recipe(parameters: dict[str, Any]) -> Recipe:
    """Make a recipe from the parameters of a plan.

    Raises:
        PlanError: a parameter is unknown or out of range.
    """
    known = list(Recipe.model_fields)
    for key, value in parameters.items():
        if key not in known:
            hint = nearest(key, ["name", *known], f"it takes: {', '.join(known)}")
            raise PlanError(f"estimator: training has no parameter {key!r}{hint}")
        if isinstance(value, bool) and Recipe.model_fields[key].annotation is not bool:
            raise PlanError(f"estimator: training: {key} is {value!r}; it takes no true or false")
    try:
        recipe = Recipe(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise PlanError(
            f"estimator: training: {name} is {first['input']!r}; {first['msg'][:1].lower()}{first['msg'][1:]}"
        ) from None
    if recipe.halving is not None and not recipe.halving.rungs(recipe.epochs):
        shortest = recipe.halving.first_epochs or recipe.epochs
        raise PlanError(
            f"estimator: training: halving.first_epochs is {shortest}, but a training has {recipe.epochs} epochs; give "
            "fewer first_epochs or more epochs"
        )
    optimizers = list_optimizers()
    if recipe.optimizer.lower() not in optimizers:
        hint = nearest(recipe.optimizer.lower(), optimizers, f"known: {', '.join(optimizers)}")
        raise PlanError(f"estimator: training: timm has no optimizer {recipe.optimizer!r}{hint}")
    return recipe
