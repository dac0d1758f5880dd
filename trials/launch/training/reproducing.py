"""Train a candidate again from the stored plan and seed, and compare the result with that of the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.errors import JobError, PlaceError, StudyError
from nas.scratch import Scratch
from nas.tasks.per_class import PREFIX
from trials.executors import TRAIN_POOL, Executor, Job
from trials.jobs.environment import describe_environment
from trials.jobs.messages import TRAIN, TrainPayload, TrainResult
from trials.launch.training.executor import open_training_executor
from trials.plans.data import DATA, check_data
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.epochs import Curve
from trials.store.read.rows import study_row
from trials.store.store import Store

Epochs = dict[int, Mapping[str, float]]
#: Packages of which another version may train to other weights.
_PACKAGES = ("measured-nas", "torch", "torchvision", "timm", "numpy")


@dataclass(frozen=True)
class Reproduction:
    """A training of the search, and the same training again."""

    #: Hashes of the weights.
    recorded_sha256: str
    found_sha256: str
    #: The first epoch of which a value differs; None if the curves are equal.
    first_other_epoch: int | None
    #: Score → recorded value and that of the training now.
    scores: Mapping[str, tuple[float, float]]
    #: What may change the result and differs from the search, as texts; empty on an equal machine.
    differences: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether weights and curve are equal bit by bit."""
        return self.recorded_sha256 == self.found_sha256 and self.first_other_epoch is None

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.is_equal:
            return "reproduced: weights and learning curve are equal bit by bit"
        if self.differences:
            return f"not equal bit by bit, but the environments differ: {'; '.join(self.differences)}"
        return "NOT REPRODUCED: weights or curve differ, although processor and versions are equal"

    def rows(self) -> list[dict[str, Any]]:
        """Return what is compared as rows to print."""
        begin = "equal" if self.first_other_epoch is None else f"differs from epoch {self.first_other_epoch + 1} on"
        return [
            {"": "weights", "search": self.recorded_sha256[:16], "now": self.found_sha256[:16], "difference": ""},
            {"": "learning curve", "search": "", "now": "", "difference": begin},
            *(
                {"": name, "search": f"{old:.6g}", "now": f"{new:.6g}", "difference": f"{new - old:+.2g}"}
                for name, (old, new) in self.scores.items()
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {**asdict(self), "is_equal": self.is_equal, "verdict": self.verdict}


def reproduce(
    store: Store,
    name: str,
    number: int,
    *,
    address: str | None = None,
    on_step: Callable[[str], None] = lambda text: None,
) -> Reproduction:
    """Train a candidate again as in the search, in a temporary folder, and compare.

    Args:
        store: the database, which is only read.
        name: name of the study.
        number: number of the trial.
        address: address of a Ray cluster.
        on_step: called after each epoch.

    Raises:
        UnknownNameError: there is no such study or trial.
        StudyError: the trial was not trained, or the data have changed.
        JobError: the training failed.
        PlaceError: a fault of the machine ended the training.
    """
    row = store.read(study_row, name)
    detail = candidate_detail(store, name, number)
    weights = next((item for item in detail.artifacts if item.kind == "weights"), None)
    if weights is None:
        raise StudyError(
            f"trial {number} of {name!r} is {detail.row.state} ({detail.row.reason or 'no result yet'}) and was not "
            "trained; choose a trial that was"
        )
    plan = make_plan(row.plan)
    check_data(name, row.environment, open_problem(plan))
    with Scratch("nas-reproduce-") as folder, open_training_executor(plan, address) as executor:
        payload: TrainPayload = {
            "plan": plan.model_dump_json(),
            "architecture": detail.definition,
            "seed": plan.seed,
            "candidate": number,
            "identity": detail.identity,
            "original": detail.row.original,
            "artifacts": str(Path(folder) / "artifacts"),
            "data": row.environment.get(DATA, {}).get("fingerprint"),
            "checkpoint": str(Path(folder) / "checkpoint"),
        }
        epochs, result = _trained(executor, TRAIN.job(f"reproduce.{number}", payload, TRAIN_POOL), on_step)
    return Reproduction(
        recorded_sha256=weights.sha256,
        found_sha256=next(file["sha256"] for file in result["artifacts"] if file["kind"] == "weights"),
        first_other_epoch=_first_other(detail.curve, epochs),
        scores=_scores(detail, result),
        differences=tuple(_differences(row.environment, describe_environment())),
    )


def _trained(executor: Executor, job: Job, on_step: Callable[[str], None]) -> tuple[Epochs, TrainResult]:
    epochs: Epochs = {}
    waiting = True
    while True:
        if waiting and executor.free(job.pool) > 0:
            executor.submit(job)
            waiting = False
        for event in executor.poll(1.0):
            if event.kind == "done":
                return epochs, TRAIN.result(event.value)
            if event.kind == "error":
                failure = JobError(f"the training failed: {event.error}")
                failure.add_note(event.traceback)
                raise failure
            if event.kind != "progress":
                raise PlaceError(event.error or "the worker was lost")
            if "epoch" in event.value:
                epochs[event.value["epoch"]] = event.value["values"]
                on_step(f"epoch {event.value['epoch'] + 1}")


def _first_other(curve: Curve, epochs: Epochs) -> int | None:
    """Return the first epoch whose values differ, apart from the seconds it took."""
    recorded = dict(zip(curve.epochs, curve.values, strict=True))
    for epoch in sorted({*recorded, *epochs}):
        old, new = recorded.get(epoch), epochs.get(epoch)
        if old is None or new is None or any(old[key] != new.get(key) for key in old if key != "seconds"):
            return epoch
    return None


def _scores(detail: CandidateDetail, result: TrainResult) -> dict[str, tuple[float, float]]:
    """Return score → value of the search's own training and of this one."""
    trained = next(job.scores for job in detail.jobs if job.kind == "train")  # metrics may be means over seeds
    return {name: (value, result["metrics"][name]) for name, value in trained.items() if not name.startswith(PREFIX)}


def _differences(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what can change the bits of a result and is not as in the search."""
    pairs = {key: (recorded.get(key), now.get(key)) for key in ("python", "processor")}
    pairs |= {key: (recorded.get("packages", {}).get(key), now["packages"].get(key)) for key in _PACKAGES}
    return [
        f"{key} {old or 'not recorded'} in the search, {new or 'not installed'} now"
        for key, (old, new) in pairs.items()
        if old != new
    ]
