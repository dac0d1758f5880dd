"""The page that compares a few trials of a study."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.context import Context
from dashboard.sections.compared import show_choices, show_intervals, show_layers, show_metrics, show_probabilities
from dashboard.sections.listing import MAX_COMPARED
from dashboard.selection import choose_study
from nas.errors import UnknownNameError
from nas.foreign import markdown
from trials.reporting.study import StudyView

TITLE, ICON, ORDER = "Compare", ":material/compare_arrows:", 3


def show(context: Context) -> None:
    """Compare the trials that the link names, else those that are recommended."""
    name = choose_study(context)
    st.title("Compare")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}")
    if "trials" not in st.query_params and "trials" not in st.session_state:
        st.session_state["trials"] = ", ".join(str(item.number) for item in study.recommended)
    text = st.text_input("Trials", placeholder="2, 6", key="trials", bind="query-params")
    details = [study.detail(number) for number in _numbers(text or "")]
    if len(details) < 2:
        st.info(f"Name 2 to {MAX_COMPARED} trials, separated by commas, or tick them on the page Trials.")
        return
    with st.container(horizontal=True):
        for detail in details:
            _link(context, study, detail.row.number)
    show_intervals(study, details)
    show_probabilities(study, details)
    show_metrics(study, details)
    show_choices(details)
    show_layers(details)


def _link(context: Context, study: StudyView, number: int) -> None:
    reason = next((item.reason for item in study.recommended if item.number == number), "")
    target = {"study": study.name, "trial": str(number)}
    label = f"Trial {number}" + (f", {markdown(reason)}" if reason else "")
    st.page_link(context.pages["trial"], label=label, icon=":material/arrow_forward:", query_params=target)
    st.page_link(
        context.pages["export"],
        label=f"Export {number}",
        icon=":material/archive:",
        query_params=target | {"rule": "one trial"},
    )


def _numbers(text: str) -> list[int]:
    """The numbers in a list such as ``2, 6``, without repetitions.

    Raises:
        UnknownNameError: a part is not a number, or there are too many.
    """
    parts = [part for part in re.split(r"[\s,]+", text) if part]
    wrong = [part for part in parts if not re.fullmatch(r"[0-9]{1,9}", part)]
    if wrong:
        raise UnknownNameError(f"{wrong[0]!r} is not the number of a trial; write numbers separated by commas: 2, 6")
    numbers = list(dict.fromkeys(map(int, parts)))
    if len(numbers) > MAX_COMPARED:
        raise UnknownNameError(f"{len(numbers)} trials are too many to compare; name at most {MAX_COMPARED}")
    return numbers
