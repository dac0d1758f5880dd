"""Take networks away: a rule that selects trials, the command that exports them, and exports that were started here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import streamlit as st

from dashboard.context import Context
from dashboard.sections.actions import count_open, show_command
from dashboard.tables.study import candidates_table, exported_table
from dashboard.widgets import formats, repeat, shown_label
from nas.export.formats import FORMATS
from trials.export.selection import Selection, select
from trials.launch.detached import Command, commands
from trials.plans.metrics import static_metric_names
from trials.reporting.labels import counted, moment
from trials.reporting.study import StudyView
from trials.store.target_metrics import TARGET_METRICS

RULES = ONE, BEST, KNEE, FRONT, TOP = "one trial", "best", "knee", "front", "top"
WEIGHTS = ("best", "search", "final")
#: Largest number of selected trials that are listed.
MAX_SHOWN = 25
#: Seconds between two looks at exports that run.
EVERY_S = 3


def asked_selection(study: StudyView) -> Selection:
    """Show the rules and their settings, which the address holds, and return what they ask for."""
    rule = st.segmented_control("Which trials", RULES, default=BEST, key="rule", bind="query-params") or BEST
    places = iter(st.columns([1.6, 1.6, 2.4], vertical_alignment="bottom"))
    if rule == ONE:
        last = max(sum(study.row.counts.values()) - 1, 0)
        start = study.recommended[0].number if study.recommended else 0
        return Selection(
            trial=int(next(places).number_input("Trial", 0, last, start, key="trial", bind="query-params"))
        )
    top = int(next(places).number_input("Number", 1, 1000, 3, key="top", bind="query-params")) if rule == TOP else None
    by = ""
    if rule in (BEST, TOP):
        by = _by(study, next(places))
    where = next(places).text_input(
        "Conditions", placeholder="latency_ms<2 and size_bytes<1e6", key="where", bind="query-params"
    )
    chosen = {"best": rule == BEST, "knee": rule == KNEE, "pareto": rule == FRONT}
    return Selection(**chosen, top=top, by=by, where=(where or "").strip())


def _by(study: StudyView, place: Any) -> str:
    """Show the menu of what to rank by; return nothing for the first objective, which is the rule."""
    first = next(iter(study.row.objectives))
    costs = [
        name for name in study.shown_metrics if name.partition("@")[0] in (*TARGET_METRICS, *static_metric_names())
    ]
    names = list(dict.fromkeys([*study.row.objectives, *costs, *static_metric_names()]))
    chosen = place.selectbox("Ranked by", names, format_func=shown_label, key="by", bind="query-params")
    return "" if chosen in (None, first) else str(chosen)


def asked_options() -> list[str]:
    """Show the options of an export, which the address holds, and return the arguments that say the same."""
    with st.expander("Options", expanded=bool(st.query_params.get("formats"))):
        left, right = st.columns(2, gap="large")
        wanted = left.multiselect(
            "Further formats", FORMATS.names(), key="formats", bind="query-params", placeholder="only the measured file"
        )
        weights = right.selectbox("Weights", WEIGHTS, key="weights", bind="query-params")
        dynamic = left.toggle("Further formats take any number of inputs", key="dynamic", bind="query-params")
        pixels = left.toggle("Also a file that takes 8-bit pixels", key="pixels", bind="query-params")
        licence = right.text_input("Licence", placeholder="apache-2.0", key="licence", bind="query-params")
    return [
        *(f"--format={name}" for name in wanted),
        *([f"--weights={weights}"] if weights not in (None, WEIGHTS[0]) else []),
        *(["--dynamic-batch"] if dynamic else []),
        *(["--with-preprocessing"] if pixels else []),
        *([f"--licence={licence}"] if licence else []),
    ]


def show_selected(study: StudyView, selection: Selection) -> None:
    """List the trials that a selection selects."""
    numbers = select(study.source, study.name, selection, study.known_columns(study.name))
    rows = list(study.rows(numbers[:MAX_SHOWN]).values())
    table = candidates_table(rows, list(study.row.objectives), study.shares)
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        placeholder="—",
        column_config=formats(table, study.row.objectives),
        key="selected",
    )
    more = f", of which {MAX_SHOWN} are shown" if len(numbers) > MAX_SHOWN else ""
    st.caption(f"{counted(len(numbers), 'trial')}{more}")


def show_export(context: Context, study: StudyView, arguments: Sequence[str]) -> None:
    """Show the command, and a button that queues it if visitors may do more than look."""
    whole = ["nas", "export", *arguments, "--out=exported", *context.actions.storage_option, "--", study.name]
    st.code(shlex.join(whole), language="sh", wrap_lines=True)
    if not context.actions.allowed:
        st.caption("Run this where the files of the study are. `nas dashboard --allow-actions` runs it from here.")
    elif st.button("Export here", icon=":material/archive:", type="primary"):
        context.actions.export(study.name, [*arguments, "--", study.name])
        st.rerun()


def show_exports(context: Context, study: StudyView) -> None:
    """List the exports that were started here, again and again while one of them waits or runs."""
    if not context.actions.allowed:
        return
    found = commands(context.actions.root, study.name, ("export",))
    if found:
        st.subheader("Exports")
        num_open = count_open(found)
        repeat(_exports, EVERY_S if num_open else None, context, found, num_open)


def _exports(context: Context, found: Sequence[Command], num_open: int) -> None:
    """Show the exports; once one has ended, draw the whole page again."""
    if count_open(found) != num_open:
        st.rerun()
    for command in found:
        with st.container(border=True):
            _export(context, command)


def _export(context: Context, command: Command) -> None:
    """Show an export; once it is over, what it found about each network, and its files as one to download."""
    rows = command.result() if command.is_over else None
    rows = rows if isinstance(rows, list) else []
    if rows:  # the table shows what the command printed last
        with st.expander(f"Command and log: {command.state}, {moment(command.asked_at)}"):
            show_command(context, command)
        st.dataframe(exported_table(rows), hide_index=True, height="content", key=f"rows-{command.folder.name}")
    else:
        show_command(context, command)
    if command.is_over and command.files.is_dir() and any(command.files.iterdir()):
        name = exported_name(command.study, [row["trial"] for row in rows])
        st.download_button(
            "Download as zip",
            lambda: zipped(command.files, name),
            f"{name}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            key=f"zip-{command.folder.name}",
        )


def exported_name(study: str, numbers: Sequence[int]) -> str:
    """Return the name for exported files: that of the study, and of the trial if it is one; safe as a file's name."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", study).strip(".-") or "study"
    return f"{name}-trial-{numbers[0]}" if len(numbers) == 1 else name


def zipped(folder: Path, name: str) -> bytes:
    """Return a zip of all files of a folder, in one folder of this name."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, f"{name}/{path.relative_to(folder)}")
    return packed.getvalue()
