"""One study: its front, how it went on, and pages of its candidates."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.by_target import show_targets
from dashboard.sections.candidates import show_candidates
from dashboard.sections.front import show_front
from dashboard.sections.outcome import show_comparison, show_gaps, show_history
from dashboard.sections.summary import show_heading, show_plan, show_totals
from dashboard.selection import choose_study
from trials.store.read.studies import StudySummary, study_summary

TITLE, ICON, ORDER = "Study", ":material/scatter_plot:", 1


def show(context: Context) -> None:
    """Show the study of the link, or the newest one."""
    name = choose_study(context)
    if name is None:
        st.title("Study")
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    summary = study_summary(context.source, name)
    show_heading(context, summary)
    if summary.row.state == "running":
        st.fragment(_live, run_every=5)(context, name)
    else:
        _course(context, summary)
    show_candidates(context, summary)
    show_plan(summary)


def _live(context: Context, name: str) -> None:
    """Everything that moves while a study runs; the whole page once it stops."""
    summary = study_summary(context.source, name)
    if summary.row.state != "running":
        st.rerun()
    _course(context, summary)


def _course(context: Context, summary: StudySummary) -> None:
    show_totals(summary)
    if not summary.row.counts.get("complete"):
        total = sum(summary.row.counts.values())
        st.info(
            "No candidate is complete yet: the front and the history appear with the first one."
            if total
            else "This study has no trials yet."
        )
        return
    show_front(context, summary)
    show_targets(context, summary)
    show_gaps(context, summary)
    show_comparison(context, summary)
    show_history(context, summary)
