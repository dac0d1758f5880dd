"""The page of one study: its front, its history, and a table of its trials."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.actions import show_actions
from dashboard.sections.by_target import show_predictions, show_targets
from dashboard.sections.front import show_front
from dashboard.sections.live import follow
from dashboard.sections.outcome import show_comparison, show_gaps, show_history, show_imported
from dashboard.sections.recommended import show_recommended
from dashboard.sections.remarks import show_remark
from dashboard.sections.summary import show_heading, show_plan, show_totals
from dashboard.selection import choose_study
from nas.foreign import markdown
from trials.reporting.study import StudyView

TITLE, ICON, ORDER = "Study", ":material/scatter_plot:", 1


def show(context: Context) -> None:
    """Show the study that the link names, else the last one shown, else the newest."""
    name = choose_study(context)
    if name is None:
        st.title("Study")
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    show_heading(study)
    show_remark(context, name, None, study.row.remark)
    show_actions(context, study)
    follow(context, name, _course)
    st.page_link(
        context.pages["trials"],
        label="All trials of this study",
        icon=":material/table_rows:",
        query_params={"study": name},
    )
    show_plan(study.summary)


def _course(context: Context, study: StudyView) -> None:
    show_totals(study)
    if not study.row.counts.get("complete"):
        total = sum(study.row.counts.values())
        st.info(
            "No trial is complete yet: the front and the history appear with the first one."
            if total
            else "This study has no trials yet."
        )
        return
    if study.verdict:
        st.markdown(f"**{markdown(study.verdict)}**")
    show_recommended(context, study)
    show_front(context, study)
    show_imported(study)
    show_targets(study)
    show_predictions(study)
    show_gaps(study)
    show_comparison(study)
    show_history(study)
