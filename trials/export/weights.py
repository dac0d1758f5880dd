"""Choose between the weights of the search and those of a final training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nas.errors import ExportError, PlanError, StudyError
from nas.tasks import Task
from trials.store.read.candidate import CandidateDetail
from trials.store.read.final_trainings import FinalTrainingInfo, best_final_training

#: ``best`` takes the weights of a final training unless they score worse on the validation split than the search's. The
#: search's score is a little too high, because it chose the trial; so on equal scores, the final training is better.
Wanted = Literal["best", "search", "final"]


@dataclass(frozen=True)
class ChosenWeights:
    """The weights that are exported."""

    uri: str
    sha256: str
    #: Metric → recorded value on the validation split.
    scores: Mapping[str, float]
    #: Which weights these are, and why.
    reason: str
    #: Reasons to doubt their scores: ``trials.jobs.doubts``.
    doubts: tuple[str, ...]
    #: The final training that made them; None for weights of the search.
    training: FinalTrainingInfo | None = None

    @property
    def kind(self) -> str:
        """``search`` or ``final``."""
        return "search" if self.training is None else "final"

    def to_json(self) -> dict[str, Any]:
        """Return what a report says about them as JSON values."""
        return {"kind": self.kind, "reason": self.reason, "sha256": self.sha256, "scores": dict(self.scores)}


def choose_weights(detail: CandidateDetail, task: Task, wanted: str = "best") -> ChosenWeights:
    """Return the weights of the search or of the best final training.

    Raises:
        PlanError: ``wanted`` is not one of ``Wanted``.
        StudyError: the candidate was not trained, or has no complete final training.
        ExportError: the weights were not kept.
    """
    if wanted not in get_args(Wanted):
        raise PlanError(f"weights {wanted!r}; allowed: {', '.join(get_args(Wanted))}")
    metric, direction = task.metrics[0].name, task.metrics[0].direction
    final = best_final_training(detail.final_trainings, metric, direction)
    if wanted == "final":
        if final is None:
            raise StudyError(
                f"trial {detail.row.number} of {detail.study!r} has no complete final training; train it with "
                f"nas train {detail.study} --trial {detail.row.number}"
            )
        return _of_final(final, "the final training was asked for")
    search = _search_scores(detail)
    if wanted == "search" or final is None:
        why = "the search was asked for" if wanted == "search" else "there is no complete final training"
        return _of_search(detail, search, why)
    value = final.scores[metric].value
    if search is None:
        return _of_final(final, "the search did not train this network")
    is_worse = value < search[metric] if direction == "maximize" else value > search[metric]
    compared = f"{metric} {value:.4f} in the final training ({final.description}), {search[metric]:.4f} in the search"
    if value == search[metric]:
        compared += "; on equal scores, those of the final training are taken"
    return _of_search(detail, search, compared) if is_worse else _of_final(final, compared)


def _search_scores(detail: CandidateDetail) -> Mapping[str, float] | None:
    """Scores of the search's own training, because metrics may be means over seeds; None if it trained nothing."""
    if not any(item.kind == "weights" for item in detail.artifacts):
        return None
    metrics = {name: value.value for name, value in detail.row.metrics.items()}
    return {**metrics, **next(job.scores for job in detail.jobs if job.kind == "train")}


def _of_search(detail: CandidateDetail, scores: Mapping[str, float] | None, reason: str) -> ChosenWeights:
    number = detail.row.number
    if scores is None:
        raise StudyError(
            f"trial {number} of {detail.study!r} is {detail.row.state} ({detail.row.reason or 'no result yet'}) and "
            "has no trained network; only trained ones can be exported"
        )
    file = next(item for item in detail.artifacts if item.kind == "weights")
    if file.deleted_at is not None:
        raise ExportError(
            f"the weights of trial {number} were not kept, because artifacts.retention does not keep them; export a "
            f"trial of the front, train it with nas train {detail.study} --trial {number}, or search again with "
            "artifacts.retention: all"
        )
    return ChosenWeights(file.uri, file.sha256, scores, f"weights of the search: {reason}", detail.row.doubts)


def _of_final(training: FinalTrainingInfo, reason: str) -> ChosenWeights:
    file = training.weights
    assert file is not None, "a complete training has weights"
    scores = {name: value.value for name, value in training.scores.items()}
    why = f"weights of the final training: {reason}"
    return ChosenWeights(file["uri"], file["sha256"], scores, why, training.doubts, training)
