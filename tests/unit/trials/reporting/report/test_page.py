from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs_version
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from nas.errors import UnknownNameError
from nas.tasks.intervals import wilson
from tests.browser.seed import seed_database
from tests.browser.seed_sparse import seed_sparse
from tests.browser.seed_targets import seed_targets
from trials.reporting.report.figures import markup
from trials.reporting.report.page import plotly_js, write_report
from trials.store.database.engine import open_engine
from trials.store.models import Study
from trials.store.read.points import front


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    seed_database(engine)
    yield engine
    engine.dispose()


class Page(HTMLParser):
    """Text of headings and of the front's first column, and every address that the page would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.loads: list[str] = []
        self.in_front = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [str(given[key]) for key in ("src", "href") if given.get(key)]
        if tag == "table":
            self.in_front = given.get("id") == "front"
        if tag == "tr" and self.in_front:
            self.rows.append([])
        self.path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.path and self.path.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.path and self.path[-1] in ("h1", "h2"):
            self.headings.append(data)
        if self.in_front and self.path and self.path[-1] in ("td", "th"):
            self.rows[-1].append(data)


def test_one_page_with_everything_in_it(engine: Engine, tmp_path: Path) -> None:
    path = write_report(engine, "digits", tmp_path / "out" / "here")
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert path == tmp_path / "out" / "here" / "report.html"
    assert page.headings[0] == "Study digits"
    headings = {
        "Pareto front",
        "Search against baseline",
        "History",
        "Curves",
        "States",
        "Costs",
        "Plan",
        "Final trainings",
    }
    assert headings <= set(page.headings)
    assert page.loads == []
    assert text.count("Plotly.newPlot(") >= 5
    assert "saved by: limits before training" in text
    assert "The search is ahead of its random baseline: hypervolume" in text
    assert "relative_to: median" in text


def test_several_targets_and_what_was_exported_have_their_tables(engine: Engine, tmp_path: Path) -> None:
    seed_targets(engine)
    text = write_report(engine, "pair", tmp_path).read_text(encoding="utf-8")
    page = Page(text)
    assert {"Exported networks on the test split", "Rank correlation between targets"} <= set(page.headings)
    assert {"Front at local", "Front at phone"} <= set(page.headings)
    assert "local and phone" in text
    half = sum(((high - low) / 2) ** 2 for low, high in (wilson(0.931, 700), wilson(0.917, 700))) ** 0.5
    assert f"{0.014 - half:.4g} to {0.014 + half:.4g}" in text
    assert {"4.0%", "1.000"} <= set(re.findall(r"<td[^>]*>([^<]*)</td>", re.sub(r"\s*\n\s*", "", text)))
    assert "Rank correlation between" not in write_report(engine, "digits", tmp_path).read_text(encoding="utf-8")


def test_the_front_is_a_table_as_well(engine: Engine, tmp_path: Path) -> None:
    page = Page(write_report(engine, "digits", tmp_path).read_text(encoding="utf-8"))
    head, *rows = page.rows
    assert head[:3] == ["Trial", "Accuracy", "Latency"]
    assert [int(row[0]) for row in rows] == front(engine, "digits").numbers.tolist()
    assert all(re.fullmatch(r"[\d.]+ ms", row[2]) for row in rows)


def test_a_report_without_a_baseline_says_so_in_its_heading(engine: Engine, tmp_path: Path) -> None:
    page = Page(write_report(engine, "live", tmp_path).read_text(encoding="utf-8"))
    assert page.headings[0] == "Study live, without a random baseline"
    assert "Search against baseline" not in page.headings


def test_a_sparse_study_is_compared_with_its_dense_parents_and_random_masks(engine: Engine, tmp_path: Path) -> None:
    seed_sparse(engine)
    text = write_report(engine, "sparse", tmp_path).read_text(encoding="utf-8")
    assert "sparse during training, static masks, unstructured or semi-structured" in text
    assert "Against dense parents and random masks" in Page(text).headings
    table = text.partition('<table id="comparison">')[2].partition("</table>")[0]
    found = [text.strip() for text in re.findall(r"<td>([^<]*)", table)]
    order = [text for text in found if text in ("random masks, equal density", "dense parent", "reference")]
    assert order == ["random masks, equal density", "dense parent"] * 3 + ["reference"]
    assert table.count("sparser but not faster") == 1
    assert "Found minus random masks at equal density, accuracy" in text


def test_a_sparse_study_that_lacks_something_says_so_in_its_heading(engine: Engine, tmp_path: Path) -> None:
    seed_sparse(engine)
    page = Page(write_report(engine, "bare", tmp_path).read_text(encoding="utf-8"))
    lacks = "no declared regime, no random-mask baseline, no measured latency"
    assert page.headings[0] == f"Study bare, without a random baseline; incomplete: {lacks}"
    assert Page(write_report(engine, "sparse-dense", tmp_path).read_text()).headings[0] == "Study sparse-dense"


def test_a_study_without_candidates_has_a_report_too(engine: Engine, tmp_path: Path) -> None:
    text = write_report(engine, "fresh", tmp_path).read_text(encoding="utf-8")
    assert "there is no front yet" in text
    assert "Plotly.newPlot(" not in text.split("</head>")[1]


def test_what_users_wrote_is_text_not_markup(engine: Engine, tmp_path: Path) -> None:
    with Session(engine) as session:
        study = session.query(Study).filter_by(name="fresh").one()
        study.error = "<script>alert(1)</script>"
        study.environment = {"host": "<img src=x>"}
        session.commit()
    text = write_report(engine, "fresh", tmp_path).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert "<img src=x>" not in text
    assert "&lt;img src=x&gt;" in text


def test_one_objective_is_drawn_over_the_order_of_proposal(engine: Engine, tmp_path: Path) -> None:
    with Session(engine) as session:
        for study in session.query(Study).filter_by(group="digits"):
            study.objectives = {"accuracy": "maximize"}
        session.commit()
    page = Page(write_report(engine, "digits", tmp_path).read_text(encoding="utf-8"))
    assert len(page.rows) == 2


def test_an_unknown_study_writes_nothing(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        write_report(engine, "digitz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_script_of_the_report_has_the_version_of_the_installed_package() -> None:
    assert f"v{get_plotlyjs_version()}\n" in plotly_js()[:100]


@pytest.mark.slow
def test_a_report_of_ten_thousand_trials_is_at_most_two_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[5] / "benchmarks")
    write_study = importlib.import_module("dashboard_parts.studies").write_study
    engine = open_engine(f"sqlite:///{tmp_path / 'nas.db'}")
    write_study(engine, "many", 10_000)
    path = write_report(engine, "many", tmp_path)
    engine.dispose()
    assert path.stat().st_size <= 2_000_000


def test_no_figure_of_a_report_needs_webgl() -> None:
    figure = go.Figure(go.Scattergl(x=[1, 2], y=[3, 4])).update_layout(template="none")
    assert '"type":"scatter"' in markup(figure)
    assert "scattergl" not in markup(figure)


def test_what_does_not_concern_a_study_is_left_out(engine: Engine, tmp_path: Path) -> None:
    with Session(engine) as session:
        study = session.scalars(select(Study).where(Study.name == "digits")).one()
        study.environment = {**study.environment, "revision": None}
        session.commit()
        whole = write_report(engine, "digits", tmp_path / "whole").read_text(encoding="utf-8")
        study.environment = {**study.environment, "revision": "0a1b2c3"}
        study.plan = {**study.plan, "estimator": {"name": "training", "halving": {}}}
        session.commit()
    halved = write_report(engine, "digits", tmp_path / "halved").read_text(encoding="utf-8")
    assert [row in whole for row in ("<td>host</td>", "<td>revision</td>", "Only the best trials of each rung")] == [
        True,
        False,
        False,
    ]
    assert "<tr><td>revision</td><td>0a1b2c3</td></tr>" in halved
    assert "Only the best trials of each rung are trained to the end" in halved
