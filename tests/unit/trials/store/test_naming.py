import pytest

from nas.errors import PlanError, StudyError
from trials.plans.plan import make_plan
from trials.plans.studies import study_specs
from trials.store.naming import name_problem
from trials.store.store import Store
from trials.store.write.studies import check_name_free

BAD = ["", ".", "..", "...", "-", "--yes", "a/b", "../a", "/a", "a\\b", "größe", "a b", "a\n", "a\0b", "a:b", "x" * 201]
GOOD = ["work", "1", "artifacts", "checkpoints", "a..b", ".hidden", "_", "v1.0-rc_2", "x" * 200]
PLAN = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_name_is_refused_by_the_plan_by_the_option_and_by_the_database(store: Store, name: str) -> None:
    with pytest.raises(PlanError, match="name: "):
        make_plan({**PLAN, "name": name})
    with pytest.raises(StudyError, match="a study's name"):
        study_specs(make_plan(PLAN), name)
    with pytest.raises(StudyError, match="a study's name"):
        store.read(check_name_free, name)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_is_taken_by_all(name: str) -> None:
    assert name_problem(name) is None
    assert study_specs(make_plan({**PLAN, "name": name}))[0].name == name


def test_a_baseline_of_ones_own_code_has_a_name_that_can_be_stored() -> None:
    specs = study_specs(make_plan(PLAN), "study", "my_code:Strategy")
    assert [spec.name for spec in specs] == ["study", "study-my_code-Strategy"]
