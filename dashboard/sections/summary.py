"""The heading of a study, its totals, and its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st
import yaml

from dashboard.widgets import show_numbers
from nas.foreign import lines, markdown
from trials.reporting.labels import duration, inline, moment, number
from trials.reporting.study import StudyView
from trials.store.read.protocols import describe_regime
from trials.store.read.studies import StudySummary


def show_heading(study: StudyView) -> None:
    """Show the name and state of a study, its space, task and targets, and warnings."""
    summary, row = study.summary, study.row
    st.title(markdown(row.name))
    spent = summary.totals.get("wall_s")
    space, task = (summary.plan.get(key, {}).get("name", "?") for key in ("space", "task"))
    text = (
        f" · {row.role} in the group {row.group} · {row.strategy} on {space} for {task} · "
        f"measured on {', '.join(summary.targets) or 'no target'} · seed {row.seed} · "
        f"started {moment(row.created_at)}" + (f" · {duration(float(spent))} of search" if spent else "")
    )
    st.caption(f"**{markdown(row.state)}**{markdown(text)}")
    if summary.regime is not None:
        st.caption(f":material/grain: {markdown(describe_regime(summary.regime))}")
    if row.incomplete:
        st.warning(
            f"Incomplete: {markdown(', '.join(row.incomplete))}. nas twins {markdown(row.name)} runs the studies "
            "that sparse networks are compared with."
        )
    for doubt in study.doubts:
        st.warning(markdown(doubt))
    if summary.error:
        st.error(markdown(summary.error))


def show_totals(study: StudyView) -> None:
    """Show the number of trials, the best value of each objective, and the time that was saved."""
    row = study.row
    ended, budget = study.spent.ended, study.spent.budget
    note = f"{row.counts.get('complete', 0)} complete" if budget is None else f"{ended} of {budget} in the budget ended"
    cards = [("Trials", str(sum(row.counts.values())), note)]
    for metric, direction in row.objectives.items():
        word = "Highest" if direction == "maximize" else "Lowest"
        cards.append((f"{word} {inline(metric)}", number(metric, row.best.get(metric)), ""))
    costs = study.costs
    if saved := sum(costs.saved_s.values()):
        note = f"{costs.trained} of {costs.suggestions} suggestions trained"
        cards.append(("Time saved", duration(saved), note))
    show_numbers(cards)
    counts = ", ".join(f"{count} {state}" for state, count in row.counts.items())
    st.caption(f"Trials: {markdown(counts) or 'none'}")


def show_plan(summary: StudySummary) -> None:
    """Show the plan and the environment, collapsed."""
    with st.expander("Plan and environment"):
        left, right = st.columns(2)
        left.code(_yaml(summary.plan), language="yaml")
        right.code(_yaml(summary.environment), language="yaml")


def _yaml(values: Mapping[str, Any]) -> str:
    return lines(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
