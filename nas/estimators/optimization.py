"""Optimizer, learning-rate schedule, mixed precision, averaging of weights and mixing of images, based on timm."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
import inspect
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from timm.data import Mixup
from timm.optim import create_optimizer_v2, get_optimizer_class
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import nn

from nas.errors import PlanError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.estimators.recipe import Recipe
    from nas.tasks import Task


class Optimization:
    """The state of a training besides the network itself: optimizer, schedule, gradient scaler, average."""

    def __init__(self, recipe: Recipe, model: nn.Module, steps_per_epoch: int, device: torch.device) -> None:
        self._recipe = recipe
        self._model = model
        self._steps_per_epoch = steps_per_epoch
        self.restart()
        self._type = _mixed_type(recipe, device)
        self._device = device
        # Only float16 needs scaled gradients; otherwise the scaler does nothing.
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._type is torch.float16)
        #: The moving average of the weights, if the recipe has one.
        self.average = (
            ModelEmaV3(model, decay=recipe.ema_decay, use_warmup=recipe.ema_warmup)
            if recipe.ema_decay is not None
            else None
        )

    def restart(self) -> None:
        """Make a new optimizer and start its schedule again; the average starts again at step 0."""
        recipe = self._recipe
        self._optimizer = create_optimizer_v2(
            self._model,
            opt=recipe.optimizer,
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            **_fused(recipe.optimizer),
        )
        self._scheduler = _scheduler(recipe, self._optimizer, self._steps_per_epoch)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def precision(self) -> AbstractContextManager[Any]:
        """Context manager of mixed precision for a forward pass."""
        if self._type is None:
            return nullcontext()
        return torch.autocast(self._device.type, self._type)

    def step(self, loss: Tensor, number: int) -> None:
        """Make optimizer step ``number`` (from 0) for ``loss``."""
        if self._scheduler is not None:
            self._scheduler.step_update(number)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._recipe.clip_grad is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.clip_grad)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self.average is not None:
            self.average.update(self._model, step=number + 1)

    def state(self) -> dict[str, Any]:
        """State for ``load``; the schedule is a function of the step and needs no state."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, state: Mapping[str, Any], average: Mapping[str, Tensor] | None) -> None:
        """Restore what ``state`` returned, and the state of the average."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        if self.average is not None and average is not None:
            self.average.module.load_state_dict(dict(average))


def pick_device(recipe: Recipe) -> torch.device:
    """The device to train on.

    Raises:
        PlanError: the plan requires a GPU and there is none.
    """
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise PlanError("estimator: device: 'cuda', but torch finds no GPU on this machine; use auto or cpu")
    wanted = recipe.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda", torch.cuda.current_device()) if wanted else torch.device("cpu")


def make_mixup(recipe: Recipe, task: Task) -> Mixup | None:
    """The mixing of pairs of images, which also smooths labels; None if the recipe does not mix.

    Raises:
        PlanError: the task's targets can't be mixed.
    """
    if not recipe.mixup and not recipe.cutmix:
        return None
    if not task.supports_mixup:
        raise PlanError(
            f"estimator: mixup and cutmix need one class per image, unlike in {type(task).__name__}; set both to 0"
        )
    return Mixup(
        mixup_alpha=recipe.mixup,
        cutmix_alpha=recipe.cutmix,
        label_smoothing=recipe.label_smoothing,
        num_classes=task.num_outputs,
    )


def _mixed_type(recipe: Recipe, device: torch.device) -> torch.dtype | None:
    if device.type != "cuda":
        return torch.bfloat16 if recipe.amp == "bfloat16" else None
    if recipe.amp == "off":
        return None
    if recipe.amp == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if recipe.amp == "bfloat16" else torch.float16


def _fused(name: str) -> dict[str, bool]:
    """Settings that make torch's own optimizers step all tensors in one call, four times as fast for small tensors."""
    known = inspect.signature(get_optimizer_class(name, bind_defaults=False)).parameters
    return {"fused": True} if "fused" in known else {}


def _scheduler(recipe: Recipe, optimizer: torch.optim.Optimizer, steps_per_epoch: int) -> Any:
    if recipe.scheduler == "none":
        return None
    scheduler, _ = create_scheduler_v2(
        optimizer,
        sched=recipe.scheduler,
        num_epochs=recipe.epochs,
        warmup_epochs=min(recipe.warmup_epochs, recipe.epochs - 1),
        warmup_lr=recipe.learning_rate / 10,
        min_lr=recipe.min_learning_rate,
        decay_epochs=recipe.decay_epochs,
        decay_rate=recipe.decay_rate,
        step_on_epochs=False,
        updates_per_epoch=steps_per_epoch,
    )
    return scheduler
