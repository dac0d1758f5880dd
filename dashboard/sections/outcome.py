"""What came out of a study: exported networks on test, comparisons, history."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.tables.study import comparison_table, gaps_table
from dashboard.widgets import draw, formats
from nas.foreign import markdown
from trials.analysis.gaps import GAP_NOTE
from trials.analysis.histories import histories
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.comparison import comparison
from trials.store.read.candidate import exports
from trials.store.read.studies import StudySummary, compared_studies


def show_gaps(context: Context, summary: StudySummary) -> None:
    """Validation beside test of what was exported."""
    table = gaps_table(exports(context.source, summary.row.name))
    if not table.empty:
        st.subheader("What was chosen, on test")
        st.dataframe(table, hide_index=True, key="gaps")
        st.caption(GAP_NOTE)


def show_comparison(context: Context, summary: StudySummary) -> None:
    """Found networks beside themselves under random masks and their dense parents; fixed references."""
    compared = comparison(context.source, summary.row.name)
    if compared is None:
        return
    st.subheader("Against dense parents and random masks")
    if compared.verdict:
        st.markdown(markdown(compared.verdict))
    table = comparison_table(summary.row.name, compared)
    st.dataframe(
        table, hide_index=True, placeholder="—", column_config=formats(table, compared.metrics), key="compared"
    )
    st.caption(
        "Random masks keep as many weights, the dense parent keeps all; both are trained like the network found. "
        "Speed-up: latency of the dense twin over its own, each measured on the same target."
    )


def show_history(context: Context, summary: StudySummary) -> None:
    """Show how the study went on, and beside it the studies of its group."""
    group = compared_studies(context.source, summary.row)
    runs = histories(context.source, [row.name for row in group])
    own = next(run for run in runs if run.study == summary.row.name)
    left, right = st.columns(2, gap="medium")
    left.subheader("History")
    draw(left, history_figure(own), "history")
    right.subheader("Against the baseline" if any(run.role == "baseline" for run in runs) else "Hypervolume")
    draw(right, comparison_figure(runs), "comparison")
    draw(right, states_figure(group), "states_of_group")
    if summary.row.role == "search" and not any(run.role == "baseline" for run in runs):
        right.caption("Without a random baseline: `--with-baseline random` runs a twin at equal budget beside it.")
