from sqlalchemy import update

from tests.unit.trials.store.conftest import create
from trials.store.dialect import Clock
from trials.store.models import Study
from trials.store.read.studies import count_studies, list_studies, study_summary, study_token
from trials.store.write.leases import acquire_lease, release_lease, renew_lease, set_phase


def expire(study) -> None:
    with study.store.transaction() as connection:
        connection.execute(update(Study).where(Study.id == study.id).values(lease_expires_at=Clock(-1.0)))


def test_a_study_whose_coordinator_died_is_interrupted(study, other_study) -> None:
    store = study.store
    study.store.write(set_phase, study.lease, "trial 3: epoch 4 of 30", 60)
    before = study_token(store, "digits")
    expire(study)
    assert [(row.name, row.state, row.is_live) for row in list_studies(store)] == [
        ("digits-random", "running", True),
        ("digits", "interrupted", False),
    ]
    assert study_summary(store, "digits").row.phase is None
    assert [row.name for row in list_studies(store, states=["interrupted"])] == ["digits"]
    assert [row.name for row in list_studies(store, states=["running"])] == ["digits-random"]
    assert count_studies(store, states=["running"]) == count_studies(store, states=["interrupted"]) == 1
    assert study_token(store, "digits") != before
    store.write(renew_lease, study.lease, 60, {}, "trial 3: epoch 4 of 30")
    assert study_token(store, "digits") == before
    assert study_summary(store, "digits").row.state == "running"


def test_a_study_waits_until_a_coordinator_takes_it(store) -> None:
    study_id = create(store, "later")
    assert study_summary(store, "later").row.state == "waiting"
    assert [row.name for row in list_studies(store, states=["waiting"])] == ["later"]
    assert count_studies(store, states=["interrupted"]) == 0
    lease = store.write(acquire_lease, study_id, "elsewhere:1:1", 60)
    store.write(release_lease, lease, "interrupted", {})
    assert study_summary(store, "later").row.state == "interrupted"
    assert count_studies(store, states=["waiting"]) == 0
