"""Verbs to use before a study runs: ``nas validate``, ``nas spaces``, ``nas papers``."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from trials.cli.console import app, out
from trials.cli.options import DEFAULT_STORAGE, Json, Storage, print_json, print_rows


@app.command(epilog="Example: nas validate examples/digits.yaml")
def validate(
    plan: Annotated[Path, typer.Argument(help="Plan of the study, a YAML file.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to the plan: key=value, as in budget.trials=8.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Check a plan and its data, and estimate the study: size of the space, typical networks, limits, hours, disk."""
    from trials.cli.data import print_data
    from trials.cli.styled import titled
    from trials.launch.forecast import forecast
    from trials.plans.loading import load_plan
    from trials.plans.machine import executor_remark
    from trials.store.store import Store
    from trials.targets.stored import names_targets, with_stored_targets

    given = load_plan(plan, overrides or ())
    remark = executor_remark(given)
    if names_targets(given):
        given = with_stored_targets(given, Store(storage))
    found = forecast(given)
    if as_json:
        print_json(found.to_json())
        return
    out.print(titled(str(plan), f" is valid; the space holds {found.size}"))
    print_rows(found.networks, as_json=False)
    if found.data is not None:
        print_data(found.data)
    for line in filter(None, [*found.remarks, remark]):
        out.print(line)


#: Time to count the sizes of all listed spaces, in seconds.
SIZE_SECONDS = 6.0


@app.command(epilog="Example: nas spaces sparse_convnet --describe")
def spaces(
    names: Annotated[list[str] | None, typer.Argument(help="Names of search spaces; all by default.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Also show documentation and choices.")] = False,
    as_json: Json = False,
) -> None:
    """List search spaces."""
    from nas.tasks import make_task
    from search_spaces import SPACES
    from trials.cli.styled import titled
    from trials.launch.forecast import size_of
    from trials.plans.choices import choices_of

    task = make_task("digits")
    # Some spaces need parameters from a plan; the first example of each space is counted instead.
    found = {name: SPACES.get(name).examples()[0] for name in names or SPACES.names()}
    texts = {name: inspect.getdoc(type(space)) or "" for name, space in found.items()}
    choices = {name: choices_of(space, task) for name, space in found.items()} if describe else {}
    rows: list[dict[str, Any]] = [
        {
            "space": name,
            "paper": space.paper,
            "size on digits": size_of(space, task, SIZE_SECONDS / len(found)),
            "what": texts[name].partition("\n")[0],
        }
        for name, space in found.items()
    ]
    if not describe:
        print_rows(rows, as_json)
    elif as_json:
        print_json([{**row, "text": texts[row["space"]], "choices": choices[row["space"]]} for row in rows])
    else:
        for row in rows:
            about = f": {row['size on digits']} on digits; paper {row['paper'] or 'none'}"
            out.print(titled(row["space"], about))
            out.print(f"\n{texts[row['space']]}\n")
            print_rows(choices[row["space"]], as_json=False)


@app.command(epilog="Example: nas papers --json")
def papers(as_json: Json = False) -> None:
    """List which component implements which paper, and the test that checks it."""
    from trials.cli.papers import paper_rows

    print_rows(paper_rows(), as_json)
