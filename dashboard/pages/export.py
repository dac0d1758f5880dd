"""The page that takes networks away: which, in which formats, with the command that does it."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.export import asked_options, asked_selection, show_export, show_exports, show_selected
from dashboard.selection import choose_study
from dashboard.widgets import errors_shown
from nas.foreign import markdown

TITLE, ICON, ORDER = "Export", ":material/archive:", 8


def show(context: Context) -> None:
    """Show how to export networks of the study that the link names, else of the last one shown, else of the newest."""
    name = choose_study(context)
    st.title("Export")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}, {markdown(study.row.state)}")
    with errors_shown():
        selection = asked_selection(study)
        options = asked_options()
        show_selected(study, selection)
        show_export(context, study, [*selection.arguments, *options])
    show_exports(context, study)
