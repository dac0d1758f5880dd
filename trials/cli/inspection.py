"""Looking at what is there: ``nas list``, ``status``, ``show``, ``profile``, ``measure``, ``gc``, ``delete``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trials.cli.app import app, out
from trials.cli.options import DEFAULT_STORAGE, Json, Name, Storage, print_json, print_rows

if TYPE_CHECKING:
    from nas.latency.targets import TargetSpec


@app.command("list", epilog="Example: nas list --json")
def list_(storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """List studies, newest first."""
    from trials.store.queries import list_studies
    from trials.store.store import Store

    rows = [
        {
            "study": row.name,
            "group": row.group,
            "role": row.role,
            "state": row.state,
            "incomplete": ", ".join(row.incomplete),
            "candidates": dict(row.counts),
            "best": dict(row.best),
            "created": row.created_at.isoformat(timespec="seconds"),
        }
        for row in list_studies(Store(storage))
    ]
    print_rows(rows, as_json, empty="no studies yet; start one with nas search PLAN")


@app.command(epilog="Example: nas status digits")
def status(name: Name, storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """Say how far a study is and who coordinates it."""
    from trials.store.queries import study_summary
    from trials.store.store import Store

    store = Store(storage)
    row, summary = store.study_row(name), study_summary(store, name)
    facts: dict[str, Any] = {
        "study": name,
        "state": row.state,
        "coordinator": row.lease_owner,
        "candidates": dict(summary.row.counts),
        "budget": row.plan["budget"]["trials"],
        "best": dict(summary.row.best),
        "limits": summary.limits,
        "totals": row.totals,
        "error": row.error,
    }
    if as_json:
        print_json(facts)
        return
    print_rows([{"": key, " ": value} for key, value in facts.items() if value not in (None, {})], as_json=False)


@app.command(epilog="Example: nas show digits 12")
def show(
    name: Name,
    trial: Annotated[int | None, typer.Argument(help="Number of a candidate.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", help="Rows of a study to show.")] = 50,
    targets: Annotated[
        bool, typer.Option("--targets", help="Instead: the front of each target, and how alike targets rank.")
    ] = False,
) -> None:
    """Show a study's candidates, or one of them with its layers, metrics and jobs."""
    from trials.cli.views import (
        candidate_json,
        candidate_rows,
        print_candidate,
        print_caveats,
        print_targets,
        targets_json,
    )
    from trials.store.store import Store

    store = Store(storage)
    if targets:
        print_json(targets_json(store, name)) if as_json else print_targets(store, name)
    elif trial is None:
        if not as_json:
            print_caveats(store, name)
        print_rows(candidate_rows(store, name, limit), as_json, empty="no candidates yet")
    elif as_json:
        print_json(candidate_json(store, name, trial))
    else:
        print_candidate(store, name, trial)


@app.command(epilog="Example: nas profile digits 12")
def profile(
    name: Name,
    trial: Annotated[int, typer.Argument(help="Number of a candidate.")],
    target: Annotated[
        str | None, typer.Option("--target", help="One of the study's targets; the first by default.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Say where the time of a candidate goes, layer by layer, and store it."""
    from trials.cli.views import print_profile, profile_json
    from trials.profiling import profile_candidate
    from trials.store.store import Store

    store = Store(storage)
    where = profile_candidate(store, name, trial, target)
    print_json(profile_json(store, name, trial, where)) if as_json else print_profile(store, name, trial, where)


@app.command(epilog="Example: nas measure model.onnx --runtime onnxruntime --runtime openvino")
def measure(
    model: Annotated[Path, typer.Argument(help="A model file the runtime opens.")],
    runtimes: Annotated[
        list[str] | None, typer.Option("--runtime", help="onnxruntime by default; several are shown side by side.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Size of a symbolic batch.")] = 1,
    as_json: Json = False,
) -> None:
    """Measure any model here, by the protocol studies use, respecting the same lock."""
    from nas.errors import MeasureError
    from nas.latency.targets import TargetSpec

    if not model.is_file():
        raise MeasureError(f"there is no file {model}; give the path of an exported model, model.onnx")
    if not as_json:
        out.print("timing the reference models of this machine first …")
    specs = [TargetSpec("here", name, threads, batch) for name in dict.fromkeys(runtimes or ["onnxruntime"])]
    found = [_measured(model, spec) for spec in specs]
    if as_json:
        print_json(found[0] if len(found) == 1 else found)
        return
    rows = [{"": key, **{row["runtime"]: row[key] for row in found}} for key in found[0]]
    print_rows(rows, as_json=False)


@app.command(epilog="Example: nas gc digits")
def gc(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Remove files that a study's retention does not keep."""
    from trials.retention import collect
    from trials.store.store import Store

    count, size = collect(Store(storage), name)
    out.print(f"removed {count} files, {size / 1e6:.1f} MB; rows stay")


@app.command(epilog="Example: nas delete digits --yes")
def delete(
    name: Name,
    storage: Storage = DEFAULT_STORAGE,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a study, its rows and its files."""
    from trials.retention import delete as remove
    from trials.store.store import Store

    store = Store(storage)
    store.study_row(name)
    if not yes:
        typer.confirm(f"remove study {name!r} with everything it measured and trained?", abort=True)
    out.print(f"removed {name} and {remove(store, name)} files")


def _measured(model: Path, spec: TargetSpec) -> dict[str, Any]:
    from nas.latency.client import MeasuringProcess
    from nas.latency.protocol import REPORT

    with MeasuringProcess(spec) as process:
        latency = process.measure(model, process.calibrate(), effort=REPORT)
    return {
        "model": str(model),
        "latency_ms": latency.latency_ms,
        "low_ms": latency.low_ms,
        "high_ms": latency.high_ms,
        "peak_memory_bytes": latency.peak_memory_bytes,
        **latency.conditions,
    }
