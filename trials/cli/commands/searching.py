"""Verbs that run studies: ``nas search``, ``resume``, ``extend``, ``enqueue`` and ``twins``."""

from __future__ import annotations

from typing import Annotated

import typer

from nas.errors import PlanError
from trials.cli.console import app, err, out
from trials.cli.options import (
    DEFAULT_STORAGE,
    MAX_INT,
    Address,
    Baseline,
    Name,
    NodesJoin,
    Overrides,
    PlanFile,
    Storage,
    StudyName,
)


@app.command(epilog="Example: nas search examples/digits.yaml budget.trials=8 strategy.name=tpe")
def search(
    plan: PlanFile,
    overrides: Overrides = None,
    storage: Storage = DEFAULT_STORAGE,
    name: StudyName = None,
    with_baseline: Baseline = None,
    with_twins: Annotated[
        bool,
        typer.Option("--with-twins", help="Afterwards train the studies to compare with, as nas twins does."),
    ] = False,
    address: Address = None,
    or_resume: Annotated[
        bool,
        typer.Option(
            "--or-resume",
            help="Continue the study if it exists with this plan, so that one command can be repeated; keep the plan's "
            "code in the database.",
        ),
    ] = False,
    nodes_join: NodesJoin = False,
) -> None:
    """Run a study. After an interrupt with Ctrl-C, `nas resume` continues it."""
    from trials.cli.live import LiveDisplay
    from trials.launch.studies import search as run
    from trials.plans.loading import load_plan
    from trials.plans.machine import executor_remark

    resolved = load_plan(plan, overrides or ())
    if remark := executor_remark(resolved):
        out.print(remark)
    with LiveDisplay(out.console) as display:
        names = run(
            resolved,
            storage=storage,
            name=name,
            baseline=with_baseline,
            twins=with_twins,
            address=address,
            or_resume=or_resume,
            nodes_join=nodes_join,
            on_update=display.update,
            on_phase=display.prepare,
        )
    _say_next(names, storage)


@app.command(epilog="Example: nas resume digits --storage sqlite:///nas.db")
def resume(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            help="Ray cluster to run on, host:port or auto; http://host:8265 to run there as a job, as nas submit.",
        ),
    ] = None,
    code: Annotated[
        list[str] | None, typer.Option("--code", help="Folder that contains the plan's own code now; may be repeated.")
    ] = None,
) -> None:
    """Continue an interrupted or paused study."""
    from trials.cli.live import LiveDisplay
    from trials.executors.cluster.job_server import is_job_server
    from trials.launch.studies import resume as run

    if address is not None and is_job_server(address):
        from trials.cli.commands.submitting import say_submitted
        from trials.launch.cluster.submitting import submit_resume

        if code:
            raise PlanError("--code is for a study that runs from this machine; a job uses the code in the database")
        say_submitted(submit_resume(storage, name, address=address, says=err.print), address)
        return
    with LiveDisplay(out.console) as display:
        run(storage, name, address=address, code=code, on_update=display.update, on_phase=display.prepare)
    _say_next([name], storage)


@app.command(epilog="Example: nas extend digits budget.trials=+10")
def extend(
    name: Name,
    changes: Annotated[
        list[str], typer.Argument(help="key=value under budget, confidence or limits; key=+10 adds 10 to the value.")
    ],
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
) -> None:
    """Raise the budget or repeats of a study, or tighten its limits, and continue it. All its results are kept."""
    from trials.cli.live import LiveDisplay
    from trials.launch.studies import extend as run

    with LiveDisplay(out.console) as display:
        run(storage, name, changes, address=address, on_update=display.update, on_phase=display.prepare)
    _say_next([name], storage)


@app.command(epilog="Example: nas enqueue digits stage1.depth=2 stage1.conv1.width=16")
def enqueue(
    name: Name,
    choices: Annotated[
        list[str] | None, typer.Argument(help="Answers, choice=value; choices without an answer get a random one.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Add a candidate of your own to a study, which proposes it before all others and trains it if it is feasible."""
    from trials.launch.enqueueing import enqueue as add
    from trials.plans.answers import parse_answers
    from trials.store.store import Store

    out.print(add(Store(storage), name, parse_answers(choices or ())))


@app.command(epilog="Example: nas twins digits --max-networks 2")
def twins(
    name: Name,
    max_networks: Annotated[int, typer.Option("--max-networks", min=1, max=MAX_INT, help="Number of networks.")] = 4,
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
) -> None:
    """Train the best networks of a finished study dense, and under random masks of equal density, to compare with."""
    from trials.cli.live import LiveDisplay
    from trials.launch.studies import add_twins

    with LiveDisplay(out.console) as display:
        added = add_twins(
            storage,
            name,
            max_networks=max_networks,
            address=address,
            on_update=display.update,
            on_phase=display.prepare,
        )
    _say_next(added, storage)
    out.print(f"see the comparison with: nas report {name} --out report")


def _say_next(names: list[str], storage: str) -> None:
    from trials.cli.styled import warning
    from trials.reporting.study import study_view
    from trials.store.database.urls import parse_url, shown
    from trials.store.store import Store

    store = Store(storage)
    verdicts = dict[str, None]()
    for name in names:
        with study_view(store, name) as study:
            if study.row.state == "paused":
                out.print(f"study {name} is paused; continue it with: nas resume {name}")
            for doubt in study.doubts:
                out.print(warning(f"study {name}: {doubt}"))
            if study.hypervolume is not None:
                out.print(f"study {name}: hypervolume {study.hypervolume:.3f}")
            verdicts[study.verdict] = None
        where = shown(parse_url(storage)).strip("'")
        then = f" · nas export {name} --best --out exported" if study.row.counts.get("complete") else ""
        out.print(f"study {name} is in {where}; next: nas show {name} · nas report {name} --out report{then}")
    for verdict in filter(None, verdicts):
        out.print(verdict)
