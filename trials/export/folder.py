"""Files of an exported folder that say what goes into the network and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.export import Artifact
from nas.export.checking.check import file_answers
from nas.tasks.preparation import normalized
from trials.plans.problem import Problem

NUM_SAMPLES = 16


def write_preprocessing(problem: Problem, folder: Path) -> dict[str, Any]:
    """Write and return ``preprocessing.json``: the input, the steps from an image to it, and names of the outputs."""
    task = problem.task
    steps = {
        "input": {"shape": list(problem.input_shape()), "axes": "NCHW", "type": "float32"},
        **task.preprocessing(),
        "labels": list(task.class_names),
    }
    (folder / "preprocessing.json").write_text(json.dumps(steps, indent=2), encoding="utf-8")
    return steps


def write_golden(problem: Problem, artifact: Artifact, steps: dict[str, Any], folder: Path) -> None:
    """Write ``golden.npz``: test inputs, drawn evenly from the classes, and what the measured file makes of them.

    It contains ``inputs`` ``(M, C, H, W)``, ``outputs``, ``targets``; ``labels``, the names of the targets, if each is
    one class; and ``pixels`` ``(M, H, W, C)`` uint8, if the inputs are exactly these pixels, normalized.
    """
    data: Any = problem.task.dataset("test")
    items = [data[index] for index in _drawn(data)]
    inputs, targets = np.stack([item[0].numpy() for item in items]), np.stack([np.asarray(item[1]) for item in items])
    outputs, _ = file_answers(artifact.path, torch.from_numpy(inputs), problem.runtime)
    arrays: dict[str, Any] = {"inputs": inputs, "outputs": outputs, "targets": targets}
    if steps["labels"] and targets.ndim == 1:
        arrays["labels"] = np.array([steps["labels"][target] for target in targets])
    if (pixels := _pixels(inputs, steps)) is not None:
        arrays["pixels"] = pixels
    np.savez_compressed(folder / "golden.npz", **arrays)


def _pixels(inputs: np.ndarray, steps: dict[str, Any]) -> np.ndarray | None:
    """The pixels that ``preparation.normalized`` turns into exactly these inputs; None if there are none."""
    if "mean" not in steps:
        return None
    mean, std = (np.array(steps[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    found = np.rint((inputs * std + mean) * steps["divide_by"])
    if found.min() < 0 or found.max() > 255:
        return None
    pixels = np.ascontiguousarray(found.astype(np.uint8).transpose(0, 2, 3, 1))
    return pixels if np.array_equal(normalized(pixels, steps), inputs) else None


def _drawn(data: Any) -> list[int]:
    """Return the indices of the samples: classes take turns, and the order within each class has a fixed seed."""
    order = np.random.default_rng(0).permutation(len(data))
    targets = _targets(data)
    if targets is None:
        return sorted(order[:NUM_SAMPLES].tolist())
    turn = {int(index): 0 for index in order}
    seen: dict[int, int] = {}
    for index in order:
        label = int(targets[index])
        turn[int(index)] = seen[label] = seen.get(label, -1) + 1
    return sorted(turn, key=lambda index: turn[index])[:NUM_SAMPLES]


def _targets(data: Any) -> np.ndarray | None:
    """Return the class of each example; None if the examples do not have a single class each."""
    targets = data.targets if hasattr(data, "targets") else [np.asarray(data[index][1]) for index in range(len(data))]
    found = np.asarray(targets)
    return found if found.ndim == 1 else None
