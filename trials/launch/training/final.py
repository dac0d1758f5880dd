"""Give chosen candidates of a study a long training, and store the results beside those of the search."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.errors import JobError, PlaceError, StudyError
from trials.executors import TRAIN_POOL, Event, Executor, Job, JobLimits
from trials.jobs.environment import describe_environment, owner
from trials.jobs.messages import FINAL_TRAINING, FinalTrainingPayload, TeacherPayload
from trials.launch.folders import StudyFolders
from trials.launch.training.executor import open_training_executor
from trials.launch.training.teachers import teacher_payload
from trials.plans.data import DATA, check_data
from trials.plans.final_training import FinalTraining, final_training_of
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.models import Study
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.final_trainings import FinalTrainingInfo
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.final_trainings import (
    FinalAttempt,
    add_final_epoch,
    begin_final_training,
    fail_final_training,
    finish_final_training,
    interrupt_final_training,
)

log = logging.getLogger(__name__)
#: Called with the number of a trial and what its training has just done.
OnStep = Callable[[int, str], None]
#: States of trials that can't be trained: their networks are not known to work, or are being trained.
_REFUSED = {
    "failed": "choose another trial",
    "queued": "wait until it is complete",
    "running": "wait until it is complete",
}


@dataclass(frozen=True)
class _Training:
    """A final training that is to run."""

    number: int
    attempt: FinalAttempt
    job: Job
    checkpoint: Path


def train_finally(
    store: Store,
    name: str,
    numbers: Sequence[int],
    overrides: Sequence[str] = (),
    *,
    address: str | None = None,
    on_step: OnStep = lambda number, text: None,
) -> dict[int, FinalTrainingInfo]:
    """Train candidates by the plan's ``final_training``, and return number → stored training.

    A training that was interrupted continues from its checkpoint; a complete one is returned as it is.

    Args:
        store: the database.
        name: name of the study.
        numbers: numbers of the trials.
        overrides: ``key=value`` of keys under ``final_training``.
        address: address of a Ray cluster.
        on_step: see ``OnStep``.

    Raises:
        UnknownNameError: there is no such study or trial.
        PlanError: the recipe is wrong, or the teacher does not fit.
        StudyError: a trial has failed or is not finished, the data have changed, or another process trains the trial.
        JobError: a training failed; the database has its traceback.
        PlaceError: a training was interrupted by a fault of the machine; the same call continues it.
    """
    store.check_writable()
    row = store.read(study_row, name)
    plan = make_plan(row.plan)
    recipe = final_training_of(plan, overrides)
    epochs = recipe.estimator().num_epochs
    details = [candidate_detail(store, name, number) for number in numbers]
    for detail in details:
        check_trainable(detail)
    problem = open_problem(plan)
    check_data(name, row.environment, problem)
    teacher = teacher_payload(store, name, problem, recipe.teacher)
    trainings = _begun(store, row, problem, recipe, teacher, details)
    if trainings:
        with _interrupting(store, trainings), open_training_executor(plan, address, recipe.workers) as executor:
            _run(store, executor, trainings, epochs, on_step)
    return {number: _stored(candidate_detail(store, name, number), recipe) for number in numbers}


def _stored(detail: CandidateDetail, recipe: FinalTraining) -> FinalTrainingInfo:
    return next(item for item in detail.final_trainings if item.recipe == recipe.to_json())


def check_trainable(detail: CandidateDetail) -> None:
    """Raise StudyError for a trial that failed or is not finished."""
    state = detail.row.state
    if state in _REFUSED:
        why = f" ({detail.row.reason})" if detail.row.reason else ""
        raise StudyError(
            f"trial {detail.row.number} of {detail.study!r} is {state}{why} and can't be trained; {_REFUSED[state]}"
        )


def _begun(
    store: Store,
    row: Study,
    problem: Problem,
    recipe: FinalTraining,
    teacher: TeacherPayload | None,
    details: Sequence[CandidateDetail],
) -> list[_Training]:
    """Store that trainings begin; complete ones are left out."""
    found = []
    for detail in details:
        number = detail.row.number
        attempt = store.write(
            begin_final_training,
            row.name,
            number,
            key=recipe.key,
            recipe=recipe.to_json(),
            environment=describe_environment(),
            owner=owner(),
        )
        if not attempt.complete:
            found.append(_training(store, row, problem, recipe, teacher, detail, attempt))
    return found


def _training(
    store: Store,
    row: Study,
    problem: Problem,
    recipe: FinalTraining,
    teacher: TeacherPayload | None,
    detail: CandidateDetail,
    attempt: FinalAttempt,
) -> _Training:
    files = StudyFolders(store, row)
    checkpoint = files.final_checkpoints / f"{detail.row.number}-{recipe.key[:16]}"
    payload: FinalTrainingPayload = {
        "plan": problem.plan.model_dump_json(),
        "architecture": detail.definition,
        "seed": recipe.seed,
        "candidate": detail.row.number,
        "identity": detail.identity,
        "original": False,
        "artifacts": files.artifacts,
        "data": row.environment.get(DATA, {}).get("fingerprint"),
        "checkpoint": str(checkpoint),
        "recipe": recipe.to_json(),
        "teacher": teacher,
    }
    memory_mb = problem.plan.resources.train.max_memory_mb
    job = replace(
        FINAL_TRAINING.job(f"{attempt.training_id}.{attempt.attempt}", payload, TRAIN_POOL),
        limits=JobLimits(None, None if memory_mb is None else int(memory_mb * 1e6), "resources.train"),
        folders=[str(checkpoint)],
    )
    return _Training(detail.row.number, attempt, job, checkpoint)


@contextmanager
def _interrupting(store: Store, trainings: Sequence[_Training]) -> Iterator[None]:
    """Store that trainings are interrupted if the block ends early; those that have ended stay as they are."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            store.transactions.hurry()
        reason = None if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
        for training in trainings:
            store.write(interrupt_final_training, training.attempt, reason)
        raise


