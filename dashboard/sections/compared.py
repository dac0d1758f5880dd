"""A few trials side by side: intervals, probabilities, metrics, differing choices, layers."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.tables.compared import differing_choices, layers_side_by_side, metrics_side_by_side, probabilities
from dashboard.widgets import draw, shown_label
from nas.foreign import markdown
from trials.analysis.profiles import layer_times
from trials.reporting.charts.compare import intervals_figure, times_figure
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail


def show_intervals(study: StudyView, details: Sequence[CandidateDetail]) -> None:
    """Plot the objectives of the trials with their intervals."""
    st.subheader("Objectives")
    draw(st, intervals_figure([detail.row for detail in details], study.row.objectives), "intervals")


def show_probabilities(study: StudyView, details: Sequence[CandidateDetail]) -> None:
    """Show for each pair of trials how probably one is better than the other in an objective."""
    st.subheader("Which is better")
    for column, (metric, direction) in zip(
        st.columns(len(study.row.objectives)), study.row.objectives.items(), strict=True
    ):
        column.markdown(f"**{markdown(shown_label(metric))}**")
        table = probabilities([detail.row for detail in details], metric, direction)
        heads = [name for name in table.columns if name != "better than"]
        column.dataframe(
            table,
            hide_index=True,
            placeholder="—",
            column_config={name: st.column_config.NumberColumn(format="%.2f") for name in heads},
            key=f"better-{metric}",
        )
    st.caption(
        "Probability that the trial of the row is truly better than that of the column, given the 95 % intervals of "
        "both, as if they were independent. As all trials are scored on the same examples, differences in accuracy are "
        "more certain than these probabilities say."
    )


def show_metrics(study: StudyView, details: Sequence[CandidateDetail]) -> None:
    """Show all metrics, one column per trial."""
    st.subheader("Metrics")
    st.dataframe(metrics_side_by_side(study, details), hide_index=True, placeholder="—", key="metrics")


def show_choices(details: Sequence[CandidateDetail]) -> None:
    """Show the choices, at first only those in which the trials differ."""
    st.subheader("Choices")
    everything = st.toggle("Also choices that are equal", key="equal", bind="query-params")
    table = differing_choices(details, everything=everything)
    if table.empty:
        st.caption("The trials differ in no choice.")
    else:
        st.dataframe(table, hide_index=True, placeholder="—", key="choices")


def show_layers(details: Sequence[CandidateDetail]) -> None:
    """Show the time of each layer if the trials were profiled, and their layers side by side."""
    st.subheader("Layers")
    targets = [profile.target for detail in details for profile in detail.profiles]
    for target in dict.fromkeys(targets):
        times = {
            detail.row.number: layer_times(profile.nodes)
            for detail in details
            for profile in detail.profiles
            if profile.target == target
        }
        st.caption(f"Measured on {markdown(target)}")
        draw(st, times_figure(times), f"times-{target}")
    missing = [str(detail.row.number) for detail in details if not detail.profiles]
    if missing:
        st.caption(f"Not profiled: {', '.join(missing)}. `nas profile STUDY TRIAL` measures the time of each layer.")
    st.dataframe(layers_side_by_side(details), hide_index=True, placeholder="—", key="layers")
