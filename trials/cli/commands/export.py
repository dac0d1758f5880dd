"""Verbs that present or export results: ``nas export``, ``report``, ``dashboard``, ``optuna-export``."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from nas.errors import NasError, PlanError
from trials.cli.console import app, err, out
from trials.cli.options import (
    DEFAULT_STORAGE,
    MAX_INT,
    Best,
    By,
    Json,
    Knee,
    Name,
    OneTrial,
    Pareto,
    Storage,
    Top,
    Where,
    print_rows,
)

#: Environment variable with the password of the dashboard, and the smallest number of its characters.
PASSWORD, SHORTEST = "NAS_DASHBOARD_PASSWORD", 8


@app.command(epilog="Example: nas export digits --best --where 'latency_ms<2' --out exported")
def export(
    name: Name,
    out_dir: Annotated[
        Path, typer.Option("--out", help="Folder to write; --top and --pareto make one in it per network.")
    ],
    trial: OneTrial = None,
    best: Best = False,
    knee: Knee = False,
    top: Top = None,
    pareto: Pareto = False,
    by: By = "",
    where: Where = "",
    force: Annotated[
        bool, typer.Option("--force", help="Replace a folder that an earlier export wrote, as a whole.")
    ] = False,
    weights: Annotated[
        str,
        typer.Option("--weights", help="search, final, or best: those of the training with the better score."),
    ] = "best",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Write the network in this format, too; repeat it for several."),
    ] = None,
    pythons: Annotated[
        list[str] | None,
        typer.Option("--format-python", help="FORMAT=PATH: Python of the environment that the format is written in."),
    ] = None,
    opset: Annotated[
        int | None, typer.Option("--opset", min=1, max=MAX_INT, help="ONNX opset of the file of --format onnx.")
    ] = None,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Files of --format take any number of inputs at once.")
    ] = False,
    with_preprocessing: Annotated[
        bool,
        typer.Option("--with-preprocessing", help="Also write a file that takes 8-bit pixels and normalizes them."),
    ] = False,
    licence: Annotated[
        str | None, typer.Option("--licence", help="Licence for the model card, such as apache-2.0.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Export networks as folders that need only numpy and the runtime; check, score and measure each again."""
    from trials.export.candidate import export_candidate
    from trials.export.formats import Formats
    from trials.export.index import check_index, write_index
    from trials.export.outputs import new_folder
    from trials.export.selection import Selection, select
    from trials.export.verification.recorded import UNVERIFIED
    from trials.store.store import Store

    selection = Selection(trial, best, knee, top, pareto, by, where)
    selection.check()
    environments = dict(_format_python(text) for text in pythons or [])
    further = Formats.of(formats or [], opset=opset, dynamic_batch=dynamic_batch, pythons=environments)
    store = Store(storage)
    store.check_writable()
    numbers = select(store, name, selection)
    if shortage := selection.shortage(len(numbers)):
        err.print(shortage, markup=False)
    paths = [out_dir if selection.is_single else out_dir / f"trial-{number}" for number in numbers]
    folders = [new_folder(path, force=force) for path in paths]
    if not selection.is_single:
        check_index(out_dir.expanduser())
    rows: list[dict[str, Any]] = []
    errors: list[str] = []
    refused: dict[int, str] = {}
    for number, place in zip(numbers, folders, strict=True):
        if not selection.is_single:
            err.print(f"{len(rows) + len(errors) + 1}/{len(numbers)} trial {number}")
        try:
            rows.append(
                export_candidate(
                    store,
                    name,
                    number,
                    place,
                    weights,
                    further,
                    preprocessed=with_preprocessing,
                    licence=licence,
                    force=force,
                )
            )
        except NasError as error:
            if selection.is_single:
                raise
            refused[number] = str(error)
            errors.append(f"trial {number} is not exported: {error}")
    if rows and not selection.is_single:
        write_index(name, rows, out_dir.expanduser(), refused)
    print_rows(rows, as_json, "nothing is exported")
    for row in rows:
        if row["verification"] == "fail":
            reasons = (Path(row["folder"]) / UNVERIFIED).read_text().strip()
            errors.append(f"{row['folder']} is not verified: {reasons}")
    for message in errors:
        err.print(message, markup=False)
    if errors:
        raise typer.Exit(1)


def _format_python(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not equals:
        raise PlanError(f"--format-python {text}: give FORMAT=PATH, such as executorch=executorch/bin/python")
    return name, path


@app.command(epilog="Example: nas report digits --out report")
def report(
    name: Name,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write the page into.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write one HTML page about a study: front with error bars, history, learning curves, states of trials."""
    from trials.export.outputs import output_folder
    from trials.reporting.report.page import write_report
    from trials.store.read.rows import study_row
    from trials.store.store import Store

    store = Store(storage)
    store.read(study_row, name)
    output_folder(out_dir)
    out.print(f"wrote {write_report(store, name, out_dir.expanduser())}")


@app.command(epilog="Example: nas dashboard --storage sqlite:///nas.db --port 8501")
def dashboard(
    storage: Storage = DEFAULT_STORAGE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; by default only this machine can connect.")
    ] = "127.0.0.1",
    allow_actions: Annotated[
        bool,
        typer.Option(
            "--allow-actions",
            help="Visitors may pause, stop, resume and extend studies, add candidates, notes and tags, and export.",
        ),
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="File with the password that visitors have to give, in one line."),
    ] = None,
) -> None:
    """Show studies in a browser."""
    from nas.extras import require
    from trials.export.outputs import input_file
    from trials.store.store import Store

    require("streamlit", "nas dashboard")
    Store(storage).close()  # a storage that can't be opened raises here, not in the browser
    environment = {**os.environ, "NAS_STORAGE": storage}  # other users can read arguments, but not the environment
    if password_file is not None:
        environment[PASSWORD] = input_file(password_file, "--password-file").read_text().strip()
    _check_password(host, environment.get(PASSWORD, ""))
    command = [sys.executable, "-P", "-m", "dashboard", str(port), host]
    command += ["--allow-actions"] if allow_actions else []
    raise typer.Exit(subprocess.call(command, env=environment))


def _check_password(host: str, password: str) -> None:
    """Let no other machines in without a password, and refuse one that is easily guessed or has several lines."""
    if (num_lines := len(password.split("\n"))) > 1:
        raise PlanError(f"the password has {num_lines} lines; give it in one line")
    if password and len(password) < SHORTEST:
        raise PlanError(f"the password has {len(password)} characters; give at least {SHORTEST}")
    if not password and not _is_loopback(host):
        raise PlanError(
            f"--host {host} lets other machines connect, so visitors need a password: give --password-file FILE, or "
            f"set {PASSWORD}; without --host, only this machine can connect"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@app.command("optuna-export", epilog="Example: nas optuna-export digits sqlite:///optuna.db")
def optuna_export(
    name: Name,
    to: Annotated[str, typer.Argument(help="URL of the Optuna storage to write.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Copy a study into Optuna's own format, for optuna-dashboard."""
    from trials.analysis.optuna_view import export_rdb

    export_rdb(storage, name, to)
    out.print(f"wrote study {name} to {to}")
