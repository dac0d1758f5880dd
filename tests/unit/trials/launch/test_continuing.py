"""One command that starts studies or continues them; the workers only pretend."""

from __future__ import annotations

import io
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nas.errors import PlanError, StudyError
from tests.unit.trials.launch.test_preparing import LIMITED, PLAN, Preparing
from trials.launch import studies
from trials.launch.cluster import continuing
from trials.plans.plan import make_plan
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.read.code import kept_code
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.leases import acquire_lease, release_lease


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'nas.db'}"


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Preparing:
    executor = Preparing()
    monkeypatch.setattr(studies, "open_executor", lambda plan, address=None: nullcontext(executor))
    return executor


def search(url: str, **keys: Any) -> None:
    studies.search(make_plan(PLAN | keys), storage=url, or_resume=True)


def states(url: str, *names: str) -> list[str]:
    return [Store(url).read(study_row, name).state for name in names]


def test_a_repeated_command_continues_its_studies(url: str, workers: Preparing, tmp_path: Path) -> None:
    for folder in ("first", "second"):  # where the code is on two clusters
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text("NAME = 'mine'")

    def die() -> None:
        raise KeyboardInterrupt

    workers.seen = die
    keys = LIMITED | {"replicate_seeds": [1]}
    with pytest.raises(KeyboardInterrupt):
        search(url, **keys, code=[str(tmp_path / "first")])
    assert states(url, "study", "study-seed1") == ["interrupted", "interrupted"]
    workers.seen = lambda: None
    search(url, **keys, code=[str(tmp_path / "second")])
    assert states(url, "study", "study-seed1") == ["complete", "complete"]
    ran = len(workers.ran)
    search(url, **keys)
    assert len(workers.ran) == ran, "ended studies are left as they are"
    store = Store(url)
    packed = store.read(kept_code, store.read(study_row, "study").id)
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["code0/mine.py"]


def test_a_study_with_another_plan_is_left_alone(url: str, workers: Preparing) -> None:
    search(url)
    with pytest.raises(StudyError, match=r"another plan, which differs in budget.trials, seed; give another --name"):
        search(url, budget={"trials": 4}, seed=3)
    with pytest.raises(StudyError, match="'study' exists, but 'study-seed1', which this command would start with it"):
        search(url, replicate_seeds=[1])
    studies.extend(url, "study", ["budget.trials=+1"])
    search(url)
    assert Store(url).read(study_row, "study").plan["budget"]["trials"] == 4


def test_the_lease_of_a_dead_coordinator_elsewhere_is_waited_for(
    url: str,
    workers: Preparing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search(url)
    store = Store(url)
    study = store.read(study_row, "study")
    store.write(acquire_lease, study.id, "elsewhere:1:1", 60)
    with store.transaction() as connection:
        connection.execute(update(Study).values(lease_expires_at=Clock(2.0)))
    search(url)
    assert states(url, "study") == ["complete"]
    lease = store.write(acquire_lease, study.id, "elsewhere:1:1", 60)
    monkeypatch.setattr(continuing, "LEASE_S", 1.0)
    monkeypatch.setattr(continuing, "MARGIN_S", 0.0)
    with pytest.raises(StudyError, match="'study' is being run by elsewhere:1:1"):
        search(url)
    store.write(release_lease, lease, "interrupted", {})


def test_code_that_no_database_should_keep_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text("NAME = 'mine'")
    monkeypatch.setattr(continuing, "MAX_CODE_BYTES", 20)
    with pytest.raises(PlanError, match=r"code: the Python files of .* put the plan and its code into a folder"):
        continuing.pack_code([str(tmp_path)])
