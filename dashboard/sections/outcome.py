"""What came out of a study: exported networks on test, comparisons, history."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.study import comparison_table, gaps_table
from dashboard.widgets import draw, formats
from nas.foreign import markdown
from trials.analysis.gaps import GAP_NOTE
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.study import StudyView


def show_gaps(study: StudyView) -> None:
    """Validation beside test of what was exported."""
    table = gaps_table(study.exports)
    if not table.empty:
        st.subheader("What was chosen, on test")
        st.dataframe(table, hide_index=True, key="gaps")
        st.caption(GAP_NOTE)


def show_comparison(study: StudyView) -> None:
    """Found networks beside themselves under random masks and their dense parents; fixed references."""
    compared = study.comparison
    if compared is None:
        return
    st.subheader("Against dense parents and random masks")
    if compared.verdict:
        st.markdown(markdown(compared.verdict))
    table = comparison_table(study.name, compared)
    st.dataframe(
        table, hide_index=True, placeholder="—", column_config=formats(table, compared.metrics), key="compared"
    )
    st.caption(
        "Random masks keep as many weights, the dense parent keeps all; both are trained like the network found. "
        "Speed-up: latency of the dense twin over its own, each measured on the same target."
    )


def show_history(study: StudyView) -> None:
    """Show how the study went on, and beside it the studies of its group."""
    left, right = st.columns(2, gap="medium")
    left.subheader("History")
    draw(left, history_figure(study.history), "history")
    right.subheader("Against the baseline" if study.has_baseline else "Hypervolume")
    draw(right, comparison_figure(study.histories), "comparison")
    draw(right, states_figure(study.group), "states_of_group")
    if study.lacks_baseline:
        right.caption("Without a random baseline: `--with-baseline random` runs a twin at equal budget beside it.")
