"""The command ``nas import``, which puts a network of the user beside a study."""

from __future__ import annotations

from typing import Annotated

import typer

from trials.cli.console import app, err
from trials.cli.options import DEFAULT_STORAGE, Address, Json, Name, Storage, print_json


@app.command("import", epilog="Example: nas import digits today.onnx --name today")
def import_(
    name: Name,
    model: Annotated[str, typer.Argument(help="An ONNX file, module:factory of your own, or timm:NAME.")],
    network: Annotated[
        str | None, typer.Option("--name", help="Name of the network; by default that of its file, function or model.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option("--weights", help="Safetensors file with the weights of module:factory or timm:NAME.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an imported network of this name.")] = False,
    storage: Storage = DEFAULT_STORAGE,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Score and measure a network of your own like the trials of a study, to compare its front with it."""
    from trials.cli.views import imported_json, print_imported
    from trials.launch.importing import import_network
    from trials.reporting.study import study_view
    from trials.store.store import Store

    store = Store(storage)
    found = import_network(
        store, name, model, name=network, weights=weights, force=force, address=address, says=err.print
    )
    with study_view(store, name) as study:
        print_json(imported_json(study, found)) if as_json else print_imported(study, [found])
