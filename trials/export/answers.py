"""Run a deployed file in every runtime that can open it, and score its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal

import torch
from torch import Tensor

from nas.errors import NasError
from nas.export import Artifact
from nas.export.checking.check import relative_error
from nas.export.checking.evaluate import deployed_outputs
from nas.latency.runtimes import RUNTIMES, Runtime, make_runtime
from nas.quantization.precision import BITS
from nas.space import Network
from nas.tasks.intervals import Interval, score_intervals
from nas.tasks.per_class import as_json, confusion
from nas.tasks.scoring import scores_of
from trials.plans.problem import Problem
from trials.store.read.candidates import Value

SPLITS: tuple[Literal["validation", "test"], ...] = ("validation", "test")
#: Largest number of characters of a reason in a table, why a runtime can't run a file.
LONGEST_REASON = 70
#: Number of validation inputs whose outputs are compared with torch's value by value.
NUM_COMPARED = 16


@dataclass(frozen=True)
class Answers:
    """The result of a file in one runtime: its difference from torch, and its scores."""

    runtime: str
    version: str
    #: Largest difference from torch divided by the standard deviation of torch's output; None if the runtime failed.
    relative_error: float | None
    #: Split → metric → score.
    scores: Mapping[str, Mapping[str, float]]
    #: Split → metric → ends of the score's 95 % interval.
    intervals: Mapping[str, Mapping[str, Interval]]
    #: Why the runtime can't run the file.
    error: str = ""
    #: The error in a few words.
    reason: str = ""
    #: Split → ``classes`` and their ``matrix``: number of examples by true class and predicted class.
    confusion: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def answers_of(problem: Problem, network: Network, artifact: Artifact) -> list[Answers]:
    """Run the file in the target's runtime, and then in every other installed runtime that can open it.

    Raises:
        ExportError: the target's runtime can't run the file.
    """
    inputs = compared_inputs(problem)
    own = problem.runtime
    found = [_answers(problem, network, artifact.path, inputs, own, RUNTIMES.get(own)())]
    for name, runtime in installed(artifact.format):
        if name == own:
            continue
        if unknown := _unknown_precisions(network, runtime):
            skipped = f"not run: it has no {' and no '.join(unknown)}"
            found.append(Answers(name, runtime.version(), None, {}, {}, skipped, skipped))
            continue
        try:
            found.append(_answers(problem, network, artifact.path, inputs, name, runtime))
        except NasError as error:
            text = str(error).replace(str(artifact.path), artifact.path.name)  # hides the path of the temporary folder
            found.append(Answers(name, runtime.version(), None, {}, {}, text, _reason(error)))
    return found


def _unknown_precisions(network: Network, runtime: Runtime) -> list[str]:
    """Return the precisions of the network that the runtime does not support."""
    used = {name for name, bits in BITS.items() if bits in network.bits.values()}
    return sorted(used - runtime.precisions)


def installed(format_name: str) -> Iterator[tuple[str, Runtime]]:
    """Yield name and runtime of each installed runtime that opens a format and returns outputs."""
    for name in RUNTIMES.names():
        try:
            runtime = make_runtime(name, {})
        except NasError:
            continue
        if runtime.answers and format_name in runtime.formats:
            yield name, runtime


def _answers(problem: Problem, network: Network, path: Path, inputs: Tensor, name: str, runtime: Runtime) -> Answers:
    error = relative_error(network.model, path, inputs, runtime=name)
    task = problem.task
    scores: dict[str, dict[str, float]] = {}
    intervals: dict[str, dict[str, Interval]] = {}
    matrices: dict[str, Any] = {}
    for split in SPLITS:
        outputs, targets = deployed_outputs(path, task.dataset(split), runtime=name)
        scores[split] = scores_of(task, outputs, targets)
        intervals[split] = score_intervals(task, outputs, targets, scores[split])
        if task.class_metrics:
            matrices[split] = as_json(task.class_names, confusion(outputs, targets, task.num_outputs))
    return Answers(name, runtime.version(), error, scores, intervals, confusion=matrices)


def _reason(error: NasError) -> str:
    """Return the first clause of the innermost error, shortened for a table cell."""
    while isinstance(error.__cause__, NasError):
        error = error.__cause__
    return shorten(str(error).partition(";")[0], LONGEST_REASON, placeholder=" …")


def compared_inputs(problem: Problem) -> Tensor:
    """Return the validation inputs whose outputs are compared value by value."""
    data = problem.task.dataset("validation")
    count = min(NUM_COMPARED, len(data))  # type: ignore[arg-type]
    return torch.stack([data[index][0] for index in range(count)])


def scored(answers: Answers) -> dict[str, dict[str, Value]]:
    """Return the scores of a file with their intervals."""
    return {
        split: {name: Value(value, *answers.intervals[split].get(name, (None, None))) for name, value in found.items()}
        for split, found in answers.scores.items()
    }
