"""A part of a page that follows its study while the study is prepared or runs."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.context import Context
from dashboard.widgets import repeat
from trials.reporting.study import StudyView

#: Seconds between two looks at a live study.
EVERY_S = 5


def follow(context: Context, name: str, draw: Callable[[Context, StudyView], None]) -> None:
    """Draw a part of a page. While the study is live, draw it again and again; in a new state, draw the whole page."""
    study = context.study(name)
    if study.row.is_live:
        repeat(_again, EVERY_S, context, name, study.row.state, draw)
    else:
        draw(context, study)


def _again(context: Context, name: str, state: str, draw: Callable[[Context, StudyView], None]) -> None:
    study = context.study(name)
    if study.row.state != state:
        st.rerun()
    draw(context, study)
