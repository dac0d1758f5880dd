"""Add candidates by hand to a stored study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trials.plans.answers import checked_answers, questions_of
from trials.plans.plan import make_plan
from trials.plans.problem import check_may_enqueue, open_problem_json
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.studies import enqueue as store_enqueued


def enqueue(store: Store, name: str, choices: Mapping[str, Any]) -> str:
    """Add a candidate that a study proposes before its strategy proposes others; return what makes the study go on.

    A running study proposes it within seconds. A candidate that was measured without being trained is trained.

    Args:
        store: the database.
        name: name of the study.
        choices: choice → answer; missing answers are random.

    Raises:
        UnknownNameError: the database has no such study.
        PlanError: there is no such choice or option, or the strategy of the study proposes only a list.
    """
    store.check_writable()
    row = store.read(study_row, name)
    problem = open_problem_json(make_plan(row.plan).model_dump_json())
    check_may_enqueue(problem)
    store.write(store_enqueued, row.id, checked_answers(questions_of(problem.searched), choices, f"study {name}"))
    if row.state in ("running", "preparing"):
        return f"study {name} is {row.state} and proposes it within seconds, unless its budget ends first"
    more = row.state not in ("interrupted", "paused")
    return f"study {name} proposes it first: nas {f'extend {name} budget.trials=+1' if more else f'resume {name}'}"
