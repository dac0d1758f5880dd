"""Verbs to use before a study runs: ``nas validate``, ``nas spaces``, ``nas papers``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trials.cli.console import app, out
from trials.cli.options import DEFAULT_STORAGE, Json, Overrides, PlanFile, Storage, print_json, print_rows

if TYPE_CHECKING:
    from nas.papers import Paper
    from nas.space import SearchSpace


@app.command(epilog="Example: nas validate examples/digits.yaml")
def validate(
    plan: PlanFile,
    overrides: Overrides = None,
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


#: Time to count the sizes of all described spaces, in seconds.
SIZE_SECONDS = 6.0


@app.command(epilog="Example: nas spaces sparse_convnet --describe")
def spaces(
    names: Annotated[list[str] | None, typer.Argument(help="Names of search spaces; all by default.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Also show documentation, size and choices.")] = False,
    as_json: Json = False,
) -> None:
    """List search spaces."""
    from search_spaces import SPACES
    from trials.cli.styled import titled
    from trials.cli.unimported import read_space

    table = SPACES.table()
    rows: list[dict[str, Any]] = []
    texts: dict[str, str] = {}
    for name in names or table:
        known = read_space(table[name]) if name in table else None
        texts[name], paper = known or _imported(SPACES.get(name))
        rows.append({"space": name, "paper": paper, "what": texts[name].partition("\n")[0]})
    if not describe:
        print_rows(rows, as_json)
        return
    described = [row | _counted(SPACES.get(row["space"]), SIZE_SECONDS / len(rows)) for row in rows]
    if as_json:
        print_json([row | {"text": texts[row["space"]]} for row in described])
        return
    for row in described:
        about = f": {row['size on digits']} on digits; paper {row['paper'] or 'none'}"
        out.print(titled(row["space"], about))
        out.print(f"\n{texts[row['space']]}\n")
        print_rows(row["choices"], as_json=False)


def _imported(space: type[SearchSpace]) -> tuple[str, Paper | None]:
    return inspect.getdoc(space) or "", space.paper


def _counted(space: type[SearchSpace], limit_s: float) -> dict[str, Any]:
    """The size and the choices of the first example of a space; some spaces need parameters from a plan."""
    from nas.tasks import make_task
    from trials.launch.forecast import size_of
    from trials.plans.choices import choices_of

    task, example = make_task("digits"), space.examples()[0]
    return {"size on digits": size_of(example, task, limit_s), "choices": choices_of(example, task)}


@app.command(epilog="Example: nas papers --json")
def papers(as_json: Json = False) -> None:
    """List which component implements which paper, and the test that checks it."""
    from trials.cli.papers import paper_rows

    print_rows(paper_rows(), as_json)
