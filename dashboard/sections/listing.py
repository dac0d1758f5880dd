"""The list of trials: its filters, its table, and what to do with the ticked trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard.context import Context
from dashboard.tables.study import candidates_table, listing_table
from dashboard.widgets import formats, shown_label
from nas.foreign import markdown
from trials.analysis.listing import SORTS, Listing
from trials.reporting.study import StudyView
from trials.store.read.studies import STATES

SIZES = (25, 100, 500)
#: Largest number of trials that are compared at once.
MAX_COMPARED = 6


def asked_listing(study: StudyView) -> Listing:
    """Show the filters, which the address holds, and return what they ask for."""
    first = st.columns([3.2, 2.2], vertical_alignment="bottom")
    where = first[0].text_input(
        "Conditions", placeholder="latency_ms<2 and size_bytes<1e6", key="where", bind="query-params"
    )
    states = first[1].multiselect("States", STATES, placeholder="all", key="states", bind="query-params")
    second = st.columns([2.2, 1, 1.2, 1], vertical_alignment="bottom")
    sorts = list(dict.fromkeys([*SORTS, *study.summary.metrics]))
    sort = second[0].selectbox("Sort by", sorts, format_func=shown_label, key="sort", bind="query-params")
    descending = second[1].toggle("Descending", key="descending", bind="query-params")
    front = second[2].toggle("Only the front", key="front", bind="query-params")
    second[3].selectbox("Rows", SIZES, key="rows", bind="query-params")
    tags = sorted({tag for remark in study.remarks.values() for tag in remark.tags})
    tag = st.pills("Tag", tags, format_func=markdown, key="tag", bind="query-params") if tags else None
    return Listing(where or "", tuple(states), front, sort or "number", descending, tag or "")


def show_listing(context: Context, study: StudyView, numbers: NDArray[np.int64]) -> None:
    """Show one page of the listed trials, and what can be done with the ticked ones."""
    if not len(numbers):
        st.info("No trial is listed: nothing keeps the conditions.")
        return
    size = int(st.session_state.get("rows") or SIZES[0])
    pages = -(-len(numbers) // size)
    actions, table = st.container(horizontal=True, vertical_alignment="center"), st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
        first = (min(page, pages) - 1) * size
        st.caption(f"{first + 1} to {min(first + size, len(numbers))} of {len(numbers)} listed trials")
        _downloads(study, numbers)
    with table:
        ticked = _table(study, numbers[first : first + size])
    with actions:
        _links(context, study, ticked)


def spreadsheet_text(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a visitor may have begun a note with ``=``."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


def _downloads(study: StudyView, numbers: NDArray[np.int64]) -> None:
    """Offer all listed trials as files, which are written once they are asked for."""
    for name, written in (
        ("csv", lambda: listing_table(study, numbers).map(spreadsheet_text).to_csv(index=False)),
        ("json", lambda: listing_table(study, numbers).to_json(orient="records", double_precision=15)),
    ):
        st.download_button(
            f"{name.upper()} of all listed trials",
            written,
            f"{study.name}.{name}",
            f"{'text' if name == 'csv' else 'application'}/{name}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


def _table(study: StudyView, numbers: NDArray[np.int64]) -> list[int]:
    """Show the rows of trials, and return the numbers of the ticked ones."""
    rows = list(study.rows(numbers.tolist()).values())
    table = candidates_table(rows, study.shown_metrics, study.shares)
    picked: Any = st.dataframe(
        table,
        hide_index=True,
        height="content" if len(rows) <= SIZES[0] else 900,
        placeholder="—",
        column_config=formats(table, study.shown_metrics),
        on_select="rerun",
        selection_mode="multi-row",
        key=f"trials-{hash(tuple(numbers.tolist()))}",
    )
    return [rows[place].number for place in picked["selection"]["rows"]]


def _links(context: Context, study: StudyView, ticked: Sequence[int]) -> None:
    """Link to the ticked trials."""
    if not ticked:
        st.caption("Tick a trial to open it, or several to compare them.")
        return
    for number in ticked[:MAX_COMPARED]:
        target = {"study": study.name, "trial": str(number)}
        st.page_link(
            context.pages["trial"], label=f"Open trial {number}", icon=":material/arrow_forward:", query_params=target
        )
    if len(ticked) > 1:
        compared = {"study": study.name, "trials": ",".join(map(str, ticked[:MAX_COMPARED]))}
        st.page_link(
            context.pages["compare"],
            label=f"Compare {min(len(ticked), MAX_COMPARED)} trials",
            icon=":material/compare_arrows:",
            query_params=compared,
        )
