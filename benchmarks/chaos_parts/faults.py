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
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos_parts.places import NAS, Place, wait
from chaos_parts.processes import below, kill, workers
from nas.latency.machine.affinity import measuring_core

#: Exit code of a study that a fault of its machine has interrupted.
INTERRUPTED = 4
LOCK_S = 180.0
AWAY_S = 5.0
#: How many seconds the first checkpoint of a training may take.
MAX_S = 60.0
DISK_BYTES = 8 << 20

#: Injects a fault, given the place and the process id of the coordinator.
Harm = Callable[[Place, int], None]


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
    def harm(place: Place, pid: int) -> None:
        found = below(pid, *words)
        assert found, f"process {pid} has no descendant with one of {words} in its command line"
        kill(found)

    return harm


def _kill_template(place: Place, pid: int) -> None:
    kill([item for item in below(pid, "trials.executors.template") if item not in workers(pid)])


def _hold_lock(place: Place, pid: int) -> None:
    path = Path(f"/tmp/measured-nas-core-{measuring_core()}.lock")
    file = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)

    def hold() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(LOCK_S)
        os.close(file)

    threading.Thread(target=hold, daemon=True).start()


def _small_disk(place: Place) -> None:
    place.artifacts.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place.artifacts)], check=True)
    place.write_plan()


def _fill_disk(place: Place, pid: int) -> None:
    filler = place.artifacts / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    threading.Timer(20.0, filler.unlink).start()


def _unmount(place: Place) -> None:
    subprocess.run(["umount", "-l", str(place.artifacts)], check=False)


def _remove_working_folder(place: Place, pid: int) -> None:
    checkpoints = place.artifacts / "checkpoints"
    wait(checkpoints.is_dir, MAX_S)
    shutil.rmtree(checkpoints)


def _restart_database(place: Place, pid: int) -> None:
    assert place.server is not None
    place.server.restart(AWAY_S)


def _with_agent(place: Place) -> None:
    token = place.folder / "token"
    token.write_text(secrets.token_hex(16))
    token.chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    place.write_plan(targets=[{"name": "device", "address": address, "token_file": str(token)}])
    place.target = "device"
    place.agent_command = (NAS, "agent", "--port", str(port), "--token-file", str(token))
    _start_agent(place)


def _start_agent(place: Place) -> None:
    with (place.folder / "agent.log").open("ab") as log:
        place.agent = subprocess.Popen(place.agent_command, stdout=log, stderr=log, cwd=place.folder)


def _kill_agent(place: Place, pid: int) -> None:
    _stop_agent(place)
    time.sleep(AWAY_S)
    _start_agent(place)


def _stop_agent(place: Place) -> None:
    assert place.agent is not None
    place.agent.kill()
    place.agent.wait()


FAULTS: Mapping[str, Fault] = {
    "coordinator": Fault(lambda place, pid: kill([pid]), codes=(-9,)),
    "worker": Fault(lambda place, pid: kill(workers(pid) or below(pid, "ray::Worker"))),
    "template": Fault(_kill_template),
    "measuring-process": Fault(_kill_found("nas.latency.process.worker"), during="gate"),
    "raylet": Fault(_kill_found("/raylet/raylet"), codes=(0, INTERRUPTED), executors=("ray_actors",)),
    "gcs": Fault(_kill_found("gcs_server"), codes=(0, INTERRUPTED), executors=("ray_actors",)),
    "agent": Fault(_kill_agent, during="gate", codes=(0, INTERRUPTED), prepare=_with_agent, clean=_stop_agent),
    "database": Fault(_restart_database, executors=("ray_actors",)),
    "disk-full": Fault(_fill_disk, codes=(0, INTERRUPTED), prepare=_small_disk, clean=_unmount),
    "lock": Fault(_hold_lock, codes=(0, INTERRUPTED)),
    "working-folder": Fault(_remove_working_folder),
}
