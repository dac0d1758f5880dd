"""The network of a candidate: layers, choices, sites, and its place in the study."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.tables.candidate import choices_table, layers_table, sites_table
from dashboard.widgets import draw
from trials.reporting.charts.front import front_figure
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail


def show_network(study: StudyView, detail: CandidateDetail) -> None:
    """Show layers and choices, and the candidate among the others of its study."""
    left, right = st.columns([1.9, 1], gap="medium")
    table = layers_table(detail)
    with left:
        st.subheader("Layers")
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "Share of MACs": st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0),
                "Parameters": st.column_config.NumberColumn(format="localized"),
                "MACs": st.column_config.NumberColumn(format="localized"),
            },
            key="layers",
        )
        st.caption(f"{len(table)} layers · {detail.row.parameters:,} parameters · {detail.row.macs:,} MACs")
    with right:
        st.subheader("Choices")
        st.dataframe(choices_table(detail), hide_index=True, key="choices")
    if detail.row.state in ("complete", "infeasible"):
        _where(study, detail)


def show_sites(detail: CandidateDetail) -> None:
    """Show what the policies did at each site."""
    table = sites_table(detail.artifacts)
    if table.empty:
        return
    st.subheader("Sparsity and precision by site")
    numbers = {name: st.column_config.NumberColumn(format="%.3g") for name in table.select_dtypes("float")}
    st.dataframe(table, hide_index=True, placeholder="—", column_config=numbers, key="sites")


def _where(study: StudyView, detail: CandidateDetail) -> None:
    """Show the candidate among all candidates of its study."""
    found = study.points_on(study.axes)
    own = found.numbers == detail.row.number
    if not (own & np.isfinite(found.values).all(axis=1)).any():
        return
    with st.expander("Among the trials of its study"):
        figure = front_figure(found, study.summary.limits, shares=study.shares, selected=detail.row.number)
        draw(st, figure, "where")
