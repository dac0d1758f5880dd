"""Before spending: ``nas init``, ``nas validate``, ``nas spaces``, ``nas papers``."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from nas.errors import PlanError
from trials.cli.app import app, out
from trials.cli.options import DEFAULT_STORAGE, MOST, Json, Storage, print_json, print_rows
from trials.cli.terminal import titled


@app.command(epilog="Example: nas init plan.yaml --task image_folder --data photos --limit latency_ms=8")
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("plan.yaml"),
    task: Annotated[str, typer.Option("--task", help="Name of a task.")] = "digits",
    data: Annotated[str | None, typer.Option("--data", help="Path of the task's data, where it needs one.")] = None,
    space: Annotated[str, typer.Option("--space", help="Name of a search space.")] = "plain_convnet",
    limit: Annotated[list[str] | None, typer.Option("--limit", help="metric=number, an upper limit.")] = None,
    trials: Annotated[int, typer.Option("--trials", min=1, max=MOST, help="Budget.")] = 64,
) -> None:
    """Write a plan to start from; it is checked before it is written."""
    from trials.outputs import output_file
    from trials.plan import make_plan
    from trials.problem import open_problem

    if os.path.lexists(output_file(path)):
        raise PlanError(f"{path} exists; give another name or remove it")
    task_spec: dict[str, Any] = {"name": task} | ({"path": str(Path(data).resolve())} if data else {})
    plan: dict[str, Any] = {
        "version": 1,
        "name": path.stem,
        "task": task_spec,
        "space": {"name": space},
        "policies": [{"name": "precision", "scope": "network"}],
        "limits": {name: {"max": value} for name, value in map(_limit, limit or ())},
        "strategy": {"name": "nsga2"},
        "estimator": {"name": "training", "epochs": 12},
        "targets": [{"name": "local", "runtime": "onnxruntime", "threads": 1, "batch": 1}],
        "budget": {"trials": trials},
        "seed": 0,
    }
    problem = open_problem(make_plan(plan))
    plan["objectives"] = dict(problem.objectives)
    path.write_text(yaml.safe_dump(plan, sort_keys=False))
    out.print(f"wrote {path}; next: nas validate {path}")


@app.command(epilog="Example: nas validate examples/digits.yaml")
def validate(
    plan: Annotated[Path, typer.Argument(help="The study's YAML file.")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, dots descend.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Check plan and data and say what a study would cost: size of the space, typical networks, limits, hours, disk."""
    from trials.cli.data import print_data
    from trials.forecast import forecast
    from trials.plan import load_plan
    from trials.store.store import Store
    from trials.targets import names_targets, with_stored_targets

    given = load_plan(plan, overrides or ())
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
    for line in found.remarks:
        out.print(line)


@app.command(epilog="Example: nas spaces sparse_convnet --describe")
def spaces(
    names: Annotated[list[str] | None, typer.Argument(help="Names of search spaces; all by default.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Also show documentation and choices.")] = False,
    as_json: Json = False,
) -> None:
    """List search spaces."""
    from nas.tasks import make_task
    from search_spaces import SPACES
    from trials.choices import choices_of
    from trials.forecast import size_of

    task = make_task("digits")
    # Some spaces are about something a plan gives: those are counted by their first example.
    found = {name: SPACES.get(name).examples()[0] for name in names or SPACES.names()}
    texts = {name: inspect.getdoc(type(space)) or "" for name, space in found.items()}
    choices = {name: choices_of(space, task) for name, space in found.items()} if describe else {}
    rows: list[dict[str, Any]] = [
        {
            "space": name,
            "paper": space.paper,
            "size on digits": size_of(space, task),
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
    """List the papers behind registered names, and the test that decides each."""
    from trials.papers import paper_rows

    print_rows(paper_rows(), as_json)


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise PlanError(f"--limit {text!r}: write metric=number, as in latency_ms=8") from None
