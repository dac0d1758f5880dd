"""Hand a study to a cluster: its coordinator runs as a Ray job there, and this machine may leave."""

from __future__ import annotations

import io
import json
import re
import shlex
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from nas.errors import JobError, PlanError, StoreError, StudyError
from nas.scratch import Scratch
from trials.executors.cluster.code import copy_code
from trials.executors.cluster.job_server import JobReport, JobServer
from trials.launch.preparing import CHECKING, STARTING, phase_line
from trials.plans.plan import Plan
from trials.plans.studies import study_specs
from trials.store.database.transactions import PATIENCE_S
from trials.store.database.urls import parse_url, shown
from trials.store.read.code import kept_code
from trials.store.read.rows import study_row
from trials.store.store import Store

#: Seconds to wait for the study to begin: the job has to start, to wait for the database, and to read the data.
STARTS_S = PATIENCE_S + 300.0
_POLL_S = 1.0
#: Begin of a line in which a job says what a study does.
_PHASE = re.compile(r"study \S+ · ")
#: Exit code of a shell for a command that it does not find.
_NOT_FOUND = "127"
#: File of the plan in the job's folder.
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class SubmittedJob:
    """A job on a cluster that runs a study."""

    #: Name of the job; ``ray job logs NAME --address …`` shows what it prints.
    name: str
    study: str
    #: Whether the job has ended in order: the study had nothing left to do.
    has_ended: bool = False


def submit(
    plan: Plan,
    *,
    storage: str,
    address: str,
    name: str | None = None,
    baseline: str | None = None,
    nodes_join: bool = False,
    says: Callable[[str], object] = lambda text: None,
) -> SubmittedJob:
    """Start a plan's studies on a cluster, and return as soon as the cluster has stored and begun them.

    Args:
        plan: the plan, with absolute paths.
        storage: URL of the database, as the cluster reaches it.
        address: address of the cluster's job server, ``http://HEAD:8265``.
        name: name of the study; by default that of the plan.
        baseline: strategy of a study to compare with.
        nodes_join: see ``trials.launch.studies.search``.
        says: called with what is being done.

    Raises:
        PlanError: the plan can't run on a cluster.
        StoreError: the cluster can't use the database.
        JobError: no job server answers, or the study did not begin; then nothing is left behind.
    """
    study = study_specs(plan, name, baseline)[0].name
    check_storage(storage, address)
    check_plan(plan)
    server = JobServer(address)
    with Scratch("nas-submit-") as folder:
        code = copy_code(plan.code, Path(folder))
        data = {**plan.model_dump(mode="json", exclude_unset=True), "code": code}
        (Path(folder) / PLAN_FILE).write_text(json.dumps(data, indent=1))
        command = ["search", PLAN_FILE, "--name", study, "--or-resume", "--address", "auto"]
        command += ["--with-baseline", baseline] if baseline else []
        command += ["--nodes-join"] if nodes_join else []
        return _started(server, study, command, folder, storage, says)


def submit_resume(
    storage: str, name: str, *, address: str, says: Callable[[str], object] = lambda text: None
) -> SubmittedJob:
    """Continue a stored study on a cluster, with the code that the database keeps.

    Raises:
        StudyError: the database does not keep the code of the study.
        StoreError, JobError: see ``submit``.
    """
    check_storage(storage, address)
    store = Store(storage)
    packed = store.read(kept_code, store.read(study_row, name).id)
    if packed is None:
        raise StudyError(
            f"the database does not keep the code of study {name!r}, because it was started without nas submit; run "
            f"nas resume {name} --address HEAD:6379 on a machine that has the code"
        )
    server = JobServer(address)
    with Scratch("nas-submit-") as folder:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(folder)
        code = list(dict.fromkeys(member.partition("/")[0] for member in archive.namelist()))
        command = ["resume", name, "--address", "auto", *(word for each in code for word in ("--code", each))]
        return _started(server, name, command, folder, storage, says)


def check_storage(storage: str, address: str) -> None:
    """Check that a cluster could use a database.

    Raises:
        StoreError: it is a file or on this machine only, or its URL contains a password.
    """
    url = parse_url(storage)
    where = f"storage {shown(storage)}"
    if url.get_backend_name() != "postgresql":
        raise StoreError(
            f"{where} is a file, which a coordinator on a cluster can't share with this machine; give a PostgreSQL "
            "database, postgresql://user@host/name (docs/how-to/postgresql.md)"
        )
    if url.password or "password" in url.query:
        raise StoreError(
            f"{where} contains a password, which everybody who can list the cluster's jobs would see; leave it out, "
            "and put it into ~/.pgpass of the head, or into PGPASSWORD of the shell that runs ray start there"
        )
    host = url.host or str(url.query.get("host", ""))
    if _is_here(host) and not _is_here(urlsplit(address).hostname or ""):
        raise StoreError(
            f"{where} is on this machine only, where the cluster at {address} can't reach it; give the name of the "
            "database's machine"
        )


def check_plan(plan: Plan) -> None:
    """Check what a cluster needs of a plan, and this machine can tell.

    Raises:
        PlanError: the message says what to change.
    """
    if plan.executor == "local":
        raise PlanError("executor: local runs on one machine; leave the key out to run on a cluster")
    if plan.artifacts.root is None:
        raise PlanError(
            "artifacts.root is not set, so files would be in the folder of the job, which Ray removes; give a folder "
            "that all nodes share, or a URL, as in artifacts.root=/mnt/shared/nas or artifacts.root=s3://bucket/nas"
        )


def _is_here(host: str) -> bool:
    """Whether a host's name means the machine that uses it; no host and a folder of sockets do, too."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _started(
    server: JobServer,
    study: str,
    arguments: Sequence[str],
    folder: str,
    storage: str,
    says: Callable[[str], object],
) -> SubmittedJob:
    job = f"nas-{study}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    server.submit(shlex.join(["nas", *arguments]), job=job, folder=folder, variables={"NAS_STORAGE": storage})
    says(f"job {job}: starting")
    deadline, told = time.monotonic() + STARTS_S, set[str]()
    while time.monotonic() < deadline:
        report = server.report(job)
        for warning in [line for line in report.log.splitlines() if line.startswith("WARNING ") and line not in told]:
            told.add(warning)
            says(f"job {job}: {warning}")
        if report.status == "SUCCEEDED" or _has_begun(report):
            return SubmittedJob(job, study, has_ended=report.status == "SUCCEEDED")
        if report.is_over:
            raise JobError(f"study {study!r} did not begin on the cluster: {_reason(report)}")
        time.sleep(_POLL_S)
    says(f"job {job} has not begun after {STARTS_S:.0f} s; it goes on trying")
    return SubmittedJob(job, study)


def _has_begun(report: JobReport) -> bool:
    """Whether a job has printed that a study is past the checks, after which it stays in the database.

    A job whose studies have ended prints only where to find them, which is no phase.
    """
    early = tuple(phase_line("", phase).partition("·")[2] for phase in (STARTING, CHECKING))
    lines = [line.strip() for line in report.log.splitlines()]
    return any(_PHASE.match(line) is not None and not line.endswith(early) for line in lines)


def _reason(report: JobReport) -> str:
    """Return why a job ended: the message of ``nas``, or else the end of what it printed."""
    _, found, message = report.log.rpartition("\nerror: ")
    if found:
        return message.strip()
    if f"exit code {_NOT_FOUND}" in report.message:
        return (
            "the head does not find the command nas; install this package there, and run ray start in its environment, "
            "so that nas is on the PATH"
        )
    return " · ".join(filter(None, [report.message.strip(), *report.log.strip().splitlines()[-5:]]))
