"""What can be done with a study: stop, resume, extend; and the commands that were started, with what they print."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import streamlit as st

from dashboard.context import Context
from dashboard.widgets import errors_shown, repeat
from nas.foreign import lines
from trials.launch.detached import Command, commands
from trials.reporting.labels import moment
from trials.reporting.study import StudyView

#: Seconds between two looks at commands that run.
EVERY_S = 3
#: Verbs of the commands that the page of a study starts.
VERBS = ("pause", "stop", "resume", "extend")
COLORS = {"done": "green", "failed": "red", "lost": "red", "cancelled": "orange"}


def show_actions(context: Context, study: StudyView) -> None:
    """Show the buttons for a study and its commands, if visitors may do more than look."""
    if not context.actions.allowed:
        return
    waits = count_open(commands(context.actions.root, study.name, VERBS)) > 0  # its effect is not to be seen yet
    with st.container(horizontal=True, vertical_alignment="bottom"), errors_shown():
        if study.row.is_live:
            _end(context, study.name)
        else:
            _continue(context, study, waits=waits)
    if study.row.state == "stopped":
        st.caption(
            "This study was stopped before its budget was spent. Resume runs the rest of the budget; Extend runs the "
            "rest and the trials that it adds."
        )
    show_commands(context, study)


def _end(context: Context, name: str) -> None:
    if st.button("Pause", icon=":material/pause:", help="It can be resumed."):
        context.actions.start(name, "pause", "--", name)
        st.rerun()
    _stop(context, name)


def _stop(context: Context, name: str) -> None:
    if st.button("Stop", icon=":material/stop:", help="The study ends with the results that it has."):
        context.actions.start(name, "stop", "--", name)
        st.rerun()


def _continue(context: Context, study: StudyView, *, waits: bool) -> None:
    name, state = study.name, study.row.state
    if state in ("waiting", "interrupted", "paused", "stopped") and st.button(
        "Resume", icon=":material/play_arrow:", disabled=waits
    ):
        context.actions.start(name, "resume", "--", name)
        st.rerun()
    if state in ("waiting", "interrupted", "paused"):
        _stop(context, name)
    more = st.number_input("More trials", 1, 1_000_000, 10, key="more", width=140)
    told = "Adds trials to the budget and continues the study."
    if st.button("Extend", icon=":material/add:", help=told, disabled=waits):
        context.actions.start(name, "extend", "--", name, f"budget.trials=+{more}")
        st.rerun()


def show_commands(context: Context, study: StudyView) -> None:
    """List the newest commands of a study, again and again while one of them runs."""
    found = commands(context.actions.root, study.name, VERBS)
    if found:
        num_open = count_open(found)
        with st.expander("Commands started here", expanded=bool(num_open)):
            repeat(_commands, EVERY_S if num_open else None, context, study, found, num_open)


def _commands(context: Context, study: StudyView, found: Sequence[Command], num_open: int) -> None:
    """Show the commands; once one has ended or the study has changed its state, draw the whole page again."""
    for command in found:
        show_command(context, command)
    if count_open(found) != num_open or (num_open and context.study(study.name).row.state != study.row.state):
        st.rerun()


def show_command(context: Context, command: Command) -> None:
    """Show the state of a command and the end of what it printed."""
    state = command.state
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(state, color=COLORS.get(state, "blue"))
        st.caption(moment(command.asked_at))
        if not command.is_over and st.button("Cancel", key=f"cancel-{command.folder.name}"):
            with errors_shown():
                context.actions.cancel(command)
    # Not as Markdown, in which Streamlit makes a dash of `--`.
    st.code(lines(shlex.join(["nas", *command.arguments])), language="sh", wrap_lines=True)
    if text := command.log():
        st.code(lines(text), language=None, height=200 if text.count("\n") > 8 else "content")


def count_open(found: Sequence[Command]) -> int:
    """Return how many of the commands wait or run."""
    return sum(not command.is_over for command in found)
