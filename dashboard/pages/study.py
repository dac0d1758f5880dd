"""One study: its front, how it went on, and pages of its candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import streamlit as st
import yaml

from dashboard.pages import Context, draw, show_numbers
from dashboard.tables.study import bytes_metrics, candidates_table, comparison_table, gaps_table, ranks_table
from nas.foreign import line, lines, markdown
from nas.tasks.per_class import PREFIX
from trials.analysis.gaps import GAP_NOTE
from trials.analysis.membership import membership_by_number, membership_of
from trials.analysis.targets import fronts_by_target, rank_correlations
from trials.reporting.charts.front import front_figure
from trials.reporting.charts.studies import comparison_figure, history_figure, states_figure
from trials.reporting.comparison import comparison
from trials.reporting.labels import duration, inline, label, moment, number, title
from trials.store.read.candidate import candidate_detail, exports
from trials.store.read.candidates import COLUMNS, candidates_page
from trials.store.read.doubts import study_doubts
from trials.store.read.points import histories, points
from trials.store.read.protocols import describe_regime
from trials.store.read.studies import STATES, StudySummary, compared_studies, list_studies, study_summary

TITLE, ICON, ORDER = "Study", ":material/scatter_plot:", 1
PER_PAGE = 25
#: Names shown in the box of studies; others are reached by their link.
MOST_NAMES = 200


def show(context: Context) -> None:
    """Show the study of the link, or the newest one."""
    name = choose_study(context)
    if name is None:
        st.title("Study")
        st.info("This database has no studies yet. Launch one with `nas search examples/digits.yaml`.")
        return
    summary = study_summary(context.source, name)
    _heading(context, summary)
    if summary.row.state == "running":
        st.fragment(_live, run_every=5)(context, name)
    else:
        _course(context, summary)
    _candidates(context, summary)
    _plan(summary)


def choose_study(context: Context) -> str | None:
    """The study to show: that of the link, else the one chosen in the menu; None if there is none."""
    names = [row.name for row in list_studies(context.source, limit=MOST_NAMES)]
    asked = st.query_params.get("study") or st.session_state.get("last_study")
    if asked and asked not in names:
        names.insert(0, study_summary(context.source, asked).row.name)
    if not names:
        return None
    place = names.index(asked) if asked else 0
    name = st.sidebar.selectbox("Study", names, index=place, format_func=line)
    if st.query_params.get("study") != name:
        st.query_params.clear()
        st.query_params["study"] = name
    st.session_state["last_study"] = name
    return str(name)


def _heading(context: Context, summary: StudySummary) -> None:
    row, plan = summary.row, summary.plan
    st.title(markdown(row.name))
    spent = summary.totals.get("wall_s")
    strategy, space, task = (plan.get(key, {}).get("name", "?") for key in ("strategy", "space", "task"))
    told = (
        f" · {row.role} in the group {row.group} · {strategy} on {space} for {task} · "
        f"measured on {', '.join(summary.targets) or 'no target'} · seed {row.seed} · "
        f"started {moment(row.created_at)}" + (f" · {duration(float(spent))} of search" if spent else "")
    )
    st.caption(f"**{markdown(row.state)}**{markdown(told)}")
    if summary.regime is not None:
        st.caption(f":material/grain: {markdown(describe_regime(summary.regime))}")
    if row.incomplete:
        st.warning(
            f"Incomplete: {markdown(', '.join(row.incomplete))}. nas twins {markdown(row.name)} runs what sparse "
            "networks are to be compared with."
        )
    for doubt in study_doubts(context.source, row.name):
        st.warning(markdown(doubt))
    if summary.error:
        st.error(markdown(summary.error))


def _live(context: Context, name: str) -> None:
    """Everything that moves while a study runs; the whole page once it stops."""
    summary = study_summary(context.source, name)
    if summary.row.state != "running":
        st.rerun()
    _course(context, summary)


def _course(context: Context, summary: StudySummary) -> None:
    _numbers(summary)
    if not summary.row.counts.get("complete"):
        total = sum(summary.row.counts.values())
        st.info(
            "No candidate is complete yet: the front and the history appear with the first one."
            if total
            else "This study has no candidates yet."
        )
        return
    _front(context, summary)
    _targets(context, summary)
    _gaps(context, summary)
    _comparison(context, summary)
    _history(context, summary)


def _numbers(summary: StudySummary) -> None:
    row, totals = summary.row, summary.totals
    cards = [("Candidates", str(sum(row.counts.values())), f"{row.counts.get('complete', 0)} complete")]
    for metric, direction in row.objectives.items():
        word = "Highest" if direction == "maximize" else "Lowest"
        cards.append((f"{word} {inline(metric)}", number(metric, row.best.get(metric)), ""))
    if totals.get("training_saved_s"):
        saved, spent = float(totals["training_saved_s"]), float(totals.get("train_s", 0.0))
        note = f"{saved / (saved + spent):.0%} · {int(totals.get('gated', 0))} rejected before it"
        cards.append(("Training saved by the gate", duration(saved), note))
    show_numbers(cards)
    counts = ", ".join(f"{count} {state}" for state, count in row.counts.items())
    st.caption(f"Candidates: {markdown(counts) or 'none'}")


def _front(context: Context, summary: StudySummary) -> None:
    objectives = list(summary.row.objectives)
    heads = st.columns([4, 1.2, 1.2], vertical_alignment="bottom")
    heads[0].subheader("Pareto front")
    axes = list(dict.fromkeys([*summary.metrics, "parameters", "macs", "number"]))
    second = objectives[1] if len(objectives) > 1 else "number"
    y = heads[1].selectbox("Vertical axis", axes, axes.index(objectives[0]), format_func=shown_label, key="axis_y")
    rest = [axis for axis in axes if axis != y]
    x_default = rest.index(second) if second in rest else 0
    x = heads[2].selectbox("Horizontal axis", rest, x_default, format_func=shown_label, key="axis_x")
    chart, side = st.columns([3.4, 1], gap="medium")
    shares = membership_by_number(context.source, summary.row.name)
    figure = front_figure(points(context.source, summary.row.name, [y, x]), summary.limits, shares=shares)
    event = draw(chart, figure, "front", select=True)
    with side:
        _selected(context, summary, event, shares)


def shown_label(metric: str) -> str:
    """A metric as a box of choices shows it, which reads no Markdown."""
    return line(label(metric))


def _selected(context: Context, summary: StudySummary, event: Any, shares: Mapping[int, float]) -> None:
    """Beside the chart: the candidate that was clicked."""
    picked = event["selection"]["points"]
    if not picked:
        st.caption("Click a point to see its candidate.")
        st.caption(
            "Bars are 95 % intervals. Whose place on the front is not sure, given all intervals, is hollow; hollow and "
            "grey are infeasible; ticks below the plot are candidates the gate rejected before they were trained. "
            "Dashed red lines are limits."
        )
        return
    key = int(np.ravel(picked[0]["customdata"])[0])
    row = candidate_detail(context.source, summary.row.name, key).row
    with st.container(border=True):
        st.markdown(f"#### Candidate {key}" + (", original" if row.original else ""))
        st.markdown(markdown(row.state + (f": {row.reason}" if row.reason else "")))
        if key in shares:
            st.markdown(f"On the front with probability **{shares[key]:.2f}**")
        for metric, value in row.shown_metrics.items():
            span = f"  \n:gray[{value.low:.4g} to {value.high:.4g}]" if value.low is not None else ""
            st.markdown(f"{markdown(title(metric))} **{markdown(number(metric, value.value))}**{span}")
        for flag in row.flags:
            st.markdown(f":orange[:material/warning: {markdown(flag)}]")
        target = {"study": summary.row.name, "candidate": str(key)}
        st.page_link(
            context.pages["candidate"],
            label="Open candidate",
            icon=":material/arrow_forward:",
            query_params=target,
        )


def _targets(context: Context, summary: StudySummary) -> None:
    """The front of each target, and how alike targets rank, where there are several."""
    fronts = fronts_by_target(context.source, summary.row.name)
    if not fronts:
        return
    st.subheader("Front of each target")
    left, right = st.columns([3.4, 1], gap="medium")
    for tab, (target, found) in zip(left.tabs([markdown(target) for target in fronts]), fronts.items(), strict=True):
        if len(found.metrics) > 1:
            figure = front_figure(found, summary.limits, shares=membership_of(found))
            draw(tab, figure, f"front_{target}")
        tab.caption("On the front: " + ", ".join(map(str, found.numbers[found.on_front])))
    ranks = rank_correlations(context.source, summary.row.name)
    table = ranks_table(ranks)
    numbers = {name: st.column_config.NumberColumn(format="%.3f") for name in table.columns[1:]}
    right.caption("Rank correlation of latency between targets, Kendall's tau")
    right.dataframe(table, hide_index=True, placeholder="—", column_config=numbers, key="ranks")
    right.caption(
        markdown("; ".join(f"{item.first} and {item.second}: {item.count} candidates" for item in ranks))
        + " measured on both"
    )


def _gaps(context: Context, summary: StudySummary) -> None:
    """Validation beside test of what was exported."""
    table = gaps_table(exports(context.source, summary.row.name))
    if not table.empty:
        st.subheader("What was chosen, on test")
        st.dataframe(table, hide_index=True, key="gaps")
        st.caption(GAP_NOTE)


def _comparison(context: Context, summary: StudySummary) -> None:
    """Found networks beside themselves under random masks and their dense parents; fixed references."""
    compared = comparison(context.source, summary.row.name)
    if compared is None:
        return
    st.subheader("Against dense parents and random masks")
    if compared.verdict:
        st.markdown(markdown(compared.verdict))
    table = comparison_table(summary.row.name, compared)
    st.dataframe(
        table, hide_index=True, placeholder="—", column_config=_formats(table, compared.metrics), key="compared"
    )
    st.caption(
        "Random masks keep as many weights, the dense parent keeps all; both are trained like the network found. "
        "Speed-up: latency of the dense twin over its own, each measured on the same target."
    )


def _formats(table: Any, metrics: Any) -> dict[str, Any]:
    """Columns of numbers as people read them."""
    settings = {name: st.column_config.NumberColumn(format="%.4g") for name in table.select_dtypes("float")}
    settings |= {title(key): st.column_config.NumberColumn(format="bytes") for key in bytes_metrics(metrics)}
    settings |= {name: st.column_config.NumberColumn(format="localized") for name in ("Parameters", "MACs")}
    settings["On the front"] = st.column_config.ProgressColumn(format="%.2f", min_value=0.0, max_value=1.0)
    speedups = [name for name in table.columns if name.startswith("Speed-up")]
    settings |= {name: st.column_config.NumberColumn(format="%.2f×") for name in speedups}
    return settings | {"Beware": st.column_config.TextColumn(width="medium")}


def _history(context: Context, summary: StudySummary) -> None:
    group = compared_studies(context.source, summary.row)
    runs = histories(context.source, [row.name for row in group])
    own = next(run for run in runs if run.study == summary.row.name)
    left, right = st.columns(2, gap="medium")
    left.subheader("History")
    draw(left, history_figure(own), "history")
    right.subheader("Against the baseline" if any(run.role == "baseline" for run in runs) else "Hypervolume")
    draw(right, comparison_figure(runs), "comparison")
    draw(right, states_figure(group), "states_of_group")
    if summary.row.role == "search" and not any(run.role == "baseline" for run in runs):
        right.caption("Without a random baseline: `--with-baseline random` runs a twin at equal budget beside it.")


def _candidates(context: Context, summary: StudySummary) -> None:
    st.subheader("Candidates")
    columns = list(dict.fromkeys([*COLUMNS, *summary.metrics]))
    keys = st.columns([2, 1.1, 3.4, 0.9], vertical_alignment="bottom")
    order = keys[0].selectbox("Order by", columns, format_func=shown_label, key="order_by")
    descending = keys[1].toggle("Descending", key="descending")
    states = keys[2].multiselect("States", STATES, placeholder="all", key="states")
    size = keys[3].selectbox("Rows", [PER_PAGE, 100, 500], key="rows")
    ask: dict[str, Any] = {"order_by": order, "descending": descending, "states": states or None}
    first = _place((summary.row.name, *map(str, ask.values()), str(size)))
    page = candidates_page(context.source, summary.row.name, offset=first, limit=size, **ask)
    if not page.rows:
        st.info("No candidates in these states." if states else "No candidates yet.")
        return
    metrics = [name for name in summary.metrics if not name.startswith(PREFIX) or name in summary.row.objectives]
    table = candidates_table(page, metrics, membership_by_number(context.source, summary.row.name))
    picked: Any = st.dataframe(
        table,
        hide_index=True,
        height="content" if size == PER_PAGE else 900,
        placeholder="—",
        column_config=_formats(table, metrics),
        on_select="rerun",
        selection_mode="single-row",
        key=f"candidates-{first}-{order}-{descending}-{states}",
    )
    _turn(first, len(page.rows), page.total, size)
    chosen = picked["selection"]["rows"]
    if chosen:
        number_ = str(page.rows[chosen[0]].number)
        st.switch_page(context.pages["candidate"], query_params={"study": summary.row.name, "candidate": number_})


def _place(question: tuple[str, ...]) -> int:
    """Where the page starts; from the top again when the question changed."""
    if st.session_state.get("question") != question:
        st.session_state["question"], st.session_state["offset"] = question, 0
    return int(st.session_state["offset"])


def _turn(first: int, shown: int, total: int, size: int) -> None:
    def move(by: int) -> None:
        st.session_state["offset"] = max(first + by, 0)

    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Previous", on_click=move, args=(-size,), disabled=first == 0)
        st.button("Next", on_click=move, args=(size,), disabled=first + shown >= total)
        st.caption(f"{first + 1} to {first + shown} of {total}. Tick a row to open its candidate.")


def _plan(summary: StudySummary) -> None:
    with st.expander("Plan and environment"):
        left, right = st.columns(2)
        left.code(_yaml(summary.plan), language="yaml")
        right.code(_yaml(summary.environment), language="yaml")


def _yaml(values: Mapping[str, Any]) -> str:
    return lines(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
