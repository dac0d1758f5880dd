"""What if: predictions for a trial with one choice changed."""

from __future__ import annotations

import streamlit as st

from dashboard.tables.choices import predicted_table
from nas.foreign import line, markdown
from trials.reporting.study import StudyView
from trials.store.read.choices import NO_EFFECT


def show_what_if(study: StudyView, names: list[str]) -> None:
    """Predict the objectives of a chosen trial with another answer to one choice."""
    forests, results = study.forests, study.choice_results
    if forests is None:
        return
    st.subheader("What if")
    first, second, third = st.columns(3)
    numbers = results.numbers.tolist()
    start = next((item.number for item in study.recommended), numbers[0])
    number = first.number_input("Trial", 0, numbers[-1], start, key="base", bind="query-params")
    if number not in numbers:
        st.info(f"Trial {number} is not complete.")
        return
    row = numbers.index(number)
    choice = second.selectbox("Changed choice", names, format_func=line, key="changed", bind="query-params")
    own = int(results.column(choice)[row])
    answers = {code: text for code, text in results.answers(choice).items() if code not in (own, NO_EFFECT)}
    code = third.selectbox("New answer", list(answers), format_func=lambda code: line(answers[code]), key="answer")
    if code is None:
        st.info("This choice has no other answer.")
        return
    table = predicted_table(results, forests, row, choice, code)
    settings = {name: st.column_config.NumberColumn(format="%.4g") for name in table.columns[1:]}
    settings["Rank correlation"] = st.column_config.NumberColumn(format="%.2f")
    was, new = markdown(results.answers(choice)[own]), markdown(answers[code])
    st.markdown(
        f":orange-badge[Predicted, not measured] Trial {number} with {markdown(choice)} = {new} instead of {was}"
    )
    st.dataframe(table, hide_index=True, placeholder="—", column_config=settings, key="what_if")
    st.caption(
        f"A random forest learned from {forests.used:,} complete trials. Spread is the standard deviation over its "
        "trees. The rank correlation compares its predictions with trials that the trees had not seen; with a low one, "
        "do not rely on them. Nothing of this is stored."
    )
