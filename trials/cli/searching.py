"""``nas search`` and ``nas resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trials.cli.app import app, out
from trials.cli.options import DEFAULT_STORAGE, Address, Name, Storage


@app.command(epilog="Example: nas search examples/digits.yaml budget.trials=8 strategy.name=tpe")
def search(
    plan: Annotated[Path, typer.Argument(help="The study's YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, dots descend.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    name: Annotated[str | None, typer.Option("--name", help="Name of the study; the plan's by default.")] = None,
    with_baseline: Annotated[
        str | None,
        typer.Option("--with-baseline", help="Also run a twin with this strategy at equal budget: random."),
    ] = None,
    address: Address = None,
) -> None:
    """Run a study. Ctrl-C leaves one that `nas resume` takes up."""
    from trials.cli.live import LiveDisplay
    from trials.launch import search as run
    from trials.plan import load_plan

    resolved = load_plan(plan, overrides or ())
    with LiveDisplay(out) as display:
        names = run(
            resolved,
            storage=storage,
            name=name,
            baseline=with_baseline,
            address=address,
            on_update=display.update,
        )
    _say_next(names, storage)


@app.command(epilog="Example: nas resume digits --storage sqlite:///nas.db")
def resume(name: Name, storage: Storage = DEFAULT_STORAGE, address: Address = None) -> None:
    """Take up an interrupted study where its tables are."""
    from trials.cli.live import LiveDisplay
    from trials.launch import resume as run

    with LiveDisplay(out) as display:
        run(storage, name, address=address, on_update=display.update)
    _say_next([name], storage)


def _say_next(names: list[str], storage: str) -> None:
    for name in names:
        out.print(f"study [bold]{name}[/] is in {storage}; look: nas show {name} · nas report {name} --out report")
