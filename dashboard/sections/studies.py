"""The list of studies: its filters, its table, and what is new since the visitor looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from dashboard.context import Context
from dashboard.selection import SEEN
from dashboard.tables.studies import COURSE, STUDY, studies_table
from dashboard.widgets import draw, repeat
from nas.foreign import markdown
from trials.reporting.charts.studies import states_figure
from trials.store.read.states import LIVE
from trials.store.read.studies import STUDY_STATES, StudyRow, count_studies, list_studies

PER_PAGE = 20
#: Seconds between two looks at the studies.
EVERY_S = 5
#: Key of the names of the studies in the table, as it was drawn last.
DRAWN = f"{SEEN}drawn"


class Wanted(NamedTuple):
    """Which studies to list."""

    text: str
    states: Sequence[str]


def asked_studies() -> Wanted:
    """Show the filters, which the address holds, and return what they ask for."""
    left, right = st.columns([2, 1.4], vertical_alignment="bottom")
    text = left.text_input(
        "Find", type="search", placeholder="part of a name or group", key="find", bind="query-params"
    )
    states = right.multiselect("States", STUDY_STATES, placeholder="all", key="state", bind="query-params")
    return Wanted((text or "").strip(), states)


def show_studies(context: Context, wanted: Wanted) -> None:
    """Show one page of the listed studies, again and again while any study is live."""
    live = count_studies(context.source, states=LIVE)
    repeat(_page, EVERY_S if live else None, context, wanted, live)


def follow_studies(context: Context) -> None:
    """Draw the whole page again as soon as a study begins, ends or is deleted."""
    repeat(_look, EVERY_S, context, _counts(context))


def _look(context: Context, known: tuple[int, int]) -> None:
    if _counts(context) != known:
        st.rerun()


def _counts(context: Context) -> tuple[int, int]:
    """The numbers of all studies and of live ones."""
    return count_studies(context.source), count_studies(context.source, states=LIVE)


def _page(context: Context, wanted: Wanted, live: int) -> None:
    count = count_studies(context.source, text=wanted.text, states=wanted.states)
    if not count:
        st.info("No study has this text in its name or group, and one of these states.")
        return
    table = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        pages = -(-count // PER_PAGE)
        page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
        first = (min(page, pages) - 1) * PER_PAGE
        st.caption(
            f"{first + 1} to {min(first + PER_PAGE, count)} of {count} studies; in the whole database, "
            f"{live} {'is' if live == 1 else 'are'} running or being prepared"
        )
    rows = _listed(context, wanted, first)
    with table:
        _news(context, rows)
        _table(context, rows)
    st.subheader("Trials by state")
    draw(st, states_figure(rows), "states")


def _listed(context: Context, wanted: Wanted, first: int) -> list[StudyRow]:
    """Return the studies of one page: groups by their newest study, newest first, and in a group as launched."""
    rows = list_studies(context.source, text=wanted.text, states=wanted.states, offset=first, limit=PER_PAGE)
    newest = {row.group: place for place, row in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda row: (newest[row.group], row.id))


def _table(context: Context, rows: Sequence[StudyRow]) -> None:
    """Show the rows; a click on a name opens the study."""
    table = studies_table(rows, context.views.course)
    columns = {
        STUDY: st.column_config.ButtonColumn(type="tertiary", alignment="left", pinned=True, key="opened"),
        COURSE: st.column_config.LineChartColumn(width=110, help="Best value of the first objective over the trials."),
        **{name: st.column_config.NumberColumn(format="localized") for name in ("Trials", "Complete", "Failed")},
    }
    st.dataframe(table, hide_index=True, height="content", column_config=columns, key="studies")
    names = [row.name for row in rows]
    drawn: list[str] = st.session_state.get(DRAWN, names)
    st.session_state[DRAWN] = names
    if opened := st.session_state.get("opened"):  # a row of the table that the visitor saw, which may be an older one
        st.switch_page(context.pages["study"], query_params={"study": drawn[opened["row"]]})


def _news(context: Context, rows: Sequence[StudyRow]) -> None:
    """Say which listed studies are new or have ended since the visitor looked, until it is marked as seen."""
    key = f"{SEEN}studies"
    now = {row.name: row.state for row in rows}
    seen: dict[str, str] = st.session_state.setdefault(key, {})
    if f"{SEEN}newest" not in st.session_state:
        st.session_state[f"{SEEN}newest"] = list_studies(context.source, limit=1)[0].created_at
    for name, state in now.items():
        seen.setdefault(name, state)
    new = [f"{markdown(row.name)} is new" for row in rows if row.created_at > st.session_state[f"{SEEN}newest"]]
    ended = [
        f"{markdown(name)} is {markdown(state)}"
        for name, state in now.items()
        if seen[name] in LIVE and state not in LIVE
    ]
    if not new and not ended:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Since you looked: {', '.join([*new, *ended])}**")
        if st.button("Mark as seen"):
            seen.update(now)
            del st.session_state[f"{SEEN}newest"]
            st.rerun()
