"""A study in a store, under a lease, as it is given to a coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import UnknownNameError
from nas.strategies import Limit
from trials.coordinator.assignment import Assignment
from trials.launch.warm_start import earlier_results
from trials.plans.problem import Problem, enqueued_answers
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import acquire_lease
from trials.store.write.studies import create_study


def assigned(
    store: Store,
    problem: Problem,
    *,
    name: str = "study",
    limits: dict[str, Limit] | None = None,
    targets: Mapping[str, Mapping[str, Any]] | None = None,
    folder: str = "/nonexistent",
) -> Assignment:
    """A new study, or the existing one; its lease expires at once, so that anyone may take it."""
    try:
        study_id = store.read(study_row, name).id
    except UnknownNameError:
        study_id = store.write(
            create_study,
            name=name,
            group=name,
            role="search",
            plan=problem.plan.to_json(),
            limits={},
            objectives=dict(problem.objectives),
            environment={},
            seed=0,
            enqueued=enqueued_answers(problem),
            earlier=earlier_results(store, problem),
        )
    lease = store.write(acquire_lease, study_id, "here:1:1", -1)
    return Assignment(name, lease, problem, limits or {}, targets or {"local": {}}, folder, f"{folder}/checkpoints")
