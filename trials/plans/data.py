"""The data of a study: recorded when it starts, compared whenever it goes on or a network of it is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import StudyError
from trials.plans.problem import Problem, fingerprint

#: Key of a study's ``environment``.
DATA = "data"


def describe_data(problem: Problem) -> dict[str, Any]:
    """JSON values: the fingerprint and the examples of each split and class, where the task tells them."""
    summary = problem.task.summary()
    return {"fingerprint": fingerprint(problem.task), "counts": summary.to_json()["counts"] if summary else {}}


def check_data(study: str, environment: Mapping[str, Any], problem: Problem) -> bool:
    """Whether the data are known to be those that a study started with; False if it did not record them.

    Raises:
        StudyError: they changed. Splits would be drawn anew, and networks be tested on what they were trained on.
    """
    recorded = environment.get(DATA)
    if not recorded:
        return False
    if recorded["fingerprint"] != fingerprint(problem.task):
        raise StudyError(
            f"the data of study {study!r} changed since it started{_differences(recorded['counts'], problem)}; restore "
            "them as they were, or start another study on the data of now"
        )
    return True


def _differences(before: Mapping[str, Mapping[str, int]], problem: Problem) -> str:
    now = describe_data(problem)["counts"]
    lines = [
        f"{split} of {name}: {before.get(split, {}).get(name, 0)} → {now.get(split, {}).get(name, 0)}"
        for split in dict.fromkeys([*before, *now])
        for name in dict.fromkeys([*before.get(split, {}), *now.get(split, {})])
        if before.get(split, {}).get(name, 0) != now.get(split, {}).get(name, 0)
    ]
    if not lines:
        return " (as many examples as before, but other content, names or splits)"
    return f" ({', '.join(lines[:8])}{' …' if len(lines) > 8 else ''})"
