"""Which trials of a stored study an export selects, and the index of several exported ones."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from nas.errors import PlanError, StudyError
from tests.browser.seed import seed_database
from trials.export.index import check_index, write_index
from trials.export.selection import Selection, select
from trials.store.models import Candidate
from trials.store.read.points import Points, front, points
from trials.store.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('selection') / 'nas.db'}")
    seed_database(store.engine)
    yield store
    store.close()


@pytest.fixture(scope="module")
def complete(store: Store) -> Points:
    found = points(store, "digits", ("accuracy", "latency_ms", "size_bytes", "parameters"))
    return found.take(found.states == "complete")


def test_the_front_and_the_best_by_the_first_objective(store: Store) -> None:
    found = front(store, "digits")
    assert select(store, "digits", Selection(pareto=True)) == found.numbers.tolist()
    (best,) = select(store, "digits", Selection(best=True))
    assert found.values[found.numbers.tolist().index(best), 0] == found.values[:, 0].max()


def test_a_number_is_taken_as_it_is(store: Store) -> None:
    assert select(store, "digits", Selection(trial=12345)) == [12345]


def test_the_best_within_conditions(store: Store, complete: Points) -> None:
    bound = float(np.median(complete.values[:, 1]))
    (best,) = select(store, "digits", Selection(best=True, where=f"latency_ms<{bound} and parameters>0"))
    kept = complete.take(complete.values[:, 1] < bound)
    assert kept.values[kept.numbers.tolist().index(best), 0] == kept.values[:, 0].max()


def test_the_smallest_ones_by_a_cost_that_is_no_objective(store: Store, complete: Points) -> None:
    numbers = select(store, "digits", Selection(top=3, by="parameters"))
    sizes = dict(zip(complete.numbers.tolist(), complete.values[:, 3], strict=True))
    assert [sizes[number] for number in numbers] == sorted(sizes.values())[:3]


def test_the_front_of_the_trials_that_keep_conditions(store: Store, complete: Points) -> None:
    best = float(complete.values[:, 0].max())
    numbers = select(store, "digits", Selection(pareto=True, where=f"accuracy<{best}"))
    kept = complete.take(complete.values[:, 0] < best)
    for number in numbers:
        own = kept.values[kept.numbers.tolist().index(number)]
        assert not ((kept.values[:, 0] > own[0]) & (kept.values[:, 1] <= own[1])).any()


def test_the_knee_is_on_the_front_and_not_at_its_ends(store: Store) -> None:
    numbers = front(store, "digits").numbers.tolist()
    (found,) = select(store, "digits", Selection(knee=True))
    assert found in numbers[1:-1]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(), "say which trials"),
        (Selection(best=True, pareto=True), "say which trials.*; --best and --pareto were given"),
        (Selection(pareto=True, by="accuracy"), "--by ranks trials"),
        (Selection(trial=1, where="latency_ms<2"), "--where has no effect"),
        (Selection(best=True, where="latency_ms less than 2"), "is not a condition"),
        (Selection(best=True, where="latency_ms<2ms"), "is not a condition"),
        (Selection(best=True, where="__import__('os')"), "is not a condition"),
        (Selection(best=True, where="latency<2"), "no metric 'latency'; did you mean 'latency_ms'"),
        (Selection(best=True, by="recall_of_3"), "no metric 'recall_of_3'|neither an objective"),
    ],
)
def test_selections_that_can_not_be_meant(store: Store, selection: Selection, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        select(store, "digits", selection)


def test_conditions_that_no_trial_keeps(store: Store) -> None:
    with pytest.raises(StudyError, match=r"no complete trial with latency_ms<0\.0;"):
        select(store, "digits", Selection(best=True, where="latency_ms<0.0"))


def test_fewer_trials_than_asked_for_are_said(complete: Points) -> None:
    bound = float(np.sort(complete.values[:, 1])[1])
    selection = Selection(top=2, where=f"latency_ms<{bound}")
    assert selection.shortage(1) == (
        f"1 of the 2 trials of --top: no more complete trials with latency_ms<{bound} have a value to rank by"
    )
    assert not selection.shortage(2)
    assert not Selection(pareto=True).shortage(1)


def test_a_study_without_a_complete_trial(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/nas.db")
    seed_database(store.engine)
    store.write(lambda connection: connection.execute(update(Candidate.__table__).values(state="failed")))  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="study 'digits' has no complete trial; nas show digits"):
        select(store, "digits", Selection(best=True))
    store.close()


def test_the_index_lists_every_folder_and_shows_names_as_text(tmp_path: Path) -> None:
    rows = [
        {"trial": 3, "folder": str(tmp_path / "trial-3"), "validation accuracy": 0.98, "agrees": True},
        {"trial": 7, "folder": str(tmp_path / "trial-7"), "validation accuracy": 0.97, "agrees": False},
    ]
    write_index("<script>alert(1)</script>", rows, tmp_path, {5: "its weights <b>were not kept</b>"})
    page = (tmp_path / "index.html").read_text()
    assert "<script>" not in page
    assert '<a href="trial-7/">trial-7</a>' in page
    with (tmp_path / "index.csv").open() as file:
        found = list(csv.DictReader(file))
    assert [row["folder"] for row in found] == ["trial-3", "trial-7", ""]
    assert (found[2]["trial"], found[2]["reason"]) == ("5", "its weights <b>were not kept</b>")
    assert "its weights &lt;b&gt;were not kept" in page
    assert page.count("<a href") == 3
    assert found[1]["agrees"] == "False"


@pytest.mark.parametrize("name", ["index.html", "index.csv"])
def test_an_index_replaces_only_an_index(tmp_path: Path, name: str) -> None:
    check_index(tmp_path)
    (tmp_path / name).write_text("somebody's own")
    with pytest.raises(PlanError, match=f"{name}' was not written by an export"):
        check_index(tmp_path)
    (tmp_path / name).unlink()
    write_index("study", [{"trial": 0, "folder": str(tmp_path / "trial-0"), "verification": "pass"}], tmp_path)
    check_index(tmp_path)
