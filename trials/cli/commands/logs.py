"""``nas logs``: what happened to a study or a trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.foreign import lines
from trials.cli.console import app, out
from trials.cli.options import DEFAULT_STORAGE, MAX_INT, Json, Name, Storage, print_json, print_rows

if TYPE_CHECKING:
    from trials.store.read.candidate import CandidateDetail
    from trials.store.read.log import LoggedLine


@app.command(epilog="Example: nas logs digits 12")
def logs(
    name: Name,
    trial: Annotated[int | None, typer.Argument(min=0, max=MAX_INT, help="Number of a trial.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_INT, help="Largest number of lines.")] = 100,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Show what happened to a study: who ran it, faults, repeated attempts, warnings. With TRIAL, also its jobs."""
    from trials.store.read.candidate import candidate_detail
    from trials.store.read.log import log_lines
    from trials.store.store import Store

    store = Store(storage)
    found = log_lines(store, name, limit, number=trial)
    if trial is None:
        rows = [_row(item) for item in found]
        print_json([asdict(item) for item in found]) if as_json else print_rows(rows, False, empty="nothing yet")
        return
    detail = candidate_detail(store, name, trial)
    timed = sorted([*_jobs(detail), *((item.at, item.level, item.text) for item in found)], key=lambda event: event[0])
    if as_json:
        print_json(
            {"events": [dict(zip(("at", "level", "text"), event, strict=True)) for event in timed], **_end(detail)}
        )
        return
    print_rows(
        [{"time": _time(at), "level": level, "text": text} for at, level, text in timed], False, empty="nothing yet"
    )
    end = _end(detail)
    out.print(f"trial {trial} is {end['state']}" + (f": {end['reason']}" if end["reason"] else ""))
    if end["traceback"]:
        out.print(lines(end["traceback"]))


def _row(item: LoggedLine) -> dict[str, Any]:
    return {"time": _time(item.at), "level": item.level, "trial": item.number, "text": item.text}


def _jobs(detail: CandidateDetail) -> Iterator[tuple[datetime, str, str]]:
    """Yield start and end of the last attempt of each job."""
    for job in detail.jobs:
        what = f"{job.kind} on {job.target}" if job.target else job.kind
        if job.started_at is not None:
            yield job.started_at, "info", f"{what}, attempt {job.attempt} started"
        if job.finished_at is not None:
            took = "" if job.seconds is None else f" after {job.seconds:.1f} s"
            yield job.finished_at, "info", f"{what} is {job.state}{took}"


def _end(detail: CandidateDetail) -> dict[str, Any]:
    row = detail.row
    return {"state": row.state, "reason": row.reason, "traceback": detail.traceback}


def _time(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds")
