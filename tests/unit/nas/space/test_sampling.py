from typing import Any

import pytest

from nas.errors import PlanError, TaskError
from nas.registry import make


def broken(**parameters: Any) -> None:
    raise RuntimeError("the camera is off")


def refusing(path: str) -> None:
    raise TaskError(f"no folder {path}")


def test_what_the_users_code_raises_is_a_message_with_its_place() -> None:
    with pytest.raises(
        PlanError, match=r"task: 'mine:Broken' failed: RuntimeError: the camera is off \(.*, line \d+\)"
    ):
        make(broken, {"name": "mine:Broken"}, "task")


def test_a_deliberate_error_is_passed_on() -> None:
    with pytest.raises(TaskError, match="no folder here"):
        make(refusing, {"name": "mine", "path": "here"}, "task")
