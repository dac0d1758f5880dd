"""Commands of ``nas`` in processes of their own: they outlive the process that starts them.

Each command has a folder with what it is, who runs it, all that it prints, and its exit code. Queued commands run one
after the other.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.errors import StudyError
from trials.jobs.environment import owner
from trials.store.owners import is_gone, process_of

#: Folder of all commands, beside the database.
FOLDER = "nas_commands"
DESCRIPTION, OWNER, STARTED, LOG, EXIT_CODE = "command.json", "owner", "started", "log", "exit_code"
#: Folder in the folder of a command for files that it writes.
FILES = "files"
#: Exit code of a command that was cancelled: that of Ctrl-C.
CANCELLED = 130
#: Processes that this process started and that may not have ended.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Command:
    """A command that was started, as its folder describes it."""

    folder: Path
    study: str
    #: Arguments of ``nas``.
    arguments: tuple[str, ...]
    queued: bool
    asked_at: datetime

    @property
    def state(self) -> str:
        """``waiting``, ``running``, ``done``, ``failed``, ``cancelled``, or ``lost``: it was killed."""
        code = self.exit_code
        if code is not None:
            return {0: "done", CANCELLED: "cancelled", -signal.SIGINT: "cancelled"}.get(code, "failed")
        process = _read(self.folder / OWNER)
        if process is None or is_gone(process):
            return "lost" if self.exit_code is None else self.state  # it may just have ended
        return "running" if (self.folder / STARTED).exists() else "waiting"

    @property
    def is_over(self) -> bool:
        """Whether nothing runs it any more."""
        return self.state not in ("waiting", "running")

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it has none."""
        text = _read(self.folder / EXIT_CODE)
        return None if text is None else int(text)

    @property
    def files(self) -> Path:
        """Folder for the files that it writes."""
        return self.folder / FILES

    def log(self, most: int = 20_000) -> str:
        """The end of what it printed."""
        with suppress(FileNotFoundError), (self.folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
            return file.read().decode(errors="replace").strip()
        return ""

    def result(self) -> Any:
        """The JSON value in the last line of a command with ``--json``; None if there is none."""
        for line in reversed(self.log(1_000_000).splitlines()):
            with suppress(ValueError):
                return json.loads(line)
        return None

    def cancel(self) -> None:
        """Interrupt it like Ctrl-C; nothing happens if it is over.

        Raises:
            StudyError: it runs on another machine.
        """
        process = _read(self.folder / OWNER)
        if process is not None and not self.is_over:
            group = process_of(process)
            if group is None:
                raise StudyError(f"this command runs on {process.partition(':')[0]}; cancel it there")
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGINT)
            if not (self.folder / STARTED).exists():
                (self.folder / EXIT_CODE).write_text(str(CANCELLED))


def new_folder(root: Path) -> Path:
    """Make the folder of a new command, which only this user can read, and return it.

    Raises:
        StudyError: it can't be made.
    """
    folder = root / FOLDER / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    try:
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StudyError(f"can't make the folder {folder} for the log of a command: {error.strerror}") from None
    return folder


def start(folder: Path, arguments: Sequence[str], *, storage: str, study: str, queued: bool = False) -> Command:
    """Start ``nas`` in a process of its own, and return at once.

    Args:
        folder: a folder of ``new_folder``.
        arguments: arguments of ``nas``, without ``--storage``.
        storage: URL of the database, which the process gets in its environment.
        study: name of the study that the command is about.
        queued: wait until no other queued command of this database runs.
    """
    asked_at = datetime.now(UTC)
    told = {"study": study, "arguments": list(arguments), "queued": queued, "asked_at": asked_at.isoformat()}
    (folder / DESCRIPTION).write_text(json.dumps(told))
    _started[:] = [process for process in _started if process.poll() is None]
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NAS_STORAGE": storage},
            start_new_session=True,  # neither Ctrl-C in the terminal nor the end of this process ends it
        )
    _started.append(process)
    (folder / OWNER).write_text(owner(process.pid))
    return Command(folder, study, tuple(arguments), queued, asked_at)


def commands(root: Path, study: str, verbs: Sequence[str], limit: int = 10) -> list[Command]:
    """The newest commands with one of the verbs about a study, newest first."""
    found = []
    for path in sorted((root / FOLDER).glob(f"*/{DESCRIPTION}"), reverse=True):
        with suppress(ValueError, KeyError, OSError):  # a folder that is being removed, or is none of ours
            told = json.loads(path.read_text())
            if told["study"] == study and told["arguments"][0] in verbs:
                at = datetime.fromisoformat(told["asked_at"])
                found.append(Command(path.parent, study, tuple(told["arguments"]), told["queued"], at))
        if len(found) == limit:
            break
    return found


def run(folder: Path) -> int:
    """Run the command of a folder to its end; store its exit code and return it."""
    told = json.loads((folder / DESCRIPTION).read_text())
    code = CANCELLED
    try:
        with (folder.parent / "queue").open("w") as queue:
            if told["queued"]:
                fcntl.flock(queue, fcntl.LOCK_EX)
            (folder / STARTED).touch()
            code = _call([sys.executable, "-P", "-m", "measured_nas", *told["arguments"]])
    except KeyboardInterrupt:
        pass
    finally:
        (folder / EXIT_CODE).write_text(str(code))
    return code


def _call(command: Sequence[str]) -> int:
    """Run a command to its end, also if Ctrl-C reaches this process, because it reaches the command as well."""
    with subprocess.Popen(command) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                time.sleep(0.1)


def _read(path: Path) -> str | None:
    try:
        return path.read_text() or None
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
