"""What a study on a crowded cluster waits for, on both kinds of database."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from sqlalchemy import update

from tests.unit.trials.store.conftest import Searching, new_study
from trials.coordinator.room import waits_for
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.store import Store
from trials.store.write.leases import release_lease


def measures_on(study: Searching, *targets: str) -> None:
    plan = {"targets": [{"name": name} for name in targets]}
    change(study, plan=plan)


def change(study: Searching, **columns: Any) -> None:
    with study.store.transaction() as connection:
        connection.execute(update(Study).where(Study.id == study.id).values(**columns))


def test_studies_that_use_the_target_now_are_named(store_url: str) -> None:
    store = Store(store_url)
    waiting, first, second, elsewhere, dead, ended = (
        new_study(store, name) for name in ("waiting", "first", "second", "elsewhere", "dead", "ended")
    )
    for study in (waiting, first, second, dead, ended):
        measures_on(study, "pi", "box")
    measures_on(elsewhere, "phone")
    change(dead, lease_expires_at=Clock(-1.0))
    store.write(release_lease, ended.lease, "complete", {})

    def waits(*pools: str) -> str:
        executor: Any = SimpleNamespace(crowded=pools)
        return waits_for(store, executor, waiting.id)

    assert waits() == ""
    assert waits("target:pi") == "waits for target pi, which studies first, second use"
    store.write(release_lease, second.lease, "complete", {})
    assert waits("train", "target:box") == (
        "waits for room for trainings on the cluster; waits for target box, which study first uses"
    )
    assert waits("target:tablet") == "waits for target tablet"
    store.close()
