"""A variant of a trial, by hand: other answers to a few of its choices, and the command that adds it to the study."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from dashboard.context import Context
from dashboard.widgets import errors_shown
from nas.foreign import line, markdown
from trials.plans.text import answer_text
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail
from trials.store.read.choices import asked_choices


def show_variant(context: Context, study: StudyView, detail: CandidateDetail) -> None:
    """Ask for other answers to the choices of a trial, and add the network to its study if visitors may."""
    options = asked_choices(study.source, study.name, detail.row.number)
    own = {name: answer for name, answer in detail.definition.get("choices", {}).items() if name in options}
    if not own:
        return
    with st.expander("A variant of this network", expanded=bool(st.query_params.get("change"))):
        names = st.multiselect(
            "Choices to change", list(own), format_func=line, key="change", bind="query-params", placeholder="none"
        )
        answers = own | {name: _answer(name, options[name], own[name]) for name in names}
        if answers == own:
            st.caption("Change an answer to see the command that adds the network to the study.")
            return
        arguments = ["--", study.name, *(f"{name}={answer_text(value)}" for name, value in answers.items())]
        whole = ["nas", "enqueue", *context.actions.storage_option, *arguments]
        st.code(shlex.join(whole), language="sh", wrap_lines=True)
        if context.actions.allowed and st.button("Add it to the study", icon=":material/add:"):
            with errors_shown(), st.spinner("Checking the answers"):
                st.success(markdown(context.actions.run("enqueue", *arguments)))


def _answer(name: str, options: tuple[Any, ...], own: Any) -> Any:
    """Show the menu of answers to a choice, at first with the own one."""
    place = options.index(own) if own in options else 0
    texts = [answer_text(option) for option in options]
    chosen = st.selectbox(line(name), texts, place, format_func=line, key=f"to-{name}", bind="query-params")
    return options[texts.index(chosen)]
