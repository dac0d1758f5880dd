"""Which study and which part of it to show, from the link and the menu."""

from __future__ import annotations

import re

import streamlit as st

from dashboard.context import IMAGES, Context
from nas.errors import UnknownNameError
from nas.foreign import line
from trials.store.read.studies import study_names, study_summary

#: Number of studies in the menu; older studies are reached by their link.
MAX_NAMES = 200
#: Largest number that a link may give.
MAX_NUMBER = 999_999_999
#: How keys begin under which pages keep what a visitor has seen of a study.
SEEN = "seen-"


def asked_number(key: str) -> int:
    """Return the number that the link gives for ``key``, or 0 if it gives none.

    Raises:
        UnknownNameError: the value is not a whole number from 0 to ``MAX_NUMBER``.
    """
    asked = st.query_params.get(key, "0")
    if not re.fullmatch(r"[0-9]{1,9}", asked):
        raise UnknownNameError(f"the link says {key}={asked!r}; write a whole number from 0 to {MAX_NUMBER}")
    return int(asked)


def choose_study(context: Context) -> str | None:
    """Return the study to show: from the link, else the last one shown, else the newest; None without studies."""
    names = study_names(context.source, MAX_NAMES)
    asked = st.query_params.get("study") or _last_study(context)
    if asked and asked not in names:
        names.insert(0, study_summary(context.source, asked).row.name)
    if not names:
        return None
    place = names.index(asked) if asked else 0
    name = st.sidebar.selectbox("Study", names, index=place, format_func=line)
    if st.query_params.get("study") not in (None, name):  # another one was chosen from the menu
        st.switch_page(context.pages[context.page], query_params={"study": str(name)})
    st.query_params["study"] = name
    if name != st.session_state.get("last_study"):
        _forget_filters()
    st.session_state["last_study"] = name
    return str(name)


def _last_study(context: Context) -> str | None:
    """The study that was shown last; None if there is none, or it was deleted."""
    last = st.session_state.get("last_study")
    if last is None:
        return None
    try:
        return study_summary(context.source, str(last)).row.name
    except UnknownNameError:
        return None


def _forget_filters() -> None:
    """Reset what was asked for another study, except for what the link asks for this one.

    What was seen and the format of images stay.
    """
    for key in set(map(str, st.session_state)) - set(st.query_params):
        if not key.startswith(SEEN) and key != IMAGES:
            del st.session_state[key]
