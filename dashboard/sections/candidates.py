"""The table of a study's trials, page by page."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.context import Context
from dashboard.tables.study import candidates_table
from dashboard.widgets import formats, shown_label
from trials.reporting.study import StudyView
from trials.store.read.candidates import COLUMNS, candidates_page
from trials.store.read.studies import STATES

PER_PAGE = 25


def show_candidates(context: Context, study: StudyView) -> None:
    """Show one page of trials, with the selected states in the selected order."""
    st.subheader("Trials")
    columns = list(dict.fromkeys([*COLUMNS, *study.summary.metrics]))
    keys = st.columns([2, 1.1, 3.4, 0.9], vertical_alignment="bottom")
    order = keys[0].selectbox("Order by", columns, format_func=shown_label, key="order_by")
    descending = keys[1].toggle("Descending", key="descending")
    states = keys[2].multiselect("States", STATES, placeholder="all", key="states")
    size = keys[3].selectbox("Rows", [PER_PAGE, 100, 500], key="rows")
    ask: dict[str, Any] = {"order_by": order, "descending": descending, "states": states or None}
    first = _place((study.name, *map(str, ask.values()), str(size)))
    page = candidates_page(study.source, study.name, offset=first, limit=size, **ask)
    if not page.rows:
        st.info("No trials in these states." if states else "No trials yet.")
        return
    table = candidates_table(page, study.shown_metrics, study.shares)
    picked: Any = st.dataframe(
        table,
        hide_index=True,
        height="content" if size == PER_PAGE else 900,
        placeholder="—",
        column_config=formats(table, study.shown_metrics),
        on_select="rerun",
        selection_mode="single-row",
        key=f"candidates-{first}-{order}-{descending}-{states}",
    )
    _turn(first, len(page.rows), page.total, size)
    chosen = picked["selection"]["rows"]
    if chosen:
        number_ = str(page.rows[chosen[0]].number)
        st.switch_page(context.pages["trial"], query_params={"study": study.name, "trial": number_})


def _place(question: tuple[str, ...]) -> int:
    """Return the offset of the first row; 0 when the order, states or number of rows changed."""
    if st.session_state.get("question") != question:
        st.session_state["question"], st.session_state["offset"] = question, 0
    return int(st.session_state["offset"])


def _turn(first: int, shown: int, total: int, size: int) -> None:
    def move(by: int) -> None:
        st.session_state["offset"] = max(first + by, 0)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", on_click=move, args=(-size,), disabled=first == 0)
        st.button("Next", on_click=move, args=(size,), disabled=first + shown >= total)
        st.caption(f"{first + 1} to {first + shown} of {total}. Tick a row to open its trial.")
