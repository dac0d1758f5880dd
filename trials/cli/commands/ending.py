"""Verbs that end running studies from any machine: ``nas pause`` and ``nas stop``."""

from __future__ import annotations

from trials.cli.console import app, out
from trials.cli.options import DEFAULT_STORAGE, Name, Storage


@app.command(epilog="Example: nas pause digits")
def pause(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Pause a running study, on whatever machine it runs, and free its workers. `nas resume` continues it."""
    from trials.launch.cluster.ending import pause as end
    from trials.store.store import Store

    end(Store(storage), name)
    out.print(
        f"study {name} is paused; continue it with: nas resume {name} · on a cluster: nas resume {name} --address …"
    )


@app.command(epilog="Example: nas stop digits")
def stop(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """End a study with the results it has. Trials under way are recorded as stopped."""
    from trials.launch.cluster.ending import stop as end
    from trials.store.store import Store

    end(Store(storage), name)
    out.print(f"study {name} is stopped; next: nas show {name} · nas export {name} --best")
