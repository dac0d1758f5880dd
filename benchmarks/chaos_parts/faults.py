"""Faults that are injected into a running study."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaos_parts.places import NAS, Place, wait
from chaos_parts.processes import kill, workers
from nas.latency.machine.affinity import measuring_core

#: Exit code of a study that a fault of its machine has interrupted.
INTERRUPTED = 4
LOCK_S = 180.0
#: How many seconds an agent and a database are away, and a disk is full.
AGENT_S, DATABASE_S, DISK_S = 5.0, 20.0, 20.0
#: How many seconds the first checkpoint of a training may take.
MAX_S = 60.0

Harm = Callable[[Place], None]


class NothingToHarm(Exception):
    """There is no such process now."""


@dataclass(frozen=True)
class Fault:
    """A fault, when it is injected, and which results are allowed."""

    harm: Harm
    #: Kind of the job that must be running when the fault is injected.
    during: str = "train"
    #: Allowed exit codes of the search; after a code other than 0 the study is resumed.
    codes: tuple[int, ...] = (0,)
    executors: tuple[str, ...] = ("local", "ray_actors")
    prepare: Callable[[Place], None] = lambda place: place.write_plan()
    clean: Callable[[Place], None] = lambda place: None
    limit_s: float = 600.0


def _kill_found(*words: str) -> Harm:
    def harm(place: Place) -> None:
        _kill_some(place, place.found(*words))

    return harm


def _kill_some(place: Place, found: Sequence[int]) -> None:
    if not found:
        raise NothingToHarm
    kill(place.victims(found))


def _kill_worker(place: Place) -> None:
    _kill_some(place, workers(place.coordinator) or place.found("ray::Worker"))


def _kill_template(place: Place) -> None:
    kill([item for item in place.found("trials.executors.template") if item not in workers(place.coordinator)])


def _hold_lock(place: Place) -> None:
    path = Path(f"/tmp/measured-nas-core-{measuring_core()}.lock")
    file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)

    def hold() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(LOCK_S)
        os.close(file)

    threading.Thread(target=hold, daemon=True).start()


def small_disk(place: Place) -> None:
    place.artifacts.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={place.disk_bytes}", "tmpfs", str(place.artifacts)], check=True
    )
    place.write_plan()


def _fill_disk(place: Place) -> None:
    filler = place.artifacts / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    place.later(DISK_S, filler.unlink)


def unmount(place: Place) -> None:
    subprocess.run(["umount", "-l", str(place.artifacts)], check=False)


def _remove_working_folder(place: Place) -> None:
    checkpoints = place.artifacts / "checkpoints"
    wait(checkpoints.is_dir, MAX_S)
    shutil.rmtree(checkpoints)


def _restart_database(place: Place) -> None:
    assert place.server is not None
    place.server.stop()
    place.server.start()


def _stop_database(place: Place) -> None:
    assert place.server is not None
    place.server.stop()
    place.later(DATABASE_S, place.server.start)


def with_agent(place: Place) -> None:
    token = place.folder / "token"
    token.write_text(secrets.token_hex(16))
    token.chmod(0o600)
    with socket.socket() as probe:
        probe.bind((place.host, 0))
        port = probe.getsockname()[1]
    address = f"http://{place.host}:{port}"
    place.write_plan(targets=[{"name": "device", "address": address, "token_file": str(token)}])
    place.target = "device"
    place.agent_command = (NAS, "agent", "--host", place.host, "--port", str(port), "--token-file", str(token))
    _start_agent(place)


def _start_agent(place: Place) -> None:
    with (place.folder / "agent.log").open("ab") as log:
        place.agent = subprocess.Popen(
            place.agent_command, env=place.environment, stdout=log, stderr=log, cwd=place.folder
        )


def _kill_agent(place: Place) -> None:
    stop_agent(place)
    place.later(AGENT_S, partial(_start_agent, place))


def stop_agent(place: Place) -> None:
    assert place.agent is not None
    place.agent.kill()
    place.agent.wait()


FAULTS: Mapping[str, Fault] = {
    "coordinator": Fault(lambda place: _kill_some(place, place.coordinators), codes=(-9,)),
    "worker": Fault(_kill_worker),
    "template": Fault(_kill_template),
    "measuring-process": Fault(_kill_found("nas.latency.process.worker"), during="gate"),
    "raylet": Fault(_kill_found("/raylet/raylet"), codes=(0, INTERRUPTED), executors=("ray_actors",)),
    "gcs": Fault(_kill_found("gcs_server"), codes=(0, INTERRUPTED), executors=("ray_actors",)),
    "agent": Fault(_kill_agent, during="gate", codes=(0, INTERRUPTED), prepare=with_agent, clean=stop_agent),
    "database": Fault(_restart_database, executors=("ray_actors",)),
    "database-away": Fault(_stop_database, executors=("ray_actors",)),
    "disk-full": Fault(_fill_disk, codes=(0, INTERRUPTED), prepare=small_disk, clean=unmount),
    "lock": Fault(_hold_lock, codes=(0, INTERRUPTED)),
    "working-folder": Fault(_remove_working_folder),
}
