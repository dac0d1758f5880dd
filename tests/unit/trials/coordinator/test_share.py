"""Studies of one database follow one another's shares of a cluster, on both kinds of database."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from tests.unit.trials.store.conftest import Searching, new_study
from trials.coordinator.share import Share
from trials.executors import TRAIN_POOL, Cluster
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.store import Store
from trials.store.write.leases import release_lease


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url)
    yield opened
    opened.close()


def began(study: Searching, priority: float = 1.0, cluster: str | None = "here") -> tuple[Share, list[int]]:
    """Begin a study that could use all four CPUs; return its share, and the sizes that its pool of trainings gets."""
    sizes: list[int] = []
    pools = {TRAIN_POOL: (4, {"CPU": 1.0}), "target:pi": (1, {"CPU": 0.0})}
    found = cluster and Cluster(cluster, [{"CPU": 4.0}], pools)
    executor = SimpleNamespace(cluster=lambda: found, resize=lambda pool, size: sizes.append(size))
    plan = SimpleNamespace(plan=SimpleNamespace(priority=priority))
    assignment = SimpleNamespace(name=study.name, lease=study.lease, problem=plan)
    context: Any = SimpleNamespace(store=study.store, executor=executor, assignment=assignment)
    share = Share(context)
    share.begin()
    return share, sizes


def test_a_study_makes_room_for_another_one_and_has_all_again_after_it(store: Store) -> None:
    first, sizes = began(new_study(store, "first"), priority=3)
    assert (sizes[-1], first.phase) == (4, "")
    study = new_study(store, "second")
    second, its_sizes = began(study)
    first.renew()
    assert (sizes[-1], its_sizes[-1]) == (3, 1)
    assert first.phase == "3 of 4 training workers (priority 3), beside second (priority 1)"
    assert second.phase == "1 of 4 training workers (priority 1), beside first (priority 3)"
    store.write(release_lease, study.lease, "complete", {})
    first.renew()
    assert (sizes[-1], first.phase) == (4, "")


def test_many_neighbours_are_counted(store: Store) -> None:
    for name in ("a", "b", "c", "d", "e"):
        share, _ = began(new_study(store, name))
    assert share.phase == (
        "1 of 4 training workers (priority 1), beside a (priority 1), b (priority 1), c (priority 1), 1 more"
    )


def test_studies_that_do_not_use_the_cluster_take_nothing_of_it(store: Store) -> None:
    here, sizes = began(new_study(store, "here"))
    began(new_study(store, "elsewhere"), cluster="elsewhere")
    moved = new_study(store, "moved")
    for cluster in ("here", None):  # it continues on the machine of its coordinator
        local, its_sizes = began(moved, cluster=cluster)
    preparing, dead = new_study(store, "preparing"), new_study(store, "dead")
    for study, values in ((preparing, {"state": "preparing"}), (dead, {"lease_expires_at": Clock(-1.0)})):
        began(study)
        with store.transaction() as connection:
            connection.execute(update(Study).where(Study.id == study.id).values(**values))
    here.renew()
    local.renew()
    assert (sizes[-1], here.phase, its_sizes, local.phase) == (4, "", [], "")
