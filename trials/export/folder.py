"""What an exported folder holds for somebody who has nothing else: samples, ``about.json``, ``run.py``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.tasks import Task
from trials.plans.problem import Problem

NUM_SAMPLES = 16


def write_samples(task: Task, folder: Path) -> None:
    """Write ``samples.npz``: test inputs with their targets, as many of each class as there are places."""
    data: Any = task.dataset("test")
    items = [data[index] for index in _drawn(data)]
    np.savez(
        folder / "samples.npz",
        inputs=np.stack([inputs.numpy() for inputs, _ in items]),
        targets=np.stack([np.asarray(target) for _, target in items]),
    )


def write_about(problem: Problem, scores: Mapping[str, Mapping[str, float]], folder: Path) -> None:
    """Write ``about.json``: what goes into the network, what its outputs mean, how it scores."""
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


def copy_into(made: Path, folder: Path) -> None:
    """Copy all that ``made`` holds, folders of a runtime's own included; other files in ``folder`` stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in made.iterdir():
        if item.is_dir():
            shutil.copytree(item, folder / item.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(item, folder / item.name)


def _drawn(data: Any) -> list[int]:
    """Indices of the samples: the classes take turns, the examples of each in an order drawn with a fixed seed."""
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
    """The class of each example; None where an example is not of one class."""
    targets = data.targets if hasattr(data, "targets") else [np.asarray(data[index][1]) for index in range(len(data))]
    found = np.asarray(targets)
    return found if found.ndim == 1 else None
