"""The page of a study's choices: which matter, what each answer does, and what another answer would change."""

from __future__ import annotations

import streamlit as st

from dashboard.context import Context
from dashboard.sections.choices import (
    choose_choice,
    choose_objective,
    show_effects,
    show_importances,
    show_pairs,
    show_parallel,
)
from dashboard.sections.what_if import show_what_if
from dashboard.selection import choose_study
from nas.foreign import markdown
from trials.analysis.choices import MIN_COMPLETE
from trials.reporting.labels import counted

TITLE, ICON, ORDER = "Choices", ":material/tune:", 5
#: Number of choices that are paired with the chosen one.
PAIRS = 2


def show(context: Context) -> None:
    """Show the choices of the study that the link names, else of the last one shown, else of the newest."""
    name = choose_study(context)
    st.title("Choices")
    if name is None:
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    study = context.study(name)
    st.caption(f"Study {markdown(name)}, {markdown(study.row.state)}")
    found, results = study.choice_importances, study.choice_results
    if found is None:
        num_complete = len(results.numbers)
        st.info(
            f"Complete so far: {counted(num_complete, 'trial')}. What matters is shown from {MIN_COMPLETE} on."
            if num_complete < MIN_COMPLETE
            else "All complete trials have the same answers, so what matters can't be told."
        )
        return
    show_importances(found)
    choice = choose_choice(found)
    show_effects(results, choice)
    st.subheader("Together with other choices")
    metric = choose_objective(results)
    ranked = found.ranked(metric)
    show_pairs(results, choice, [other for other in ranked if other != choice][:PAIRS], metric)
    show_parallel(results, ranked, metric)
    show_what_if(study, found.ranked())
