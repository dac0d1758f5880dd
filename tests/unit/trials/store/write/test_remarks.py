import pytest

from nas.errors import PlanError, UnknownNameError
from trials.store.read.remarks import remarks
from trials.store.read.studies import study_summary, study_token
from trials.store.records import Remark
from trials.store.write.remarks import write_remark


def test_a_study_and_a_trial_have_notes_and_tags(study) -> None:
    study.new("a")
    study.new("b")
    before = study_token(study.store, "digits")
    assert study.store.write(write_remark, "digits", note=" two targets ", add=["b", "a"]).tags == ("a", "b")
    study.store.write(write_remark, "digits", 1, note="try it on the phone", add=["phone"])
    assert study_summary(study.store, "digits").row.remark == Remark("two targets", ("a", "b"))
    assert remarks(study.store, "digits") == {1: Remark("try it on the phone", ("phone",))}
    assert study_token(study.store, "digits") != before
    study.store.write(write_remark, "digits", 1, remove=["phone", "other"])
    assert remarks(study.store, "digits") == {1: Remark("try it on the phone")}
    study.store.write(write_remark, "digits", 1, note="")
    assert remarks(study.store, "digits") == {}


def test_remarks_that_can_not_be_stored_are_refused(study) -> None:
    for values, message in (
        ({"add": ["two words"]}, "'two words' can't be a tag"),
        ({"add": [str(number) for number in range(21)]}, "21 tags are too many"),
        ({"note": "x" * 10_001}, "10,001 characters"),
    ):
        with pytest.raises(PlanError, match=message):
            study.store.write(write_remark, "digits", **values)
    with pytest.raises(UnknownNameError, match="it has no trials yet"):
        study.store.write(write_remark, "digits", 3, note="x")
    with pytest.raises(UnknownNameError, match="digits"):
        study.store.write(write_remark, "digitz", note="x")
