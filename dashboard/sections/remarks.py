"""Notes and tags of a study or a trial."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.widgets import errors_shown
from nas.foreign import lines, markdown
from trials.store.records import Remark


def show_remark(context: Context, study: str, number: int | None, remark: Remark) -> None:
    """Show a note and tags, and a form to change them if visitors may."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for tag in remark.tags:
            st.badge(markdown(tag), icon=":material/label:", color="gray")
        if context.actions.allowed:
            with st.popover("Note and tags", icon=":material/edit_note:"):
                _form(context, study, number, remark)
    if remark.note:
        st.text(lines(remark.note))


def _form(context: Context, study: str, number: int | None, remark: Remark) -> None:
    with st.form(f"remark-{study}-{number}", border=False):
        note = st.text_area("Note", remark.note)
        tags = st.text_input("Tags, separated by commas or blanks", ", ".join(remark.tags))
        if st.form_submit_button("Save"):
            wanted = (tags or "").replace(",", " ").split()
            removed = [tag for tag in remark.tags if tag not in wanted]
            with errors_shown():
                context.actions.remark(study, number, note or "", add=wanted, remove=removed)
                st.rerun()
