"""What pages say where there is nothing to show, and what the address makes them show."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.pages import page_modules
from tests.browser.seed import seed_database
from tests.browser.seed_sparse import seed_sparse
from tests.unit.dashboard.shown import script, shown
from trials.store.database.engine import open_engine


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('messages') / 'nas.db'}"
    engine = open_engine(url)
    seed_database(engine)
    seed_sparse(engine)
    engine.dispose()
    return url


def said(app: AppTest) -> str:
    """All text of a page except for its tables."""
    kinds = (app.error, app.warning, app.info, app.caption, app.markdown, app.code)
    return "\n".join(str(item.value) for kind in kinds for item in kind)


@pytest.mark.parametrize("name", [name for name in page_modules() if name != "help"])
def test_an_empty_database_says_how_to_begin(name: str, tmp_path: Path) -> None:
    assert "Launch" in said(shown(f"sqlite:///{tmp_path / 'empty.db'}", name))


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("study", {"study": "digitz"}, "did you mean 'digits'"),
        ("study", {"study": "nothing"}, "no study 'nothing'"),
        ("study", {"study": "\0"}, "no study"),
        ("study", {"study": "digits", "picked": "99"}, "its trials are 0 to 29"),
        ("trial", {"study": "digits", "trial": "99"}, "its trials are 0 to 29"),
        ("trial", {"study": "digits", "trial": "999999"}, "999999"),
        ("trial", {"study": "digits", "trial": "-1"}, "trial='-1'"),
        ("trial", {"study": "digits", "trial": "1e3"}, "trial='1e3'"),
        ("trial", {"study": "digits", "trial": "9" * 20}, "trial='9999"),
        ("trial", {"study": "digits", "trial": "x"}, "trial='x'"),
        ("trials", {"study": "digits", "where": "lateness<3"}, "has no metric 'lateness'"),
        ("compare", {"study": "digits", "trials": "1,x"}, "'x' is not the number of a trial"),
        ("compare", {"study": "digits", "trials": "1,99"}, "its trials are 0 to 29"),
    ],
)
def test_a_wrong_link_is_answered(url: str, name: str, asked: dict[str, str], message: str) -> None:
    assert message in plain("\n".join(item.value for item in shown(url, name, **asked).error))


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("study", {"study": "fresh"}, "This study has no trials yet."),
        ("trial", {"study": "fresh"}, "There is no trial yet."),
        ("trial", {"study": "live", "trial": "8"}, "Queued: nothing has been measured yet."),
        ("trial", {"study": "digits", "trial": "11"}, "Traceback (most recent call last)"),
        ("trial", {"study": "digits", "trial": "11"}, "JobError: loss is nan in epoch 2, step 31"),
        ("choices", {"study": "live"}, "What matters is shown from 20 on."),
        (
            "study",
            {"study": "bare"},
            "Incomplete: no declared regime, no random-mask baseline, no measured latency.",
        ),
    ],
)
def test_a_page_says_what_is_missing(url: str, name: str, asked: dict[str, str], message: str) -> None:
    assert message in plain(said(shown(url, name, **asked)))


def test_the_list_of_studies_says_what_is_missing(url: str) -> None:
    table = shown(url, "studies", find="bare").dataframe[0].value
    assert "no declared regime; no random-mask baseline; no measured latency" in table.to_string()


def test_the_address_holds_the_page_of_trials(url: str) -> None:
    app = shown(url, "trials", study="digits", page="2")
    assert "26 to 30 of 30 listed trials" in said(app)
    assert app.dataframe[-1].value.iloc[0, 0] == 25


def test_the_address_holds_the_trial_beside_the_front(url: str) -> None:
    assert "#### Trial 3" in said(shown(url, "study", study="digits", picked="3"))


@pytest.mark.parametrize("picked", ["", "x", "-1", "nan", "9" * 30])
def test_a_trial_beside_the_front_that_is_no_number_is_left_out(url: str, picked: str) -> None:
    app = shown(url, "study", study="digits", picked=picked)
    assert "#### Trial" not in said(app)
    assert "picked" not in app.query_params
    assert not app.error


def test_the_address_holds_the_rule_of_an_export(url: str) -> None:
    app = shown(url, "export", allow_actions=False, study="digits", rule="top", top="2", by="Parameters")
    assert "nas export --top=2 --by=parameters --out=exported" in said(app)
    assert "2 trials" in said(app)
    assert not app.button


def plain(text: str) -> str:
    """Text of a page without what Markdown needs to show it literally."""
    return unescape(text.replace("\\", ""))


def test_a_visitor_whose_study_was_deleted_sees_the_newest_one(url: str) -> None:
    app = AppTest.from_function(
        script, default_timeout=120, kwargs={"url": url, "name": "activity", "allow_actions": False}
    )
    app.session_state["last_study"] = "gone"
    app.run()
    assert [item.value for item in app.error] == []
    assert app.query_params["study"] != ["gone"]
