"""The page of a study's activity: whether it is done, what it does and waits for, and what failed."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.activity import show_news, show_progress, show_reasons, show_retried, show_timeline
from dashboard.sections.live import follow
from dashboard.sections.outcome import show_early_scores
from dashboard.selection import choose_study
from nas.foreign import markdown
from trials.reporting.study import StudyView

TITLE, ICON, ORDER = "Activity", ":material/monitor_heart:", 7


def show(context: Context) -> None:
    """Show the activity of the study that the link names, else of the last one shown, else of the newest."""
    name = choose_study(context)
    st.title("Activity")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}, {markdown(study.row.state)}")
    follow(context, name, _show)


def _show(context: Context, study: StudyView) -> None:
    show_news(study)
    show_progress(study)
    show_timeline(study)
    show_reasons(context, study)
    show_retried(study)
    show_early_scores(study)
