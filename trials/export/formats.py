"""Write an exported network in further formats, compare each with the network, and score it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from nas.errors import PlanError
from nas.export import Artifact
from nas.export.formats import Format, FormatOptions, Run, Source, make_formats
from nas.export.formats.compare import check_outputs
from nas.space import Network
from nas.tasks import Split, Task
from nas.tasks.scoring import scores_of
from trials.export.answers import SPLITS, compared_inputs
from trials.jobs.candidate import calibration_of
from trials.plans.problem import Problem, target_specs

#: Number of inputs that a file for any number runs at once.
BATCH = 64
#: Inputs are read in portions of this size: a format with an environment of its own starts a process for each.
PORTION_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Formats:
    """The formats that an export writes besides the measured file."""

    made: Mapping[str, Format] = field(default_factory=dict)
    options: FormatOptions = field(default_factory=FormatOptions)

    @classmethod
    def of(
        cls,
        names: list[str],
        *,
        opset: int | None = None,
        dynamic_batch: bool = False,
        pythons: Mapping[str, str] | None = None,
    ) -> Formats:
        """Make formats by their names; ``pythons`` has the Python of formats with an environment of their own.

        Raises:
            PlanError: options are given that none of the formats has.
            UnknownNameError: there is no such format.
            MissingPackageError: a package is not installed.
        """
        if opset is not None and "onnx" not in names:
            raise PlanError(f"--opset {opset} applies only to --format onnx; add it")
        if dynamic_batch and not names:
            raise PlanError("a file for any batch size is a further file; name its format, such as --format onnx")
        if unused := sorted(set(pythons or {}) - set(names)):
            raise PlanError(f"a Python is named for {unused[0]!r}, which is not written; add --format {unused[0]}")
        return cls(make_formats(names, pythons), FormatOptions(opset, dynamic_batch))


def write_formats(
    problem: Problem, network: Network, artifact: Artifact, formats: Formats, folder: Path
) -> list[dict[str, Any]]:
    """Write all formats into ``folder``; returns their files, requirements, differences from torch, and scores.

    Raises:
        ExportError: a format can't hold the network, which is checked for all before the first is written, or its files
            compute something else.
    """
    source = _source(problem, network, artifact, formats.options)
    for made in formats.made.values():
        made.check(source)
    return [_written(problem, source, name, made, folder) for name, made in formats.made.items()]


def _source(problem: Problem, network: Network, artifact: Artifact, options: FormatOptions) -> Source:
    spec = next(iter(target_specs(problem.plan).values()))
    # The kernels of another device can't be built here.
    runtime = problem.runtime if spec.address else spec.runtime
    inputs, steps = calibration_of(problem, network), problem.task.preprocessing()
    return Source(network, artifact, inputs, runtime, spec.threads, options, steps)


def _written(problem: Problem, source: Source, name: str, made: Format, folder: Path) -> dict[str, Any]:
    files = made.write(source, folder)
    error = check_outputs(made, source, folder, files, compared_inputs(problem), name)
    run = made.open(folder, BATCH)
    return {
        "format": name,
        "files": [{"name": path.relative_to(folder).as_posix(), "size_bytes": path.stat().st_size} for path in files],
        "requirements": made.requirements(),
        "relative_error": error,
        "scores": {split: split_scores(problem.task, run, split) for split in SPLITS},
    }


def split_scores(task: Task, run: Run, split: Split) -> dict[str, float]:
    """Scores of a split; ``run`` is called for large portions of it, because each call may start a process."""
    outputs, targets = [], []
    portion = max(BATCH, PORTION_BYTES // (4 * prod(task.input_shape)))
    for inputs, answers in DataLoader(task.dataset(split), batch_size=portion):
        outputs.append(run(inputs.numpy()))
        targets.append(torch.as_tensor(answers).numpy())
    return scores_of(task, np.concatenate(outputs), np.concatenate(targets))
