"""The front of each target, and how alike targets rank candidates."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.tables.study import ranks_table
from dashboard.widgets import draw
from nas.foreign import markdown
from trials.analysis.by_target import fronts_by_target, rank_correlations
from trials.analysis.membership import membership_of
from trials.reporting.charts.front import front_figure
from trials.store.read.studies import StudySummary


def show_targets(context: Context, summary: StudySummary) -> None:
    """The front of each target, and how alike targets rank, where there are several."""
    fronts = fronts_by_target(context.source, summary.row.name)
    if not fronts:
        return
    st.subheader("Front of each target")
    left, right = st.columns([3.4, 1], gap="medium")
    for tab, (target, found) in zip(left.tabs([markdown(target) for target in fronts]), fronts.items(), strict=True):
        if len(found.metrics) > 1:
            figure = front_figure(found, summary.limits, shares=membership_of(found))
            draw(tab, figure, f"front_{target}")
        tab.caption("On the front: " + ", ".join(map(str, found.numbers[found.on_front])))
    ranks = rank_correlations(context.source, summary.row.name)
    table = ranks_table(ranks)
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in table.columns[1:]}
    right.caption("Rank correlation of latency between targets, Kendall's tau")
    right.dataframe(table, hide_index=True, placeholder="—", column_config=numbers, key="ranks")
    right.caption(
        markdown("; ".join(f"{item.first} and {item.second}: {item.count} candidates" for item in ranks))
        + " measured on both"
    )
