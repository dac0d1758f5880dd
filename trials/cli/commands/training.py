"""Verbs that train networks of a finished study: ``nas train`` and ``nas reproduce``."""

from __future__ import annotations

from typing import Annotated

import typer

from trials.cli.console import app, err, out
from trials.cli.options import (
    DEFAULT_STORAGE,
    MAX_INT,
    Address,
    Best,
    By,
    Json,
    Knee,
    Name,
    OneTrial,
    Pareto,
    Storage,
    Top,
    TrialNumber,
    Where,
    print_json,
    print_rows,
)


@app.command(epilog="Example: nas train digits --best epochs=100 --teacher dense")
def train(
    name: Name,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to final_training of the plan: key=value, as in epochs=100.")
    ] = None,
    trial: OneTrial = None,
    best: Best = False,
    knee: Knee = False,
    top: Top = None,
    pareto: Pareto = False,
    by: By = "",
    where: Where = "",
    teacher: Annotated[
        str | None,
        typer.Option("--teacher", help="Network to learn from: dense, trial:N, or timm:MODEL,weights=FILE."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=MAX_INT, help="Processes that train one network together."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Give networks of a study a long training; run it again to continue after an interruption."""
    from trials.cli.views import final_training_row
    from trials.export.selection import Selection, select
    from trials.launch.training.final import train_finally
    from trials.store.read.candidate import candidate_detail
    from trials.store.store import Store

    selection = Selection(trial, best, knee, top, pareto, by, where)
    selection.check()
    store = Store(storage)
    numbers = select(store, name, selection)
    if shortage := selection.shortage(len(numbers)):
        err.print(shortage, markup=False)
    given = {"teacher": teacher, "workers": workers}
    changes = [*(overrides or ()), *(f"{key}={value}" for key, value in given.items() if value is not None)]
    found = train_finally(
        store,
        name,
        numbers,
        changes,
        address=address,
        on_step=lambda number, text: err.print(f"trial {number}: {text}"),
    )
    print_rows(
        [final_training_row(candidate_detail(store, name, number), item) for number, item in found.items()], as_json
    )


@app.command(epilog="Example: nas reproduce digits 12")
def reproduce(
    name: Name,
    trial: TrialNumber,
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Train a trial again from its stored plan and seed, and compare weights, curve and scores; nothing is stored."""
    from trials.launch.training.reproducing import reproduce as train_again
    from trials.store.store import Store

    found = train_again(
        Store(storage), name, trial, address=address, on_step=lambda text: err.print(f"trial {trial}: {text}")
    )
    if as_json:
        print_json(found.to_json())
    else:
        print_rows(found.rows(), as_json=False)
        out.print(found.verdict)
    if not found.is_equal and not found.differences:
        raise typer.Exit(1)
