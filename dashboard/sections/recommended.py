"""Which network to take: the best within a limit that is dragged or typed, and those that are worth a look anyway."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from dashboard.context import Context
from dashboard.widgets import shown_label
from nas.foreign import markdown
from trials.reporting.labels import inline, interval
from trials.reporting.recommend import best_within
from trials.reporting.study import StudyView


def show_recommended(context: Context, study: StudyView) -> None:
    """Show the best trial within a limit, and the recommended ones with links."""
    if not study.recommended:
        return
    st.subheader("Which network to take")
    left, right = st.columns(2, gap="large")
    condition = ""
    with left:
        if len(study.row.objectives) > 1:
            condition = _within(context, study)
    with right:
        for item in study.recommended:
            _trial(context, study, item.number, item.reason)
        with st.container(horizontal=True):
            st.page_link(
                context.pages["compare"],
                label="Compare these",
                icon=":material/compare_arrows:",
                query_params={"study": study.name, "trials": ", ".join(str(item.number) for item in study.recommended)},
            )
            st.page_link(
                context.pages["export"],
                label="Export networks",
                icon=":material/archive:",
                query_params={"study": study.name, **({"where": condition} if condition else {})},
            )


def _within(context: Context, study: StudyView) -> str:
    """Ask for a limit on an objective, and show the trial that is best in the first one within it.

    Returns:
        The limit as a condition, ``latency_ms<=5``; empty before the visitor has chosen one.
    """
    first, *others = study.row.objectives
    bounded = others[0]
    if len(others) > 1:
        bounded = st.selectbox(
            "Limit on", others, format_func=shown_label, key="limited", bind="query-params", on_change=_forget_limit
        )
    found = study.points_on([first, bounded])
    values = found.front().values[:, 1]
    low, high = float(values.min()), float(values.max())
    word, sign = ("at least", ">=") if study.row.objectives[bounded] == "maximize" else ("at most", "<=")
    asked = f"{shown_label(bounded)} {word}"
    st.caption(f"{markdown(asked)}; the slider goes from one end of the front to the other.")
    st.session_state.setdefault("limit", (low + high) / 2)
    if high > low:
        _slider(asked, low, high)
    limit = st.number_input(
        asked, step=step_of(high - low), format="%.5g", key="limit", bind="query-params", label_visibility="collapsed"
    )
    number = best_within(found, float(limit or 0.0))
    if number is None:
        st.warning(f"No complete trial has {markdown(inline(bounded))} {word} {limit:.4g}.")
    else:
        _trial(context, study, number, f"best {inline(first)} with {inline(bounded)} {word} {limit:.4g}")
    return f"{bounded}{sign}{limit!r}" if "limit" in st.query_params else ""


def _slider(asked: str, low: float, high: float) -> None:
    """Show where the limit is on the way from one end of the front to the other, and let the visitor drag it."""
    share = (float(st.session_state["limit"]) - low) / (high - low)
    place = round(100 * min(max(share, 0.0), 1.0))
    st.session_state.setdefault("sliders", 0)
    if st.session_state.get(_slider_key()) != place:
        # A new slider shows another place. If the old one showed it, a browser that has not received it yet would
        # report the place before it as dragged, and the limit would change by itself.
        st.session_state["sliders"] += 1
        st.session_state[_slider_key()] = place
    # Its ends stay, though those of the front move while a study runs.
    key = _slider_key()
    given: dict[str, Any] = {"on_change": _follow, "args": (key, low, high), "label_visibility": "collapsed"}
    st.slider(asked, 0, 100, format="%d %%", key=key, **given)


def _slider_key() -> str:
    return f"dragged{st.session_state['sliders']}"


def step_of(span: float) -> float:
    """Return a step of about a fiftieth of a span, rounded to 1, 2 or 5 times a power of ten; 0.01 for an empty one."""
    if not span > 0:
        return 0.01
    power = 10.0 ** math.floor(math.log10(span / 50))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= span / 50)


def _forget_limit() -> None:
    """Reset the limit, which was one on another metric."""
    st.session_state.pop("limit", None)


def _follow(key: str, low: float, high: float) -> None:
    """Set the typed limit to the dragged share of the way between the ends of the front.

    A browser reports a slider until it has received the next one; that is no reason to change the limit.
    """
    if key == _slider_key():
        st.session_state["limit"] = low + st.session_state[key] / 100 * (high - low)


def _trial(context: Context, study: StudyView, number: int, reason: str) -> None:
    """Show a link to a trial, why it is worth a look, and its objectives."""
    st.page_link(
        context.pages["trial"],
        label=f"**Trial {number}**",
        icon=":material/arrow_forward:",
        query_params={"study": study.name, "trial": str(number)},
    )
    found = study.points.take(study.points.numbers == number)
    spans = zip(found.metrics, found.values[0], found.low[0], found.high[0], strict=True)
    text = " · ".join(f"{inline(metric)} {interval(metric, value, low, high)}" for metric, value, low, high in spans)
    chance = f"on the front with probability {study.shares.get(number, 0.0):.2f}"
    st.caption(f"{markdown(reason[:1].upper() + reason[1:])}  \n{markdown(f'{text} · {chance}')}")
