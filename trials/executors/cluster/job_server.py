"""Ray's job server, which runs a command on a cluster: the caller may leave."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nas.errors import JobError, MissingPackageError
from nas.extras import is_installed, pip_install, require
from trials.executors.cluster.connection import CONNECT_S

#: Ray's port for jobs.
USUAL_PORT = 8265
#: Variables with which Ray would replace the address that it is given.
_ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_SERVER = "the job server needs ray[default] on the head, and ray start --head --dashboard-host=0.0.0.0"


@dataclass(frozen=True)
class JobReport:
    """How far a job is."""

    #: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``STOPPED`` or ``FAILED``.
    status: str
    #: Ray's own message about it.
    message: str
    #: All that the command has printed.
    log: str

    @property
    def is_over(self) -> bool:
        """Whether the command has ended."""
        return self.status in ("SUCCEEDED", "STOPPED", "FAILED")


class JobServer:
    """One job server, at ``http://HEAD:8265``."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            MissingPackageError: Ray or its client of job servers is not installed.
            JobError: no job server answers at the address, or it refuses the token.
        """
        require("ray", "nas submit")
        if not is_installed("aiohttp"):
            raise MissingPackageError(f"nas submit needs Ray's job client, ray[default]; {pip_install('ray')}")
        self.address = address
        _check_address(address)
        from ray.job_submission import JobSubmissionClient

        with self._explained(), _only(address):
            self._client = JobSubmissionClient(address)

    def submit(self, command: str, *, job: str, folder: str, variables: Mapping[str, str]) -> None:
        """Start a command in a copy of ``folder`` on the head; ``variables`` are visible to all users of the cluster.

        Raises:
            JobError: the job server refuses it.
        """
        environment = {"working_dir": folder, "env_vars": dict(variables)}
        with self._explained():
            self._client.submit_job(entrypoint=command, submission_id=job, runtime_env=environment)

    def report(self, job: str) -> JobReport:
        """Return how far a job is.

        Raises:
            JobError: the job server does not know it, or does not answer.
        """
        with self._explained():
            info: Any = self._client.get_job_info(job)
            return JobReport(str(info.status.value), str(info.message or ""), self._client.get_job_logs(job))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of the client, which share no base class, into JobError with what to do."""
        try:
            yield
        except Exception as error:
            raise JobError(_explain(error, self.address)) from error


def is_job_server(address: str | None) -> bool:
    """Whether an address is that of a job server, and not that of a cluster to connect to."""
    return address is not None and address.startswith(("http://", "https://"))


def _check_address(address: str) -> None:
    """Raise JobError at once for an address that is not valid or where nothing listens."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if not is_job_server(address) or not parts.hostname or port is None:
        raise JobError(
            f"address {address!r} is not that of a job server; write http://HEAD:{USUAL_PORT} (or https://…); with "
            "HEAD:6379, nas search runs a study from this machine instead"
        )
    try:
        socket.create_connection((parts.hostname, port), CONNECT_S).close()
    except OSError as error:
        raise JobError(
            f"nothing answers at {address}: {error}; check the address and that the cluster runs; {_SERVER}"
        ) from error


def _explain(error: Exception, address: str) -> str:
    # The server sends the traceback of an error of its own; only its last line says something.
    first, _, trace = str(error).partition("Traceback (most recent call last):")
    last = next((line for line in reversed(trace.splitlines()) if line.strip(" .")), "")
    reason = f"{type(error).__name__}: {' '.join(f'{first} {last}'.split())}"
    if type(error).__name__ == "AuthenticationError" or "status code 401" in reason or "status code 403" in reason:
        return (
            f"the cluster at {address} needs a token, and the token here is missing or wrong: set RAY_AUTH_MODE=token "
            f"and RAY_AUTH_TOKEN_PATH to a copy of the head's token file (~/.ray/auth_token there); {reason}"
        )
    if isinstance(error, ConnectionError) or "404" in reason or "Connection" in reason or "JSON" in reason:
        return f"no job server answers at {address}; its port is usually {USUAL_PORT}; {_SERVER}; {reason}"
    return f"the job server at {address} refused: {reason}"


@contextmanager
def _only(address: str) -> Iterator[None]:
    """Hide the variables with which Ray would replace the address."""
    hidden = {name: os.environ.pop(name) for name in _ADDRESSES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
