"""The page of all studies; studies launched together stand in one box."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from dashboard.context import Context
from dashboard.selection import asked_number
from dashboard.widgets import draw
from nas.foreign import markdown
from trials.reporting.charts.studies import states_figure
from trials.reporting.labels import moment, number, title
from trials.store.read.studies import StudyRow, list_studies

TITLE, ICON, ORDER = "Studies", ":material/lists:", 0
PER_PAGE = 20
WIDTHS = (2.9, 1.2, 1.7, 0.8, 2, 2.6, 1.9)
STATE_COLORS = {
    "preparing": "blue",
    "running": "blue",
    "complete": "green",
    "exhausted": "green",
    "interrupted": "orange",
    "failed": "red",
}


def show(context: Context) -> None:
    """List the newest studies, with one box per group."""
    st.title("Studies")
    first = asked_number("from")
    rows = list_studies(context.source, offset=first, limit=PER_PAGE + 1)
    if not rows and not first:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    shown = _in_groups(rows[:PER_PAGE])
    if any(row.is_live for row in shown):
        st.fragment(_latest, run_every=5)(context, first)
    else:
        _boxes(context, shown)
    _pages(context, first, more=len(rows) > PER_PAGE)
    st.subheader("Trials by state")
    draw(st, states_figure(shown), "states")


def _latest(context: Context, first: int) -> None:
    _boxes(context, _in_groups(list_studies(context.source, offset=first, limit=PER_PAGE)))


def _in_groups(rows: list[StudyRow]) -> list[StudyRow]:
    """Sort groups by their newest study, newest first, and the studies of each group in the order of launch."""
    newest = {row.group: place for place, row in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda row: (newest[row.group], row.id))


def _boxes(context: Context, rows: list[StudyRow]) -> None:
    heads = st.columns(WIDTHS)
    for column, head in zip(heads, ("Study", "Role", "State", "Seed", "Trials", "Best", "Started"), strict=True):
        column.caption(head)
    for _, group in groupby(rows, key=lambda row: row.group):
        with st.container(border=True, gap="small"):
            for row in group:
                _line(context, row)


def _line(context: Context, row: StudyRow) -> None:
    name, role, state, seed, counts, best, started = st.columns(WIDTHS, vertical_alignment="center")
    name.page_link(context.pages["study"], label=f"**{markdown(row.name)}**", query_params={"study": row.name})
    role.markdown(markdown(row.role.replace("_", " ")))
    state.badge(markdown(row.state), color=STATE_COLORS.get(row.state, "gray"))
    if row.phase:
        state.caption(markdown(row.phase))
    if row.incomplete:
        state.badge("incomplete", color="orange", help=markdown(", ".join(row.incomplete)))
    seed.markdown(str(row.seed))
    counts.markdown("  \n".join(f"{count} {markdown(state)}" for state, count in row.counts.items()) or "none yet")
    bests = [f"{markdown(title(key))} **{markdown(number(key, row.best.get(key)))}**" for key in row.objectives]
    best.markdown("  \n".join(bests))
    started.markdown(moment(row.created_at))


def _pages(context: Context, first: int, *, more: bool) -> None:
    if not first and not more:
        return
    newer, older, _ = st.columns([1, 1, 6])
    page = context.pages["studies"]
    if first:
        newer.page_link(page, label="Newer", query_params={"from": str(max(first - PER_PAGE, 0))})
    if more:
        older.page_link(page, label="Older", query_params={"from": str(first + PER_PAGE)})
