"""Verbs about studies and models: ``nas list``, ``status``, ``show``, ``profile``, ``measure``, ``gc``, ``delete``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.errors import PlanError
from nas.foreign import line
from trials.cli.console import app, err, out
from trials.cli.options import DEFAULT_STORAGE, MAX_INT, Json, Name, Storage, TrialNumber, print_json, print_rows

if TYPE_CHECKING:
    from trials.store.models import Study
    from trials.store.store import Store


@app.command("list", epilog="Example: nas list --json")
def list_(storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """List studies, newest first."""
    from trials.store.read.studies import list_studies
    from trials.store.store import Store

    rows = [
        {
            "study": row.name,
            "group": row.group,
            "role": row.role,
            "state": row.state,
            "now": row.phase or "",
            "incomplete": ", ".join(row.incomplete),
            "trials": dict(row.counts),
            "best": dict(row.best),
            "tags": ", ".join(row.remark.tags),
            "created": row.created_at.isoformat(timespec="seconds"),
        }
        for row in list_studies(Store(storage))
    ]
    print_rows(rows, as_json, empty="no studies yet; start one with nas search PLAN")


@app.command(epilog="Example: nas status digits --watch")
def status(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every few seconds until the study has ended, or Ctrl-C.")
    ] = False,
) -> None:
    """Show how far a study is and which process runs it."""
    from trials.cli.watching import follow, readable
    from trials.store.store import Store

    if watch and as_json:
        raise PlanError("--watch shows a table again and again; leave it or --json out")
    store = Store(storage)
    if watch:
        follow(out.console, lambda: study_facts(store, name))
        return
    facts = study_facts(store, name)
    if as_json:
        print_json(facts)
        return
    print_rows([{"": key, " ": text} for key, text in readable(facts).items()], as_json=False)


def study_facts(store: Store, name: str) -> dict[str, Any]:
    """Return what ``nas status`` shows of a study; unknown values are None.

    Raises:
        UnknownNameError: the study does not exist.
    """
    from trials.reporting.study import study_view
    from trials.store.read.rows import study_row

    with study_view(store, name) as study:
        return {
            "study": name,
            "state": study.row.state,
            "now": study.row.phase,
            "coordinator": _coordinator(store, store.read(study_row, name)),
            "trials": dict(study.row.counts),
            "budget": study.summary.plan["budget"]["trials"],
            "best": dict(study.row.best),
            "hypervolume": study.hypervolume,
            "verdict": study.verdict or None,
            "limits": study.summary.limits,
            "totals": study.summary.totals,
            "saved_s": dict(study.costs.saved_s) or None,
            "beware": "; ".join(study.doubts) or None,
            "tags": ", ".join(study.row.remark.tags) or None,
            "note": study.row.remark.note or None,
            "error": study.summary.error,
        }


def _coordinator(store: Store, row: Study) -> str | None:
    from trials.store.write.leases import is_held

    if row.lease_owner is None or store.read(is_held, row.id):
        return row.lease_owner
    return f"{row.lease_owner}, which ended without releasing the study; continue with: nas resume {row.name}"


@app.command(epilog="Example: nas show digits 12")
def show(
    name: Name,
    trial: Annotated[int | None, typer.Argument(min=0, max=MAX_INT, help="Number of a trial.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_INT, help="Largest number of trials to show.")] = 50,
    choices: Annotated[
        bool, typer.Option("--choices", help="Also show the choices in which the trials differ.")
    ] = False,
    where: Annotated[
        str, typer.Option("--where", help="Conditions on metrics, such as 'latency_ms<2 and size_bytes<1e6'.")
    ] = "",
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="Only trials in this state; give it several times for several states. By default all but "
            "measured_only.",
        ),
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="Only trials that are on the front with a probability of at least 0.1.")
    ] = False,
    tag: Annotated[str, typer.Option("--tag", help="Only trials with this tag of nas note.")] = "",
    sort: Annotated[str, typer.Option("--sort", help="A metric, number, on_front, parameters or macs.")] = "number",
    descending: Annotated[bool, typer.Option("--descending", help="Sort from the largest value on.")] = False,
    costs: Annotated[
        bool,
        typer.Option(
            "--costs", help="Show what the study has cost and saved, and how well early scores rank trials, instead."
        ),
    ] = False,
    targets: Annotated[
        bool,
        typer.Option(
            "--targets",
            help="Show fronts and rank correlations of targets, and the errors of predicted latencies instead.",
        ),
    ] = False,
    imported: Annotated[
        bool, typer.Option("--imported", help="Show only the networks that nas import put beside the study.")
    ] = False,
) -> None:
    """Show a study's trials, or one trial with its metrics, measurements, choices and layers."""
    from trials.analysis.listing import Listing
    from trials.cli.views import (
        candidate_json,
        candidate_rows,
        costs_json,
        imported_json,
        print_candidate,
        print_caveats,
        print_costs,
        print_imported,
        print_targets,
        targets_json,
    )
    from trials.reporting.study import study_view
    from trials.store.read.studies import STATES
    from trials.store.store import Store

    with study_view(Store(storage), name) as study:
        if imported:
            if as_json:
                print_json([imported_json(study, item) for item in study.imported])
            else:
                print_imported(study, study.imported)
        elif targets:
            print_json(targets_json(study)) if as_json else print_targets(study)
        elif costs:
            print_json(costs_json(study)) if as_json else print_costs(study)
        elif trial is None:
            if not as_json:
                print_caveats(study)
            doing = study.row.phase or study.summary.error
            empty = f"no trials yet; {study.row.state}" + (f": {line(doing)}" if doing else "")
            filtered = bool(where or state or front or tag)
            if study.row.counts and filtered:
                empty = f"none of the {sum(study.row.counts.values())} trials matches"
            states = tuple(state or (other for other in STATES if other != "measured_only"))
            listing = Listing(where, states, front, sort, descending, tag)
            print_rows(candidate_rows(study, listing, limit, choices=choices), as_json, empty=empty)
            hidden = study.row.counts.get("measured_only", 0)
            if hidden and not filtered and not as_json:
                which = "1 more trial was" if hidden == 1 else f"{hidden} more trials were"
                out.print(f"{which} measured without being trained; --state measured_only shows them")
            if study.imported and not as_json:
                print_imported(study, study.imported)
        elif as_json:
            print_json(candidate_json(study, trial))
        else:
            print_candidate(study, trial)


