"""Commands in processes of their own."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nas.errors import StudyError
from trials.launch.detached import FOLDER, Command, commands, new_folder, start


def started(root: Path, *arguments: str, queued: bool = False) -> Command:
    return start(new_folder(root), arguments, storage=f"sqlite:///{root / 'nas.db'}", study="digits", queued=queued)


def wait_until(question: Callable[[], bool]) -> None:
    end = time.monotonic() + 240
    while not question():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_command_outlives_its_starter_and_is_found_again(tmp_path: Path) -> None:
    started(tmp_path, "list", "--json")
    (command,) = commands(tmp_path, "digits", ["list"])
    assert commands(tmp_path, "other", ["list"]) == commands(tmp_path, "digits", ["show"]) == []
    wait_until(lambda: command.is_over)
    assert (command.state, command.exit_code, command.result()) == ("done", 0, [])
    process = int((command.folder / "owner").read_text().split(":")[1])
    assert os.getsid(0) != process
    assert command.folder.stat().st_mode & 0o077 == 0


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    command = started(tmp_path, "show", "nothing")
    wait_until(lambda: command.is_over)
    assert command.state == "failed"
    assert "no study 'nothing'" in command.log()
    assert command.result() is None


def test_queued_commands_wait_for_each_other_and_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    with (tmp_path / FOLDER / "queue").open("w") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        first, second = started(tmp_path, "list", queued=True), started(tmp_path, "list", queued=True)
        assert (first.state, second.state) == ("waiting", "waiting")
        first.cancel()
        wait_until(lambda: first.is_over)
        assert (first.state, second.state) == ("cancelled", "waiting")
    wait_until(lambda: second.is_over)
    assert second.state == "done"


def test_a_command_of_another_machine_is_not_interrupted_here(tmp_path: Path) -> None:
    command = started(tmp_path, "list")
    wait_until(lambda: command.is_over)
    (command.folder / "exit_code").unlink()
    (command.folder / "owner").write_text(f"another-machine:{os.getpid()}:1")
    assert command.state == "running"
    with pytest.raises(StudyError, match="this command runs on another-machine; cancel it there"):
        command.cancel()


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).touch()
    with pytest.raises(StudyError, match="can't make the folder"):
        new_folder(tmp_path)
