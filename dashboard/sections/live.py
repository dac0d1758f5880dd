"""A part of a page that follows its study while the study is prepared or runs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.context import Context
from trials.reporting.study import StudyView

#: Seconds between two looks at a live study.
EVERY_S = 5


def follow(context: Context, name: str, draw: Callable[[Context, StudyView], None]) -> None:
    """Draw a part of a page. While the study is live, draw it again and again; at its end, draw the whole page."""
    study = context.study(name)
    if study.row.is_live:
        st.fragment(_again, run_every=EVERY_S)(context, name, draw)
    else:
        draw(context, study)


def _again(context: Context, name: str, draw: Callable[[Context, StudyView], None]) -> None:
    study = context.study(name)
    if not study.row.is_live:
        st.rerun()
    draw(context, study)
