"""The final trainings of a candidate."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.candidate import final_trainings_table
from dashboard.widgets import draw
from nas.foreign import lines
from trials.reporting.charts.candidate import curves_figure
from trials.store.read.candidate import CandidateDetail


def show_final_trainings(detail: CandidateDetail) -> None:
    """Show scores of final trainings beside those of the search, and a curve or traceback of each."""
    if not detail.final_trainings:
        return
    st.subheader("Final training")
    st.dataframe(final_trainings_table(detail), hide_index=True, key="final")
    for training in detail.final_trainings:
        with st.expander(lines(training.description)):
            if training.curve.epochs:
                figure = curves_figure({detail.row.number: training.curve})
                draw(st, figure, f"final{training.id}")
            if training.traceback:
                st.code(lines(training.traceback), language="python")
