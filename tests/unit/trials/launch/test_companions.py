"""Companions of a study: which studies, of which networks, with which plans; the workers only pretend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from nas.errors import PlanError, StudyError
from nas.latency.targets import TargetSpec
from nas.sparsity import Schedule
from nas.sparsity.prunable import Prunable
from tests.unit.trials.coordinator.test_twins import NETWORK
from trials.analysis.compared import compared
from trials.launch.studies import add_twins, search
from trials.plans.plan import Plan, make_plan
from trials.reporting.comparison import comparison
from trials.store.read.candidate import candidate_detail
from trials.store.read.companions import companions, references
from trials.store.read.rows import study_row
from trials.store.read.studies import list_studies, study_summary
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, release_lease
from trials.store.write.targets import add_target

SPARSE = {"name": "sparsity", "densities": [0.25, 0.5, 1.0], "schedule": "gradual"}


class Silent(Schedule):
    """A schedule that does not say when it prunes."""

    def density(self, part: Prunable, step: int, total_steps: int) -> float:
        return part.density

    def on_step(self, model: nn.Module, parts: Sequence[Prunable], step: int, total_steps: int) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'nas.db'}"
    store = Store(url)
    store.write(add_target, "local", {"spec": TargetSpec("local").to_json()}, {})
    store.close()
    return url


def plan(**keys: Any) -> Plan:
    return make_plan(
        {
            "task": {"name": "digits", "image_size": 8},
            "space": {"name": "plain_convnet"},
            "policies": [SPARSE],
            "limits": {"latency_ms": {"max": 100}},
            "strategy": {"name": "random"},
            "measure": {"audit": 0.0},
            "executor": "tests.unit.trials.pretending:Pretending",
            "budget": {"trials": 4},
            **keys,
        }
    )


def test_a_sparse_search_gets_its_dense_parents_and_random_masks(url: str) -> None:
    reference = {"name": "plain_convnet", "choices": NETWORK}
    names = search(plan(references=[reference]), storage=url, twins=True)
    assert names == ["study", "study-plain_convnet", "study-dense", "study-random-mask"]
    store = Store(url)
    rows = {row.name: row for row in list_studies(store)}
    assert {row.group for row in rows.values()} == {"study"}
    assert [rows[name].role for name in names] == ["search", "reference", "dense", "random_mask"]
    assert {rows[name].state for name in names} <= {"complete", "exhausted"}
    assert [bool(study_summary(store, name).limits) for name in names] == [True, False, False, False]
    assert all(row.incomplete == () for row in rows.values())
    beside = companions(store, "study")
    for role in ("dense", "random_mask"):
        numbers = compared(store, "study", 4, only_sparse=role == "random_mask")
        assert list(beside[role].candidates) == numbers
        for number, row in beside[role].candidates.items():
            found = candidate_detail(store, "study", number)
            other = candidate_detail(store, beside[role].study, row.number)
            own, theirs = found.definition["choices"], other.definition["choices"]
            if role == "random_mask":
                assert theirs == own
                assert other.definition["policies"][0]["schedule"] == "static_random"
                assert row.metrics["density"].value == pytest.approx(found.row.metrics["density"].value)
            else:
                assert theirs == {key: value for key, value in own.items() if not key.startswith("sparsity")}
                assert other.definition["policies"] == []
                assert "dense_latency_ms" not in row.metrics
    assert list(references(store, "study")) == ["study-plain_convnet"]
    table = comparison(store, "study")
    assert table is not None
    assert "Found minus random masks" in table.verdict


def test_twins_can_be_added_later_and_once(url: str) -> None:
    search(plan(), storage=url)
    store = Store(url)
    assert study_summary(store, "study").row.incomplete == ("no random-mask baseline",)
    found = comparison(store, "study")
    assert found is not None
    assert [row.what for row in found.rows] == ["found"]
    assert add_twins(url, "study", max_networks=2) == ["study-dense", "study-random-mask"]
    assert study_summary(store, "study").row.incomplete == ()
    with pytest.raises(StudyError, match="study 'study-dense' exists"):
        add_twins(url, "study")


def test_precision_alone_gets_dense_parents_only(url: str) -> None:
    names = search(plan(policies=[{"name": "precision", "options": ["int8"]}]), storage=url, twins=True)
    assert names == ["study", "study-dense"]
    assert study_summary(Store(url), "study").regime is None


def test_objectives_that_policies_account_for_do_not_ask_dense_parents(url: str) -> None:
    search(plan(objectives={"accuracy": "maximize", "density": "minimize"}), storage=url, twins=True)
    objectives = {row.name: dict(row.objectives) for row in list_studies(Store(url))}
    assert objectives["study-dense"] == {"accuracy": "maximize"}
    assert objectives["study-random-mask"] == objectives["study"] == {"accuracy": "maximize", "density": "minimize"}


@pytest.mark.parametrize(
    ("policy", "regime"),
    [
        (SPARSE, {"when": "during", "dynamic": False, "structures": ["unstructured"]}),
        (
            {"name": "sparsity", "patterns": ["nm_2_4", "channels", "nm_1_4"], "schedule": "static_random"},
            {"when": "before", "dynamic": False, "structures": ["semi-structured", "structured"]},
        ),
        ({**SPARSE, "schedule": "tests.unit.trials.launch.test_companions:Silent"}, {}),
    ],
)
def test_a_sparse_study_stores_the_regime_its_policy_declares(policy: Any, regime: Any, url: str) -> None:
    search(plan(policies=[policy], budget={"trials": 1}), storage=url)
    summary = study_summary(Store(url), "study")
    assert summary.regime == regime
    assert ("no declared regime" in summary.row.incomplete) == (regime == {})


def test_what_can_not_be_compared_is_refused(url: str) -> None:
    with pytest.raises(PlanError, match="no policies"):
        search(plan(policies=[]), storage=url, twins=True)
    with pytest.raises(PlanError, match=r"choices\.0 does not fit this space: .*no answer to 'stride_mode'"):
        search(plan(references=[{"name": "plain_convnet"}]), storage=url)
    assert list_studies(Store(url)) == []
    search(plan(policies=[{**SPARSE, "densities": [1.0]}], budget={"trials": 1}), storage=url)
    with pytest.raises(StudyError, match="no policy changed any complete candidate"):
        add_twins(url, "study")


def test_companions_wait_for_the_end_of_a_study(url: str) -> None:
    search(plan(budget={"trials": 6, "wall_minutes": 1e-9}), storage=url)
    store = Store(url)
    row = store.read(study_row, "study")
    lease = store.write(acquire_lease, row.id, "elsewhere:1:1", -1)
    store.write(release_lease, lease, "interrupted", {})
    with pytest.raises(StudyError, match="is interrupted; finish it before its twins are trained"):
        add_twins(url, "study")