@app.command(epilog="Example: nas profile digits 12")
def profile(
    name: Name,
    trial: TrialNumber,
    target: Annotated[
        str | None, typer.Option("--target", help="One of the study's targets; the first by default.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Measure the time of each layer of a trial's network with the runtime's profiler, and store it."""
    from trials.cli.views import print_profile, profile_json
    from trials.store.read.candidate import candidate_detail
    from trials.store.store import Store
    from trials.targets.profiling import profile_candidate

    store = Store(storage)
    store.check_writable()
    where = profile_candidate(store, name, trial, target)
    detail = candidate_detail(store, name, trial)
    print_json(profile_json(detail, where)) if as_json else print_profile(detail, where)


@app.command(epilog="Example: nas measure model.onnx --runtime onnxruntime --runtime torch,compile=true")
def measure(
    model: Annotated[Path, typer.Argument(help="Any ONNX file, or an .xml file for OpenVINO runtimes.")],
    runtimes: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime", help="Name, or name,parameter=value,…; repeat it for several runtimes; default: onnxruntime."
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Measure on every available runtime.")] = False,
    threads: Annotated[int, typer.Option("--threads", min=1, max=MAX_INT, help="Threads of the runtime.")] = 1,
    batch: Annotated[
        int, typer.Option("--batch", min=1, max=MAX_INT, help="Batch size, if the model leaves it open.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Measure a model's latency on this machine, on one or more runtimes, with the measuring protocol of studies."""
    from nas.errors import MeasureError
    from trials.export.outputs import input_file
    from trials.targets.side_by_side import every_runtime, side_by_side, specs_of, table

    asked = [*(runtimes or ([] if every else ["onnxruntime"])), *(every_runtime() if every else [])]
    input_file(model, "MODEL")
    specs = specs_of(asked, threads=threads, batch=batch)
    found = []
    for item in side_by_side(model, specs):
        found.append(item)
        if not as_json:
            err.print(f"{len(found)}/{len(specs)} {item.runtime} {'measured' if item.latency else 'left out'}")
    first = next((item.latency for item in found if item.latency), None)
    if first is None:
        raise MeasureError("\n".join(item.error for item in found))
    if as_json:
        values = [item.to_json(first) for item in found]
        print_json(values[0] if len(values) == 1 else values)
    else:
        print_rows(table(found), as_json=False)


@app.command(epilog="Example: nas gc digits")
def gc(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Remove files of a study that its plan's artifacts.retention does not keep, and those of killed processes."""
    from nas.scratch import sweep
    from trials.launch.retention import collect
    from trials.store.store import Store

    store = Store(storage)
    store.check_writable()
    count, size = collect(store, name)
    out.print(f"removed {count} files, {size / 1e6:.1f} MB; all rows of the database are kept")
    if swept := sweep():
        out.print(f"removed {swept} temporary folders that killed processes had left on this machine")


@app.command(epilog="Example: nas delete digits --yes")
def delete(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
) -> None:
    """Remove a study with its rows in the database and its files."""
    from trials.launch.retention import delete as remove
    from trials.store.read.rows import study_row
    from trials.store.store import Store

    store = Store(storage)
    store.check_writable()
    store.read(study_row, name)
    if not yes:
        typer.confirm(f"remove study {line(name)!r} with all its measurements and trained networks?", abort=True)
    out.print(f"removed {name} and {remove(store, name)} files")
