"""Rungs of successive halving, and the plans that set them."""

from __future__ import annotations

from typing import Any

import pytest

from nas.errors import PlanError
from nas.estimators.sparse_then_quantize import SparseThenQuantize
from nas.estimators.training import Training
from nas.halving import Halving
from nas.space.chooser import PositionChooser
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem
from trials.plans.studies import given_plan


def problem(**keys: Any) -> Problem:
    plan = {"task": {"name": "digits", "image_size": 8}, "space": "plain_convnet", "executor": "local"}
    return open_problem(make_plan({**plan, **keys}))


@pytest.mark.parametrize(
    ("halving", "epochs", "rungs"),
    [
        (Halving(), 27, (3, 9)),
        (Halving(), 12, (1, 3, 9)),
        (Halving(factor=2, first_epochs=5), 40, (5, 10, 20)),
        (Halving(first_epochs=4), 5, (4,)),
        (Halving(), 1, ()),
    ],
)
def test_rungs_grow_by_the_factor_and_end_before_the_last_epoch(
    halving: Halving, epochs: int, rungs: tuple[int, ...]
) -> None:
    assert halving.rungs(epochs) == rungs


def test_the_share_of_epochs_counts_what_continues() -> None:
    """All train 3 of 27 epochs, a third 6 more, a ninth 18 more."""
    assert Halving().share(27) == pytest.approx((3 + 6 / 3 + 18 / 9) / 27)
    assert Halving().share(1) == 1.0


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": 3, "halving": {"first_epochs": 3}}, "halving.first_epochs is 3, but a training has 3 epochs"),
        ({"epochs": 1, "halving": {}}, "halving.first_epochs is 1, but a training has 1 epochs"),
        ({"halving": {"factor": 1}}, r"halving.factor is 1; input should be greater than or equal to 2"),
        ({"halving": {"eta": 3}}, r"halving.eta is 3"),
        ({"halving": True}, "halving is True; it takes no true or false"),
    ],
)
def test_rungs_that_a_training_can_not_have_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        Training(**parameters)


def test_phases_have_no_rungs() -> None:
    with pytest.raises(PlanError, match=r"training\.halving is not allowed"):
        SparseThenQuantize(training={"halving": {}})


def test_a_score_of_one_class_is_no_objective_at_a_rung() -> None:
    with pytest.raises(PlanError, match="the objective recall_of_3 is only known at the end"):
        problem(
            objectives={"recall_of_3": "maximize", "latency_ms": "minimize"},
            estimator={"name": "training", "epochs": 9, "halving": {}},
        )


def test_a_network_is_the_same_experiment_with_and_without_halving() -> None:
    halved, full = (
        problem(estimator={"name": "training", "epochs": 9, **more}) for more in ({"halving": {"factor": 3}}, {})
    )
    other = problem(estimator={"name": "training", "epochs": 10})
    assert (halved.rungs, full.rungs) == ((1, 3), ())

    def identity(item: Problem) -> str:
        return item.identity(item.searched.sample(PositionChooser(0.5)))

    assert identity(halved) == identity(full) != identity(other)


def test_networks_of_a_list_are_all_trained_completely() -> None:
    plan = problem(estimator={"name": "training", "epochs": 9, "halving": {}}).plan
    assert given_plan(plan, "beside", [{}]).estimator.spec() == {"name": "training", "epochs": 9}
