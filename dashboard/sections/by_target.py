"""The front of each target, how similarly targets rank candidates, and how well latencies were predicted."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.study import predictions_table, ranks_table
from dashboard.widgets import draw
from nas.foreign import markdown
from trials.analysis.membership import membership_of
from trials.reporting.charts.front import front_figure
from trials.reporting.study import StudyView


def show_targets(study: StudyView) -> None:
    """Show the front of each target and the rank correlations of targets, if the study has several targets."""
    fronts = study.fronts_by_target
    if not fronts:
        return
    st.subheader("Front of each target")
    left, right = st.columns([3.4, 1], gap="medium")
    for tab, (target, found) in zip(left.tabs([markdown(target) for target in fronts]), fronts.items(), strict=True):
        if len(found.metrics) > 1:
            figure = front_figure(found, study.summary.limits, shares=membership_of(found))
            draw(tab, figure, f"front_{target}")
        tab.caption("On the front: " + ", ".join(map(str, found.numbers[found.on_front])))
    ranks = study.rank_correlations
    table = ranks_table(ranks)
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in table.columns[1:]}
    right.caption("Rank correlation of latency between targets, Kendall's tau")
    right.dataframe(table, hide_index=True, placeholder="—", column_config=numbers, key="ranks")
    right.caption(
        markdown("; ".join(f"{item.first} and {item.second}: {item.count} candidates" for item in ranks))
        + " measured on both"
    )


def show_predictions(study: StudyView) -> None:
    """Show the errors of the latencies that the strategy predicted, if it predicted any."""
    if not study.prediction_errors:
        return
    st.subheader("Predicted and measured latency")
    table = predictions_table(study.prediction_errors)
    percent = st.column_config.NumberColumn(format="%.1f %%")
    formats = {
        "Median relative error": percent,
        "Rank correlation": st.column_config.NumberColumn(format="%.3f"),
        "In the 95 % interval": percent,
    }
    st.dataframe(table, hide_index=True, placeholder="—", column_config=formats, key="predictions")
    st.caption(
        "Latencies that the strategy predicted before they were measured. All other latencies here are measured."
    )