def _run(store: Store, executor: Executor, trainings: Sequence[_Training], epochs: int, on_step: OnStep) -> None:
    """Run all trainings, and store what happens to each.

    Raises:
        JobError: some failed.
        PlaceError: some were interrupted.
    """
    waiting, running = list(trainings), dict[str, _Training]()
    problems: list[str] = []
    failed = False
    while waiting or running:
        while waiting and executor.free(TRAIN_POOL) > 0:
            training = waiting.pop(0)
            executor.submit(training.job)
            running[training.job.key] = training
        for event in executor.poll(1.0):
            training = running[event.key]
            _store(store, training, event)
            if event.kind == "progress":
                on_step(training.number, _text(event.value, epochs))
                continue
            del running[event.key]
            if event.kind == "done":
                shutil.rmtree(training.checkpoint, ignore_errors=True)
                on_step(training.number, "trained")
            else:
                failed |= event.kind == "error"
                what = "failed" if event.kind == "error" else "was interrupted"
                problems.append(f"the final training of trial {training.number} {what}: {event.error or 'worker lost'}")
    if problems:
        raise (JobError if failed else PlaceError)("; ".join(problems) + "; the same command continues it")


def _store(store: Store, training: _Training, event: Event) -> None:
    attempt = training.attempt
    if event.kind == "progress":
        if "epoch" in event.value:
            store.write(add_final_epoch, attempt, event.value["epoch"], event.value["values"])
    elif event.kind == "done":
        store.write(finish_final_training, attempt, event.value)
    elif event.kind == "error":
        store.write(fail_final_training, attempt, event.error, event.traceback)
    else:
        store.write(interrupt_final_training, attempt, event.error or "the worker was lost")


def _text(value: Mapping[str, Any], epochs: int) -> str:
    """Return a worker's report in a few words."""
    if "stage" in value:
        return str(value["stage"])
    if "epoch" not in value:
        return "scored"
    hidden = ("train_loss", "learning_rate", "seconds")
    scores = ", ".join(f"{name} {item:.4g}" for name, item in value["values"].items() if name not in hidden)
    return f"epoch {value['epoch'] + 1} of {epochs}, loss {value['values']['train_loss']:.4g}, {scores}"
