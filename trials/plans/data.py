"""The data of a study: recorded when it starts, and compared when it is continued or a network is exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.errors import StudyError
from trials.plans.problem import Problem, fingerprint

#: Key of a study's ``environment``.
DATA = "data"


def describe_data(problem: Problem) -> dict[str, Any]:
    """Return the data's fingerprint and, if the task reports them, the number of examples by split and class."""
    summary = problem.task.summary()
    return {"fingerprint": fingerprint(problem.task), "counts": summary.to_json()["counts"] if summary else {}}


def check_data(study: str, environment: Mapping[str, Any], problem: Problem) -> bool:
    """Check that the data are still those that a study started with; return False if the study did not record them.

    Raises:
        StudyError: the data have changed. The splits would be drawn again, so networks could be tested on examples
            that they were trained on.
    """
    recorded = environment.get(DATA)
    if not recorded:
        return False
    if recorded["fingerprint"] != fingerprint(problem.task):
        raise StudyError(
            f"the data of study {study!r} changed since it started{_differences(recorded['counts'], problem)}; restore "
            "the original data, or start a new study on the present data"
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
        return " (the number of examples is the same, but their content, names or splits differ)"
    return f" ({', '.join(lines[:8])}{' …' if len(lines) > 8 else ''})"
