"""Models of timm with weights from a file, as teachers."""

from __future__ import annotations

import nas.torchvision_fix  # noqa: F401  isort: skip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from nas.errors import PlanError
from nas.registry import nearest

if TYPE_CHECKING:
    from nas.tasks import Task


def timm_teacher(name: str, weights: Path, task: Task) -> nn.Module:
    """Load a model of timm for the channels, image size and classes of a task, in evaluation mode.

    Raises:
        PlanError: timm has no such model, the file can't be read, or its weights are those of another model or of
            another number of classes.
    """
    if name not in (names := timm.list_models()):
        raise PlanError(f"teacher: timm {timm.__version__} has no model {name!r}{nearest(name, names)}")
    state = _read(weights)
    model = _made(name, task)
    expected = model.state_dict()
    _check_classes(model, state, expected, task)
    if problems := [key for key in {**expected, **state} if _shape(expected, key) != _shape(state, key)]:
        raise PlanError(
            f"teacher: {weights} does not hold the weights of {name} for inputs {tuple(task.input_shape)}: "
            f"{len(problems)} tensors differ, the first is {problems[0]}; give the weights of this model, trained on "
            "this task"
        )
    model.load_state_dict(state)
    return model.eval()


def _made(name: str, task: Task) -> nn.Module:
    channels, height, width = task.input_shape
    # Networks with position embeddings need the size of the image.
    fixed = getattr(timm.get_pretrained_cfg(name, allow_unregistered=True), "fixed_input_size", False)
    size = {"img_size": (height, width)} if fixed else {}
    with torch.random.fork_rng(devices=[]):
        model: nn.Module = timm.create_model(name, num_classes=task.num_outputs, in_chans=channels, **size)
    return model


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        state: dict[str, torch.Tensor] = load_file(path)
        return state
    except FileNotFoundError:
        raise PlanError(f"teacher: there is no file {path}; give a safetensors file with the model's weights") from None
    except (OSError, SafetensorError) as error:
        raise PlanError(f"teacher: {path} can't be read as a safetensors file: {error}") from None


def _check_classes(model: Any, state: dict[str, Any], expected: dict[str, Any], task: Task) -> None:
    """Raise PlanError if the file's classifier has another number of classes than the task."""
    heads = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    for head in (heads,) if isinstance(heads, str) else heads:
        ours, theirs = _shape(expected, f"{head}.weight"), _shape(state, f"{head}.weight")
        if ours and theirs and ours[0] != theirs[0]:
            raise PlanError(
                f"teacher: its weights are for {theirs[0]} classes, but the task has {task.num_outputs}; give a model "
                "that was trained on this task"
            )


def _shape(state: dict[str, Any], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
