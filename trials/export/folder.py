"""Files that make an exported folder self-contained: samples and ``about.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.tasks import Task
from trials.plans.problem import Problem

NUM_SAMPLES = 16


def write_samples(task: Task, folder: Path) -> None:
    """Write ``samples.npz``: test inputs with their targets, drawn evenly from the classes."""
    data: Any = task.dataset("test")
    items = [data[index] for index in _drawn(data)]
    np.savez(
        folder / "samples.npz",
        inputs=np.stack([inputs.numpy() for inputs, _ in items]),
        targets=np.stack([np.asarray(target) for _, target in items]),
    )


def write_about(problem: Problem, scores: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Write ``about.json``: how inputs are prepared, what the outputs mean, and the network's scores."""
    task = problem.task
    shape = problem.input_shape()
    about = {
        "classes": list(task.class_names),
        "input": {
            "shape": list(shape),
            "axes": ["batch", "channels", "height", "width"],
            "channels": "RGB" if shape[1] == 3 else "grey" if shape[1] == 1 else shape[1],
            "type": "float32",
            "pixels": "scaled to 0 … 1, then minus mean and divided by std, for each channel",
            **task.preprocessing(),
        },
        "scores": {split: dict(found) for split, found in scores.items()},
    }
    (folder / "about.json").write_text(json.dumps(about, indent=2))


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
