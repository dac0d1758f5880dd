"""Write the report: one HTML page about one study, which opens offline and needs no other files."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from nas.foreign import lines
from trials.reporting.labels import moment
from trials.reporting.pages import render_page
from trials.reporting.report.cards import cards
from trials.reporting.report.figures import front_section, sections, target_sections
from trials.reporting.report.tables import (
    comparison_table,
    costs_table,
    final_table,
    front_table,
    gap_table,
    imported_table,
    prediction_table,
    rank_table,
    rung_table,
)
from trials.reporting.study import StudyView, study_view
from trials.reporting.terms import TERMS
from trials.store.read.protocols import describe_regime
from trials.store.read.session import Source

#: Tables below the front, in their order; each is left out where it has nothing to show.
TABLES = (
    imported_table,
    comparison_table,
    final_table,
    gap_table,
    rank_table,
    prediction_table,
    rung_table,
    costs_table,
)

#: Headings of the explanations that apply to the report.
SHOWN_TERMS = ("Values and intervals", "The front", "States of a trial")


def write_report(source: Source, name: str, out_dir: Path) -> Path:
    """Write ``out_dir/report.html`` about the study ``name``, and return its path.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with study_view(source, name) as study:
        page = render(study)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = out_dir / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def plotly_js() -> str:
    """Return the script that draws the figures: plotly's own ``plotly.js-basic-dist-min``, a quarter of the whole."""
    packed = files("trials.reporting.report").joinpath("plotly-basic.min.js.gz").read_bytes()
    return gzip.decompress(packed).decode()


def render(study: StudyView) -> str:
    """Return the page as HTML text."""
    return render_page(
        "trials.reporting.report/page.html",
        study=study,
        title=_title(study),
        subtitle=_subtitle(study),
        plotly_js=Markup(plotly_js()),
        cards=list(cards(study)),
        front=front_section(study),
        front_table=front_table(study),
        tables=[table for make in TABLES if (table := make(study))],
        sections=[*target_sections(study), *sections(study)],
        terms={heading: TERMS[heading] for heading in SHOWN_TERMS},
        environment=[
            (key.replace("_", " "), _plain(value))
            for key, value in study.summary.environment.items()
            if value is not None
        ],
        plan=lines(yaml.safe_dump(dict(study.summary.plan), sort_keys=False, allow_unicode=True)),
    )


def _title(study: StudyView) -> str:
    lacks = ", without a random baseline" if study.lacks_baseline else ""
    incomplete = f"; incomplete: {', '.join(study.row.incomplete)}" if study.row.incomplete else ""
    return f"Study {study.name}{lacks}{incomplete}"


def _subtitle(study: StudyView) -> str:
    summary, row = study.summary, study.row
    space, task = (summary.plan.get(key, {}).get("name", "?") for key in ("space", "task"))
    where = ", ".join(summary.targets) or "no target"
    return (
        f"{row.strategy} on the space {space} for the task {task}, measured on {where}; seed {row.seed}; "
        f"{row.state}; started {moment(row.created_at)}"
        + (f"; {describe_regime(summary.regime)}" if summary.regime is not None else "")
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return str(value)
