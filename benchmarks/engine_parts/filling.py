"""Fill a study with finished trials, as fast as the database takes them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from noop import OPTIONS
from sqlalchemy import Connection, insert, select

from engine_parts.others import scores
from nas.space.chooser import RandomChooser
from nas.strategies import Suggestion
from trials.plans.problem import Problem
from trials.store.dialect import Clock, table
from trials.store.models import Architecture, Candidate, JobRow, Metric, SuggestionRow
from trials.store.store import Store

AT_ONCE = 5000
JOBS = (("gate", "local"), ("train", ""))


def fill(store: Store, problem: Problem, study_id: int, count: int) -> None:
    """Add ``count`` complete trials with random answers to an empty study."""
    chooser = RandomChooser(0)
    problem.searched.sample(chooser)
    asked = Suggestion.from_chooser(0, chooser).questions
    questions = [[item.name, list(item.options), item.ordered, item.active, item.site] for item in asked]
    rows = _trials(problem, study_id, questions, count)
    while some := list(islice(rows, AT_ONCE)):
        store.write(_add, some)


def _trials(problem: Problem, study_id: int, questions: list[list[Any]], count: int) -> Iterator[Any]:
    generator = random.Random(0)
    space, spec = problem.plan.space.name, problem.searched.space_spec
    for number in range(count):
        answers = {question[0]: generator.randrange(OPTIONS) for question in questions}
        found = scores(answers)
        layer = {"name": "1", "op": "linear", "output_shape": [1, 1], "parameters": 11, "macs": 10, "bits": 32}
        yield {
            "candidate": {"id": number + 1, "study_id": study_id, "architecture_id": number + 1}
            | {"number": number, "state": "complete", "revision": number},
            "architecture": {"id": number + 1, "identity": f"{number:064}", "space": space, "layers": [layer]}
            | {"definition": {"space": spec, "policies": [], "choices": answers}, "parameters": 11, "macs": 10},
            "suggestion": {"study_id": study_id, "candidate_id": number + 1, "number": number}
            | {"duplicate": False, "questions": questions, "answers": answers, "sampler_state": {}, "enqueued": False},
            "metrics": [
                {"candidate_id": number + 1, "name": name, "target": target, "value": found[name]}
                for name, target in (("accuracy", ""), ("latency_ms", "local"))
            ],
            "jobs": [
                {"candidate_id": number + 1, "kind": kind, "target": target, "state": "done", "attempt": 1}
                | {"result": {"structure_hash": "same"}}
                for kind, target in JOBS
            ],
        }


def _add(connection: Connection, trials: list[Any]) -> None:
    now = connection.execute(select(Clock())).scalar_one()
    times = {"created_at": now, "finished_at": now}
    connection.execute(insert(table(Architecture)), [trial["architecture"] for trial in trials])
    connection.execute(insert(table(Candidate)), [{**trial["candidate"], **times} for trial in trials])
    connection.execute(insert(table(SuggestionRow)), [trial["suggestion"] for trial in trials])
    connection.execute(insert(table(Metric)), [row for trial in trials for row in trial["metrics"]])
    connection.execute(insert(table(JobRow)), [row for trial in trials for row in trial["jobs"]])
    if connection.dialect.name == "postgresql":
        for rows in (Architecture, Candidate):
            name = rows.__tablename__
            connection.exec_driver_sql(f"SELECT setval('{name}_id_seq', (SELECT MAX(id) FROM {name}))")
