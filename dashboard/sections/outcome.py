"""Results of a study: test scores of exported networks, comparisons, history."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.study import comparison_table, gaps_table, imported_table, rungs_table
from dashboard.widgets import draw, formats
from nas.foreign import markdown
from trials.analysis.gaps import GAP_NOTE
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.report.tables import IMPORTED_NOTE, rungs_note
from trials.reporting.study import StudyView


def show_imported(study: StudyView) -> None:
    """Show the networks of the user beside the study, and the trials that dominate them."""
    if not study.imported:
        return
    st.subheader("Imported networks")
    st.dataframe(imported_table(study), hide_index=True, placeholder="—", key="imported")
    st.caption(IMPORTED_NOTE)


def show_gaps(study: StudyView) -> None:
    """Show validation and test scores of the exported networks side by side."""
    table = gaps_table(study.exports)
    if not table.empty:
        st.subheader("Exported networks on the test split")
        st.dataframe(table, hide_index=True, key="gaps")
        st.caption(GAP_NOTE)


def show_early_scores(study: StudyView) -> None:
    """Show how well scores after few epochs rank complete trials, if enough trials are complete."""
    if not study.rung_correlations:
        return
    st.subheader("Early scores")
    table = rungs_table(study.rung_correlations)
    numbers = {"Rank correlation": st.column_config.NumberColumn(format="%.3f")}
    st.dataframe(table, hide_index=True, column_config=numbers, key="rungs")
    st.caption(rungs_note(study))


def show_comparison(study: StudyView) -> None:
    """Compare the best networks with themselves dense, with themselves under random masks, and with references."""
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
        "A random mask keeps the same number of weights as the found network, and the dense parent keeps all weights; "
        "both are trained like the found network. Speed-up is the latency of the dense twin divided by the network's "
        "own latency, both measured on the same target."
    )


def show_history(study: StudyView) -> None:
    """Show the history of the study beside the hypervolumes of all studies of its group."""
    left, right = st.columns(2, gap="medium")
    left.subheader("History")
    draw(left, history_figure(study.history), "history")
    right.subheader("Against the baseline" if study.has_baseline else "Hypervolume")
    draw(right, comparison_figure(study.histories), "comparison")
    draw(right, states_figure(study.group), "states_of_group")
    if study.lacks_baseline:
        right.caption(
            "This study has no random baseline: `nas search --with-baseline random` also runs one at equal budget."
        )
