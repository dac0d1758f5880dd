"""A study to write into, on both kinds of database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, select

from nas.space.chooser import Question
from nas.strategies import Suggestion
from trials.store.models import Base
from trials.store.records import ArchitectureValue, Duplicate, Lease, Proposed
from trials.store.store import Store
from trials.store.write.jobs import start_job
from trials.store.write.leases import acquire_lease
from trials.store.write.proposals import propose
from trials.store.write.studies import create_study
from trials.store.write.targets import add_target


@dataclass
class Searching:
    """A study under a lease, with a short way to propose candidates."""

    store: Store
    lease: Lease
    name: str
    _suggestions: Iterator[int] = field(default_factory=count)

    @property
    def id(self) -> int:
        return self.lease.study_id

    def propose(self, identity: str) -> Proposed | Duplicate:
        number = next(self._suggestions)
        questions = (
            Question("width", (16, 32, None), ordered=True, site="stage0"),
            Question("kind", ("conv", "pool"), active=number % 2 == 0),
        )
        return self.store.write(
            propose,
            self.lease,
            Suggestion(number, questions, {"width": 16, "kind": "conv"}, {"generation": number // 2}),
            ArchitectureValue(identity, "plain", {"answers": {"width": 16}}, 10, 20, [{"name": "stem"}]),
            ("gate", "local"),
        )

    def new(self, identity: str) -> Proposed:
        proposed = self.propose(identity)
        assert isinstance(proposed, Proposed)
        return proposed

    def started(self, identity: str) -> tuple[Proposed, int]:
        proposed = self.new(identity)
        return proposed, self.store.write(start_job, self.lease, proposed.job_id)

    def rows(self, model: type[Base]) -> list[Any]:
        table = model.__table__
        return self.store.read(lambda connection: list(connection.execute(select(table).order_by(table.c.id))))

    def num(self, model: type[Base]) -> int:
        count = select(func.count()).select_from(model.__table__)
        return self.store.read(lambda connection: int(connection.execute(count).scalar_one()))


def create(store: Store, name: str) -> int:
    """Create a study that no coordinator has taken yet, and return its id."""
    return store.write(
        create_study,
        name=name,
        group=name,
        role="search",
        plan={"name": name},
        limits={},
        objectives={"accuracy": "maximize"},
        environment={},
        seed=2**40,
    )


def new_study(store: Store, name: str) -> Searching:
    return Searching(store, store.write(acquire_lease, create(store, name), "elsewhere:1:1", 60), name)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def study(store: Store) -> Searching:
    store.write(add_target, "local", {"runtime": "onnxruntime"}, {"0": 1.0})
    return new_study(store, "digits")


@pytest.fixture
def other_study(store: Store, study: Searching) -> Searching:
    return new_study(store, "digits-random")


@pytest.fixture
def race() -> Callable[[str, str, Sequence[str]], list[str]]:
    """Run a statement in several processes at once, after all have finished importing; returns the output of each."""

    def run(imports: str, statement: str, arguments: Sequence[str]) -> list[str]:
        wait = "argument = sys.argv[1]\nprint('ready', flush=True)\ninput()"
        code = f"import sys\n{imports}\n{wait}\n{statement}"
        running = [
            subprocess.Popen(
                [sys.executable, "-c", code, argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for argument in arguments
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [process.communicate(timeout=60)[0] for process in running]

    return run
