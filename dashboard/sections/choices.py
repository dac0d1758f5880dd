"""What matters in a space: importance of choices, effects of their answers, pairs of choices, all trials as lines."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dashboard.tables.choices import effects_table
from dashboard.widgets import draw, shown_label
from nas.foreign import line, markdown
from trials.analysis.choice_importance import Importances
from trials.analysis.choices import ChoiceResults, effects, pair_means
from trials.reporting.charts.choices import effects_figure, importance_figure, pair_figure, parallel_figure

#: Number of choices that are shown, by importance, unless others are searched.
TOP = 12
#: Number of axes of choices in the parallel coordinates, and of lines.
AXES, MAX_LINES = 5, 1000


def show_importances(found: Importances) -> None:
    """Plot the most important choices, or those whose names contain the searched text."""
    st.subheader("Importance")
    text = st.text_input("Find choices", placeholder="part of a name", key="find", bind="query-params") or ""
    names = [name for name in found.ranked() if text.casefold() in name.casefold()]
    if not names:
        st.info("No choice has such a name.")
        return
    for column, metric in zip(st.columns(len(found.metrics), gap="medium"), found.metrics, strict=True):
        draw(column, importance_figure(found, names[:TOP], metric), f"importance-{metric}")
    used = f"a random {found.used:,} of {found.count:,}" if found.used < found.count else f"all {found.count:,}"
    shown = f"{min(TOP, len(names))} of {len(found.names)} choices are shown. "
    st.caption(
        f"{shown}PED-ANOVA over {used} complete trials: how well a choice separates the best tenth from the others. "
        "The importances for an objective sum to 1. Whiskers are 95 % intervals from a bootstrap over trials."
    )


def choose_choice(found: Importances) -> str:
    """Show the menu of choices, the most important first; the address holds it."""
    st.subheader("Effect of a choice")
    return str(st.selectbox("Choice", found.ranked(), format_func=line, key="choice", bind="query-params"))


def show_effects(results: ChoiceResults, choice: str) -> None:
    """Plot and list the means of the objectives by the answer to a choice."""
    found = effects(results, choice)
    for column, metric in zip(st.columns(len(results.metrics), gap="medium"), results.metrics, strict=True):
        draw(column, effects_figure(found, results, choice, metric), f"effects-{metric}")
    shares = {
        name: st.column_config.ProgressColumn(format="%.0f %%", min_value=0, max_value=100)
        for name in ("Of all trials", "Of the front")
    }
    st.dataframe(effects_table(found, results.metrics), hide_index=True, column_config=shares, key="effects_table")
    st.caption(
        "Means over complete trials with their 95 % intervals; the dashed line is the mean of all. A search proposes "
        "good answers together, so that a difference is not always caused by this choice alone. On the front, a trial "
        "counts with its probability to be there."
    )


def choose_objective(results: ChoiceResults) -> str:
    """Show the menu of objectives; the address holds it."""
    return str(
        st.selectbox("Objective", results.metrics, format_func=shown_label, key="objective", bind="query-params")
    )


def show_pairs(results: ChoiceResults, choice: str, others: Sequence[str], metric: str) -> None:
    """Plot the mean of an objective by the answers to a choice and to each of a few others."""
    for column, other in zip(st.columns(max(len(others), 1), gap="medium"), others, strict=False):
        column.markdown(f"**{markdown(choice)}** and **{markdown(other)}**")
        draw(column, pair_figure(pair_means(results, choice, other, metric), choice, other, metric), f"pair-{other}")
    st.caption(
        "Mean over the complete trials with both answers, and their number n; pairs that were not tried stay empty. "
        "The hover text says how far a mean differs from what both choices do on their own."
    )


def show_parallel(results: ChoiceResults, names: Sequence[str], metric: str) -> None:
    """Plot every trial as a line through its answers to the most important choices and its objectives."""
    with st.expander("All trials as lines"):
        drawn = results.sample(MAX_LINES)
        draw(st, parallel_figure(drawn, names[:AXES], metric), "parallel")
        some = f"A random {MAX_LINES:,} of {len(results.numbers):,} complete trials. " if drawn is not results else ""
        st.caption(f"{some}Drag along an axis to keep only the trials that pass there.")
