"""What a deployed file answers in every runtime that opens it."""

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
#: Letters of why a runtime can't run a file, where there is room for no more.
LONGEST_REASON = 70
#: Validation inputs that are compared with torch value by value.
NUM_COMPARED = 16


@dataclass(frozen=True)
class Answers:
    """A file in one runtime: how far it is from torch, and its scores."""

    runtime: str
    version: str
    #: Largest difference to torch over the standard deviation of its output; None where the runtime failed.
    relative_error: float | None
    #: Split → metric → score.
    scores: Mapping[str, Mapping[str, float]]
    #: Split → metric → ends of the score's 95 % interval.
    intervals: Mapping[str, Mapping[str, Interval]]
    #: Why the runtime can't run the file.
    error: str = ""
    #: That in a few words.
    reason: str = ""
    #: Split → ``classes`` and their ``matrix``: examples of each class by the class that was answered.
    confusion: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def answers_of(problem: Problem, network: Network, artifact: Artifact) -> list[Answers]:
    """The file in the target's runtime, which must run it, and then in every other installed one that opens it.

    Raises:
        ExportError: the target's runtime can't run it.
    """
    inputs = _inputs(problem)
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
            text = str(error).replace(str(artifact.path), artifact.path.name)  # the folder is a temporary one
            found.append(Answers(name, runtime.version(), None, {}, {}, text, _reason(error)))
    return found


def _unknown_precisions(network: Network, runtime: Runtime) -> list[str]:
    """Precisions of the network that the runtime does not declare."""
    used = {name for name, bits in BITS.items() if bits in network.bits.values()}
    return sorted(used - runtime.precisions)


def installed(format_name: str) -> Iterator[tuple[str, Runtime]]:
    """Registered runtimes that are here, open a format and give answers."""
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
    """The first clause of what was found first, cut to what a cell of a table holds."""
    while isinstance(error.__cause__, NasError):
        error = error.__cause__
    return shorten(str(error).partition(";")[0], LONGEST_REASON, placeholder=" …")


def _inputs(problem: Problem) -> Tensor:
    data = problem.task.dataset("validation")
    count = min(NUM_COMPARED, len(data))  # type: ignore[arg-type]
    return torch.stack([data[index][0] for index in range(count)])


def scored(answers: Answers) -> dict[str, dict[str, Value]]:
    """What a file answered, as scores with intervals."""
    return {
        split: {name: Value(value, *answers.intervals[split].get(name, (None, None))) for name, value in found.items()}
        for split, found in answers.scores.items()
    }
