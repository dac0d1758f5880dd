"""Connect to Ray: start a cluster on this machine, or connect to one by its address."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import JobError, MeasureError
from nas.latency.machine.affinity import measuring_cores
from nas.scratch import Scratch
from trials.executors import Pool
from trials.executors.cluster.code import copy_code

#: Ray's object store stays small, because files are transferred through the artifact store.
OBJECT_STORE_BYTES = 200 * 1024**2
#: Timeout in seconds of our own check of an address; Ray tries an address without listener for over three minutes.
CONNECT_S = 5.0

# Without this, Ray warns about a change of its defaults at every start on a machine without GPUs.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# By default Ray lowers the priority of its workers, but no other process may pre-empt a measuring worker.
NICENESS = "RAY_worker_niceness"
os.environ.setdefault(NICENESS, "0")
# In a submitted job, the copied code of a plan takes the place of the job's own working folder.
os.environ.setdefault("RAY_OVERRIDE_JOB_RUNTIME_ENV", "1")


@dataclass(frozen=True)
class Connection:
    """The connected Ray module, and the folders where workers find the user's own code."""

    ray: Any
    code: list[str]


def connect(pools: Sequence[Pool], code: Sequence[str], address: str | None) -> Connection:
    """Connect to Ray; ``ray.shutdown()`` ends the connection.

    On a cluster, the Python files of ``code`` are copied to every worker's working folder.

    Raises:
        JobError: there is no cluster at ``address``, the cluster needs a token, or Ray can't start this Python; the
            message says what to do.
    """
    if address is not None:
        _check_address(address)
    elif any(map(str.isspace, sys.executable)):
        raise JobError(
            f"Ray can't start workers of {sys.executable!r}, because its path contains a space; use `executor: local` "
            "in the plan, or an environment in a folder without spaces"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        if ray.is_initialized():
            raise JobError(
                "this process is already connected to Ray; close the other executor or call ray.shutdown() first"
            )
        quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
        if address is None:
            _init(ray, quiet | _own_cluster(pools), None)
            return Connection(ray, [os.path.abspath(folder) for folder in code])
        with Scratch("nas-code-") as folder:
            names = copy_code(code, Path(folder))
            environment = {"working_dir": folder, "env_vars": {NICENESS: "0"}}
            _init(ray, quiet | {"address": address, "runtime_env": environment}, address)
    return Connection(ray, names)


def worker_cores(pool: Pool) -> tuple[int, ...]:
    """Return the cores for the calling worker of ``pool``; training workers do not use the cores of targets."""
    import ray

    if pool.cores or targets_in(pool.resources):
        return pool.cores
    here = ray.get_runtime_context().get_node_id()
    targets = {name for node in ray.nodes() if node["NodeID"] == here for name in targets_in(node["Resources"])}
    if not targets:
        return ()
    cores = sorted(os.sched_getaffinity(os.getppid()))  # the node's cores, because this process may already be bound
    measured_on = {core for name in targets for core in _measured_on(pool.keeps_off.get(name, (None, 1)), cores)}
    return tuple(core for core in cores if core not in measured_on) or tuple(cores)


def targets_in(resources: Mapping[str, float]) -> list[str]:
    """Return the names of the resources that represent targets."""
    return [name for name in resources if name.startswith("target:")]


def _measured_on(target: tuple[int | None, int], cores: Sequence[int]) -> tuple[int, ...]:
    """Return the cores of a target; none if the node lacks them, which the target's own jobs will report."""
    with suppress(MeasureError):
        return measuring_cores(*target, cores)
    return ()


def _own_cluster(pools: Sequence[Pool]) -> dict[str, Any]:
    """Return settings of a Ray cluster on this machine with as many CPUs as the pools need together.

    The number may exceed the machine's cores, because the pools share them by their own rules.
    """
    return {
        "address": "local",
        "num_cpus": max(1, math.ceil(sum(pool.size * pool.cpus for pool in pools))),
        "resources": {name: 1000 for pool in pools for name in pool.resources},
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }


def _init(ray: Any, settings: dict[str, Any], address: str | None) -> None:
    try:
        # Ray puts the current folder first on its workers' path, where a queue.py would hide the standard module.
        with chdir("/"), _own_sigterm():
            ray.init(**settings)
    except (Exception, SystemExit) as error:  # errors of Ray, its transport and the system share no base class
        ray.shutdown()
        raise JobError(_explain(error, address)) from error


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, if it has one; Ray's would end the process in the middle of a study."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _check_address(address: str) -> None:
    """Raise JobError at once for addresses that Ray would try for minutes."""
    if address == "auto":
        return
    if "://" in address:
        raise JobError(
            f"address {address!r} is an address of Ray Client, which does not support streams; run the command on a "
            "node of the cluster, and give the head's host:port, or auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise JobError(
            f"address {address!r} is not valid; give the head's host:port (the port is usually 6379), or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise JobError(_explain(error, address)) from error


def _explain(error: BaseException, address: str | None) -> str:
    reason = f"{type(error).__name__}: {error}"
    if address is None:
        return f"Ray does not start on this machine: {reason}; without Ray, set executor: local in the plan"
    # If a cluster refuses a token, Ray says so only in its log; the error says that it failed to connect. That
    # something listens at the address has been checked before.
    if "token" in reason.lower() or "Failed to connect" in reason:
        return (
            f"the cluster at {address} needs a token, and the token here is missing or wrong: set RAY_AUTH_MODE=token "
            "and RAY_AUTH_TOKEN_PATH to a copy of the head's token file (~/.ray/auth_token there), here and on every "
            f"node; if they are set, check that all nodes have the same version of Ray; {reason}"
        )
    return f"no Ray cluster answers at {address}: {reason}; check that `ray start --head` is running there"
