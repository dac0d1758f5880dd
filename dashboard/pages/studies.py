"""The page of all studies."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.studies import asked_studies, follow_studies, show_studies
from trials.store.read.studies import count_studies

TITLE, ICON, ORDER = "Studies", ":material/lists:", 0


def show(context: Context) -> None:
    """List the studies that the address asks for, newest first."""
    st.title("Studies")
    follow_studies(context)
    if not count_studies(context.source):
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    show_studies(context, asked_studies())
