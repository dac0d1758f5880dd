"""Fair shares of a cluster: weighted by priority, with what one study can't use left to the others."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trials.coordinator.shares import shares
from trials.store.records import Demand

CPU = {"CPU": 1.0}
Studies = dict[str, Demand]


def wants(trainings: int, priority: float = 1.0, **needs: Any) -> Demand:
    return Demand("here", priority, trainings, **{"each": CPU, **needs})


def test_equal_studies_have_equal_shares_and_the_older_one_the_rest() -> None:
    assert shares([{"CPU": 5}], {"old": wants(5), "new": wants(5)}) == {"old": 3, "new": 2}


def test_shares_follow_priorities() -> None:
    assert shares([{"CPU": 4}], {"a": wants(4, 3.0), "b": wants(4)}) == {"a": 3, "b": 1}
    assert shares([{"CPU": 4}, {"CPU": 8}], {"a": wants(99), "b": wants(99, 2), "c": wants(99, 3)}) == {
        "a": 2,
        "b": 4,
        "c": 6,
    }


def test_who_wants_less_than_its_share_leaves_the_rest_to_others() -> None:
    assert shares([{"CPU": 8}], {"small": wants(1, 9.0), "a": wants(99), "b": wants(4)}) == {"small": 1, "a": 4, "b": 3}


def test_every_study_has_a_worker_even_without_room() -> None:
    assert shares([{"CPU": 1}], {"a": wants(4), "b": wants(4), "c": wants(4)}) == {"a": 1, "b": 1, "c": 1}
    assert shares([], {"a": wants(4)}) == {"a": 1}


def test_measuring_workers_take_their_room_first() -> None:
    nodes = [{"CPU": 2.0, "target:pi": 1.0}, {"CPU": 2.0}]
    measuring = [{"CPU": 0.01, "target:pi": 0.01}]
    demands = {name: wants(4, measuring=measuring) for name in "ab"}
    assert shares(nodes, demands) == {"a": 2, "b": 1}, "no training fits beside a measuring worker on its core"


def test_a_study_that_measures_has_its_room_whichever_study_is_older() -> None:
    nodes = [{"CPU": 4.0, "target:pi": 1.0}, {"CPU": 4.0}]
    both = {"a": wants(4), "b": wants(4, measuring=[{"CPU": 3.01, "target:pi": 0.01}])}
    assert shares(nodes, both) == {"a": 2, "b": 2}
    assert shares(nodes, dict(reversed(both.items()))) == {"b": 2, "a": 2}


def test_a_worker_fits_on_one_node_only() -> None:
    assert shares([{"CPU": 3}, {"CPU": 3}], {"a": wants(4, each={"CPU": 2}), "b": wants(4)}) == {"a": 2, "b": 2}


def test_studies_of_different_kinds_share_what_each_needs_most() -> None:
    nodes = [{"CPU": 4, "GPU": 4}, {"CPU": 8}]
    gpu = {"CPU": 1, "GPU": 1}
    # Three quarters each: of the CPUs, and of the GPUs.
    assert shares(nodes, {"cpu": wants(99), "gpu": wants(99, each=gpu)}) == {"cpu": 9, "gpu": 3}
    assert shares(nodes, {"a": wants(99, each=gpu), "b": wants(99, each=gpu)}) == {"a": 2, "b": 2}


def test_trainings_without_gpus_leave_nodes_with_gpus_to_others() -> None:
    nodes = [{"CPU": 4, "GPU": 4}, {"CPU": 4}]
    assert shares(nodes, {"cpu": wants(4), "gpu": wants(4, each={"CPU": 1, "GPU": 1})}) == {"cpu": 4, "gpu": 4}


def test_tenths_of_a_resource_add_up() -> None:
    assert shares([{"CPU": 1, "GPU": 1}], {"a": wants(99, each={"CPU": 0.1, "GPU": 0.1})}) == {"a": 10}


studies = st.dictionaries(
    st.integers(0, 20).map(str), st.builds(wants, st.integers(1, 12), st.floats(0.1, 10)), min_size=1, max_size=6
)


@given(st.integers(0, 40), studies)
def test_the_cluster_is_used_and_divided_fairly(cpus: int, demands: Studies) -> None:
    given = shares([{"CPU": cpus}], demands)
    wanted = sum(demand.trainings for demand in demands.values())
    assert sum(given.values()) == max(len(demands), min(cpus, wanted))
    for name, demand in demands.items():
        assert 1 <= given[name] <= demand.trainings
        if given[name] < demand.trainings:
            for other, size in given.items():
                before_its_last = (size - 1) / demands[other].priority
                assert size == 1 or before_its_last <= given[name] / demand.priority + 1e-9


@given(st.integers(1, 40), studies)
def test_an_ended_study_leaves_its_share_to_the_others(cpus: int, demands: Studies) -> None:
    before = shares([{"CPU": cpus}], demands)
    rest = dict(list(demands.items())[1:])
    after = shares([{"CPU": cpus}], rest)
    assert all(after[name] >= before[name] for name in rest)
