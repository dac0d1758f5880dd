"""Options that several verbs share, and functions that print rows and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.foreign import hide_passwords
from trials.cli.console import out

Storage = Annotated[
    str,
    typer.Option(
        "--storage", envvar="NAS_STORAGE", help="Database URL: sqlite:///nas.db or postgresql://user@host/name."
    ),
]
DEFAULT_STORAGE = "sqlite:///nas.db"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]
Name = Annotated[str, typer.Argument(help="Name of the study.")]
#: The arguments and options of verbs that begin a study.
PlanFile = Annotated[Path, typer.Argument(help="Plan of the study, a YAML file.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Changes to the plan: key=value, as in budget.trials=8.")]
StudyName = Annotated[str | None, typer.Option("--name", help="Name of the study; by default the name in the plan.")]
Baseline = Annotated[
    str | None,
    typer.Option(
        "--with-baseline", help="Also run a study with this strategy at equal budget to compare with, as in random."
    ),
]
#: Largest trial number, number of rows or budget: the largest integer that every database stores.
MAX_INT = 2**31 - 1
TrialNumber = Annotated[int, typer.Argument(min=0, max=MAX_INT, help="Number of a trial.")]
#: Options that select trials, for a ``Selection``.
OneTrial = Annotated[int | None, typer.Option("--trial", min=0, max=MAX_INT, help="The trial N.")]
Best = Annotated[bool, typer.Option("--best", help="The complete trial that is best by the first objective.")]
Knee = Annotated[bool, typer.Option("--knee", help="The best compromise: the knee of the front.")]
Top = Annotated[int | None, typer.Option("--top", min=1, max=MAX_INT, help="The N best trials by the first objective.")]
Pareto = Annotated[bool, typer.Option("--pareto", help="Every trial of the front.")]
By = Annotated[str, typer.Option("--by", help="Objective or cost by which --best and --top rank trials.")]
Where = Annotated[
    str, typer.Option("--where", help="Only trials that keep conditions: 'latency_ms<2 and size_bytes<1e6'.")
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Ray cluster to run on, host:port or auto; by default this machine."),
]
NodesJoin = Annotated[
    bool,
    typer.Option("--nodes-join", help="Nodes join the cluster on demand: wait for resources that no node has now."),
]


def print_rows(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "nothing to list") -> None:
    """Print rows as a table with one column per key, or as a JSON list."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        out.print(empty)
        return
    from trials.cli.layout import TableLayout

    TableLayout(rows, out.console.width).print(out.console)


def print_json(value: Any) -> None:
    """Print one JSON value on standard output, unwrapped and uncoloured."""
    typer.echo(hide_passwords(json.dumps(value, default=str)))
