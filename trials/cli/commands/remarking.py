"""The verb ``nas note``: notes and tags of studies and trials."""

from __future__ import annotations

from typing import Annotated

import typer

from trials.cli.console import app
from trials.cli.options import DEFAULT_STORAGE, MAX_INT, Json, Name, Storage, print_rows


@app.command(epilog="Example: nas note digits 12 --text 'try it on the phone' --tag phone")
def note(
    name: Name,
    trial: Annotated[int | None, typer.Argument(min=0, max=MAX_INT, help="Number of a trial.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="The new note; '' removes it.")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Add this tag; repeat it for several.")] = None,
    untag: Annotated[list[str] | None, typer.Option("--untag", help="Remove this tag.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Give a study or a trial a note and tags, and show them."""
    from trials.store.store import Store
    from trials.store.write.remarks import write_remark

    store = Store(storage)
    store.check_writable()
    found = store.write(write_remark, name, trial, note=text, add=tags or (), remove=untag or ())
    where = {"study": name} if trial is None else {"study": name, "trial": trial}
    print_rows([{**where, "tags": ", ".join(found.tags), "note": found.note}], as_json)
