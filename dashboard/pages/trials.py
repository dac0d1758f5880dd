"""The page of a study's trials: a table and the front, filtered together; the address holds every filter."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.listing import asked_listing, show_listing
from dashboard.sections.trial_front import show_trial_front
from dashboard.selection import choose_study
from nas.foreign import markdown

TITLE, ICON, ORDER = "Trials", ":material/table_rows:", 2


def show(context: Context) -> None:
    """Show the trials of the study that the link names, else of the last one shown, else of the newest."""
    name = choose_study(context)
    st.title("Trials")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}, {markdown(study.row.state)}")
    listing = asked_listing(study)
    numbers = study.listed(listing)
    marked = show_trial_front(study, numbers)
    show_listing(context, study, marked if len(marked) else numbers)
