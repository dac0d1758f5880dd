"""The command ``nas recheck``, which measures a front in another environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trials.cli.console import app, err
from trials.cli.options import DEFAULT_STORAGE, Json, Name, Storage, print_json


@app.command(epilog="Example: nas recheck digits --runtime onnxruntime==1.24.4")
def recheck(
    name: Name,
    python: Annotated[
        Path | None, typer.Option("--python", help="bin/python of an environment with numpy and the runtime.")
    ] = None,
    runtime: Annotated[
        str | None, typer.Option("--runtime", help="Package and version; pip installs it into a separate environment.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="One of the study's targets on this machine; the first by default.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Measure a study's front in another environment: which networks are slower there, and which leave the front."""
    from nas.errors import PlanError
    from trials.cli.views import print_recheck
    from trials.store.read.rows import study_row
    from trials.store.store import Store
    from trials.targets.environments import checked_interpreter, environment_of
    from trials.targets.rechecking import recheck as measure

    store = Store(storage)
    store.read(study_row, name)
    if python is not None and runtime is None:
        other = checked_interpreter(python)
    elif runtime is not None and python is None:
        other = environment_of(runtime)
    else:
        raise PlanError("say which environment: either --python PATH or --runtime PACKAGE==VERSION")
    found = measure(store, name, other, target=target, says=err.print)
    print_json({**found.to_json(), "verdict": found.verdict}) if as_json else print_recheck(found)
