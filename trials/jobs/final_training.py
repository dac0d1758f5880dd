"""The job of a final training: a candidate is trained by another recipe than in the search, perhaps with a teacher."""

from __future__ import annotations

from collections.abc import Iterator

from nas.estimators.data_parallel import Workers
from trials.jobs.candidate import build, check_data, checkpoint_folder, train_with
from trials.jobs.messages import EpochEnd, FinalTrainingPayload, StageReached, TrainResult
from trials.jobs.teachers import known_teacher, trained_dense_twin
from trials.plans.final_training import FinalTraining
from trials.plans.problem import open_problem_json


def final_training(payload: FinalTrainingPayload) -> Iterator[StageReached | EpochEnd | TrainResult]:
    """Train, deploy and score a candidate; a dense twin that is its teacher is trained before.

    If several processes train the network together, each calls this function, and all but the first one end without a
    result.
    """
    problem = open_problem_json(payload["plan"])
    recipe = FinalTraining(**payload["recipe"])
    workers = Workers.joined() if recipe.workers > 1 else None
    estimator = recipe.estimator(workers)
    if (teacher := payload["teacher"]) is not None:
        if teacher["sha256"] is None:
            model, identity = yield from trained_dense_twin(problem, payload, recipe, workers)
        else:
            model, identity = known_teacher(problem, teacher), teacher["sha256"]
        estimator.use_teacher(recipe.with_weights(model, identity))
    if workers is not None and workers.rank:
        check_data(problem, payload["data"])
        network = build(problem, payload)
        for _ in estimator.fit(network, problem.task, seed=payload["seed"], checkpoint=checkpoint_folder(payload)):
            pass
        return
    yield from train_with(estimator, problem, payload)
