"""What visitors may do besides looking; every action is refused unless the dashboard was started to allow it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from nas.errors import StudyError
from nas.foreign import hide_passwords, last_words
from trials.launch import detached
from trials.launch.detached import Command
from trials.store.store import Store
from trials.store.write.remarks import write_remark

T = TypeVar("T")
#: Seconds for a command that a visitor waits for.
WAIT_S = 120.0


class Actions:
    """Actions on one database.

    Attributes:
        allowed: whether there are any; if not, each method that would do something raises StudyError.
    """

    def __init__(self, storage: str, *, allowed: bool) -> None:
        self._storage = storage
        self.allowed = allowed

    @property
    def storage_option(self) -> list[str]:
        """The option that names the database to a command line, without a password; empty for the default one."""
        return [] if self._storage == "sqlite:///nas.db" else [f"--storage={hide_passwords(self._storage)}"]

    @property
    def root(self) -> Path:
        """The folder in which the commands of this database have their folders."""
        return self._with(lambda store: store.folder)

    def remark(self, study: str, number: int | None, note: str, *, add: Sequence[str], remove: Sequence[str]) -> None:
        """Replace the note of a study, or of its trial ``number``; add and remove tags.

        Raises:
            StudyError: actions are not allowed.
            PlanError: the note or a tag can't be stored.
        """
        self._check()
        self._with(lambda store: store.write(write_remark, study, number, note=note, add=add, remove=remove))

    def start(self, study: str, *arguments: str) -> Command:
        """Start a command of ``nas`` in a process of its own, which outlives the dashboard.

        Raises:
            StudyError: actions are not allowed, or the folder of its log can't be written.
        """
        self._check()
        return detached.start(detached.new_folder(self.root), arguments, storage=self._storage, study=study)

    def export(self, study: str, arguments: Sequence[str]) -> Command:
        """Queue an export; ``arguments`` of ``nas export`` without ``--out``.

        Raises:
            StudyError: actions are not allowed, or its folder can't be written.
        """
        self._check()
        folder = detached.new_folder(self.root)
        whole = ["export", "--out", str(folder / detached.FILES), "--json", *arguments]
        return detached.start(folder, whole, storage=self._storage, study=study, queued=True)

    def cancel(self, command: Command) -> None:
        """Interrupt a command like Ctrl-C.

        Raises:
            StudyError: actions are not allowed, or the command runs on another machine.
        """
        self._check()
        command.cancel()

    def run(self, *arguments: str) -> str:
        """Run a short command of ``nas``, wait for it, and return what it printed.

        Raises:
            StudyError: actions are not allowed, or the command failed, or took too long.
        """
        self._check()
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "measured_nas", *arguments],
                env={**os.environ, "NAS_STORAGE": self._storage},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=WAIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StudyError(
                f"nas {arguments[0]} was ended, because it took longer than {WAIT_S:.0f} s; run it on the command line"
            ) from None
        if done.returncode:
            raise StudyError(last_words(done.stderr or done.stdout).removeprefix("error: "))
        return done.stdout.strip()

    def _check(self) -> None:
        if not self.allowed:
            raise StudyError("this dashboard only reads; nas dashboard --allow-actions allows actions")

    def _with(self, work: Callable[[Store], T]) -> T:
        store = Store(self._storage)
        try:
            return work(store)
        finally:
            store.close()
