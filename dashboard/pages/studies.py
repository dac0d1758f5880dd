"""All studies, those launched together side by side."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from dashboard.pages import Context
from trials.charts import states_figure
from trials.labels import label, moment, number
from trials.store.queries import StudyRow, list_studies

TITLE, ICON, ORDER = "Studies", ":material/lists:", 0
PER_PAGE = 20
WIDTHS = (3, 1.4, 1, 3, 3.4, 2)
STATE_COLORS = {
    "running": "blue",
    "complete": "green",
    "exhausted": "green",
    "interrupted": "orange",
    "failed": "red",
}


def show(context: Context) -> None:
    """List the newest studies, a box a group."""
    st.title("Studies")
    first = int(st.query_params.get("from", "0"))
    rows = list_studies(context.source, offset=first, limit=PER_PAGE + 1)
    if not rows and not first:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    shown = rows[:PER_PAGE]
    _list(context, first) if any(row.state == "running" for row in shown) else _boxes(context, shown)
    _pages(context, first, more=len(rows) > PER_PAGE)
    st.subheader("Candidates by state")
    figure = states_figure(shown)
    figure.layout.font.color = None
    st.plotly_chart(figure, key="states", config={"displayModeBar": False})


@st.fragment(run_every=5)
def _list(context: Context, first: int) -> None:
    _boxes(context, list_studies(context.source, offset=first, limit=PER_PAGE))


def _boxes(context: Context, rows: list[StudyRow]) -> None:
    heads = st.columns(WIDTHS)
    for column, head in zip(heads, ("Study", "State", "Seed", "Candidates", "Best", "Started"), strict=True):
        column.caption(head)
    for _, group in groupby(rows, key=lambda row: row.group):
        with st.container(border=True, gap="small"):
            for row in group:
                _line(context, row)


def _line(context: Context, row: StudyRow) -> None:
    name, state, seed, counts, best, started = st.columns(WIDTHS, vertical_alignment="center")
    suffix = " · baseline" if row.role == "baseline" else ""
    name.page_link(context.pages["study"], label=f"**{row.name}**{suffix}", query_params={"study": row.name})
    state.badge(row.state, color=STATE_COLORS.get(row.state, "gray"))
    seed.markdown(str(row.seed))
    counts.markdown(", ".join(f"{count} {state}" for state, count in row.counts.items()) or "none yet")
    bests = [
        f"{label(key).partition(' (')[0]} **{number(key, row.best.get(key))}**" for key in row.objectives
    ]
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
