"""Distillation: the loss of a network against a teacher, for example the dense network that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from nas.space.site import find_sites

if TYPE_CHECKING:
    from nas.tasks import Task


class Distillation:
    """Sum of three losses: labels, the teacher's outputs, and the features of all layers (GPUSQ-ViT, Yu et al. 2023).

    The features of a layer are weighted by the relative error that masks and rounding cause in its weights, so that the
    student follows the teacher most where compression harms most. Difference from the paper: it uses the error of
    quantized features as the weight; the error of weights needs no second forward pass and covers masks too.

    Args:
        task: task whose loss is used for the labels.
        teacher: the network to learn from, which is frozen here. With ``features``, it has the same layers as the
            student, under the same paths.
        temperature: temperature of the softened outputs.
        hard: weight of the labels; 0 trains without labels.
        soft: weight of the teacher's outputs.
        features: weight of the teacher's features; with 0, features are not compared.
    """

    def __init__(
        self, task: Task, teacher: nn.Module, *, temperature: float, hard: float, soft: float, features: float = 0.0
    ) -> None:
        self._task, self._teacher = task, teacher.eval().requires_grad_(False)
        self._temperature, self._hard, self._soft, self._features = temperature, hard, soft, features
        self._paths = [site.module for site in find_sites(teacher, "weight") if site.active] if features else []

    def __call__(self, student: nn.Module, inputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """Loss of a batch, as a scalar."""
        with torch.no_grad(), _observed(self._teacher, self._paths) as wanted:
            answers = self._teacher(inputs)
        with _observed(student, self._paths) as found:
            outputs = student(inputs)
        loss = self._hard * self._task.loss(outputs, targets, label_smoothing=smoothing)
        loss = loss + self._soft * soft_loss(outputs, answers, self._temperature)
        if not self._features:
            return loss
        errors = layer_errors(student, self._paths)
        return loss + self._features * feature_loss(found, wanted, errors)


def soft_loss(outputs: Tensor, answers: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence over dimension 1, at a temperature, times its square (Hinton et al. 2015)."""
    ours, theirs = (F.log_softmax(item.float() / temperature, dim=1) for item in (outputs, answers))
    return (theirs.exp() * (theirs - ours)).sum(dim=1).mean() * temperature**2


def feature_loss(found: Sequence[Tensor], wanted: Sequence[Tensor], errors: Tensor) -> Tensor:
    """Mean squared differences, relative to the teacher's mean squares, weighted over layers.

    Args:
        found: the student's features, one tensor per layer.
        wanted: the teacher's features.
        errors: weights of the layers ``(L,)``; equal weights are used if all are 0.
    """
    weights = torch.where(errors.sum() > 0, errors / errors.sum().clamp(min=1e-12), 1 / len(errors))
    losses = [
        F.mse_loss(ours.float(), theirs.float()) / theirs.float().square().mean().clamp(min=1e-12)
        for ours, theirs in zip(found, wanted, strict=True)
    ]
    return (weights * torch.stack(losses)).sum()


@torch.no_grad()
def layer_errors(model: nn.Module, paths: Sequence[str]) -> Tensor:
    """The change of each layer's weights by masks and rounding, relative to their norm, ``(L,)``."""
    return torch.stack([_error(model.get_submodule(path)) for path in paths])


def _error(module: nn.Module) -> Tensor:
    if not parametrize.is_parametrized(module, "weight"):
        return next(module.parameters()).new_zeros(())
    stacked: Any = module.parametrizations["weight"]  # type: ignore[index]
    weight, original = module.weight, stacked.original
    assert isinstance(weight, Tensor)
    error: Tensor = torch.linalg.vector_norm(weight - original) / torch.linalg.vector_norm(original).clamp(min=1e-12)
    return error


@contextmanager
def _observed(model: nn.Module, paths: Sequence[str]) -> Iterator[list[Tensor]]:
    """Yield a list that has the outputs of the modules at ``paths`` after the block, which must call the model."""
    outputs: dict[str, Tensor] = {}
    found: list[Tensor] = []

    def keep(path: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs[path] = output

        return hook

    handles = [model.get_submodule(path).register_forward_hook(keep(path)) for path in paths]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
        found += [outputs[path] for path in paths if path in outputs]
