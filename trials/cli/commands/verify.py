"""Verbs about an exported folder: ``nas verify`` checks it, ``nas push`` copies it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trials.cli.console import app, out
from trials.cli.options import Json, print_json


@app.command(epilog="Example: nas verify exported")
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder that nas export wrote.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Images in FOLDER/<class>/ to determine the accuracy on.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads; by default as in the export.")
    ] = None,
    trust_code: Annotated[
        bool, typer.Option("--trust-code", help="Load kernels and formats that run code from the folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check an exported folder on this machine: files, versions, outputs, latency, accuracy; exit code 1 on failure.

    It does what `python verify.py` in the folder does, without running anything from the folder.
    """
    from trials.export.scripts.verification.lines import table
    from trials.export.verification.any_folder import verify_folder

    lines = verify_folder(folder, data=data, threads=threads, trust_code=trust_code)
    if as_json:
        print_json(lines)
    else:
        out.print(table(lines), markup=False, highlight=False, soft_wrap=True)
    if any(item["verdict"] == "fail" for item in lines):
        raise typer.Exit(1)


@app.command(epilog="Example: nas push exported s3://models/digits")
def push(
    folder: Annotated[Path, typer.Argument(help="A folder that nas export wrote.")],
    url: Annotated[str, typer.Argument(help="A new folder, or a URL of any file system that fsspec knows.")],
    layout: Annotated[
        str | None, typer.Option("--layout", help="huggingface or mlflow; the folder as it is by default.")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Copy the folder even if its export failed the verification.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check an exported folder against its hashes, and copy it to another place, in another layout if asked."""
    from trials.export.push import describe
    from trials.export.push import push as copy

    found = copy(folder, url, layout=layout, unverified=unverified)
    print_json(vars(found)) if as_json else out.print(describe(found), soft_wrap=True)
