"""Import networks of the user: they are scored and measured like candidates, but they are not candidates."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.errors import UnavailableError
from nas.latency.targets import Target
from trials.executors import TRAIN_POOL, Executor, target_pool
from trials.jobs.environment import describe_environment
from trials.jobs.messages import IMPORTED, MEASURE_FILE, ImportPayload, ImportResult, LatencyResult, MeasureFilePayload
from trials.jobs.metrics import needed_metrics, target_metrics
from trials.launch.folders import StudyFolders
from trials.launch.studies import open_executor
from trials.plans.data import DATA, check_data
from trials.plans.imported import ImportSource
from trials.plans.plan import Plan, make_plan
from trials.plans.problem import Problem, open_problem
from trials.store.artifacts import ArtifactStore
from trials.store.naming import check_name
from trials.store.read.imported import ImportedNetwork, imported_networks
from trials.store.read.rows import study_row
from trials.store.records import ArtifactValue, ImportedValue, MeasurementValue, MetricValue
from trials.store.store import Store
from trials.store.write.imported import add_imported, check_import_free
from trials.targets.calibration import calibrate_targets, run_canary, run_jobs

#: Number of measurements on a target whose canaries are bad.
ATTEMPTS = 3
#: Called with what is being done.
Says = Callable[[str], None]


def import_network(
    store: Store,
    study: str,
    model: str,
    *,
    name: str | None = None,
    weights: str | None = None,
    force: bool = False,
    address: str | None = None,
    says: Says = lambda text: None,
) -> ImportedNetwork:
    """Score and measure a network of the user on the data and targets of a study, and store it beside the study.

    The network never counts as a trial, for the budget or for the front.

    Args:
        store: the database.
        study: name of the study.
        model: path of an ONNX file, ``module:factory`` or ``timm:name``.
        name: name of the network; by default that of its file, function or model.
        weights: safetensors file with the weights of a module or a model of timm.
        force: replace an imported network of the same name.
        address: address of a Ray cluster.
        says: see ``Says``.

    Raises:
        PlanError, UnknownNameError, SpaceError: the network can't be read or made, or does not fit the task.
        StudyError: the name is taken, or the data of the study have changed.
        JobError: the network can't be run or measured.
        PlaceError: a target is not as it was calibrated, or its device does not answer.
    """
    store.check_writable()
    row = store.read(study_row, study)
    source = ImportSource.parse(model, weights)
    name = name or source.default_name
    check_name(name, "network")
    if not force:
        store.read(check_import_free, study, name)
    problem = open_problem(_with_own_code(make_plan(row.plan), source))
    check_data(study, row.environment, problem)
    source.check(problem)
    payload: ImportPayload = {
        "plan": problem.plan.model_dump_json(),
        "source": source.to_json(),
        "name": name,
        "artifacts": StudyFolders(store, row).artifacts,
        "data": row.environment.get(DATA, {}).get("fingerprint"),
    }
    with open_executor(problem.plan, address) as executor:
        targets = {key: Target.from_json(found) for key, found in calibrate_targets(executor, store, problem).items()}
        says(f"scoring {name}")
        (found,) = run_jobs(executor, [IMPORTED.job("import", payload, TRAIN_POOL)], f"importing {name!r}")
        result = IMPORTED.result(found)
        with _replacing(store, study, name, result["file"]["uri"]):
            latencies = {}
            for target in targets.values():
                says(f"measuring {name} on {target.spec.name}")
                latencies[target.spec.name] = _measured(executor, problem, target, payload["artifacts"], result)
            store.write(add_imported, study, _value(name, source, result, latencies), force=force)
    return next(item for item in imported_networks(store, study) if item.name == name)


@contextmanager
def _replacing(store: Store, study: str, name: str, uri: str) -> Iterator[None]:
    """Remove files that no stored network has at the end of the block: the replaced network's, or this one's.

    Another process may have stored the same file under the same name meanwhile; its file stays.
    """
    before = {item.uri for item in imported_networks(store, study) if item.name == name}
    try:
        yield
    finally:
        for file in {*before, uri} - {item.uri for item in imported_networks(store, study)}:
            ArtifactStore("").delete(file)


def _with_own_code(plan: Plan, source: ImportSource) -> Plan:
    """Return the plan; the current folder is added to its code if the network is the user's own module."""
    if source.kind != "module":
        return plan
    return plan.model_copy(update={"code": tuple(dict.fromkeys([*plan.code, str(Path.cwd())]))})


def _measured(
    executor: Executor, problem: Problem, target: Target, artifacts: str, result: ImportResult
) -> LatencyResult:
    """Measure the file on a target; if the plan asks for canaries, one follows, and a bad one repeats both.

    Raises:
        UnavailableError: the target is not as it was calibrated, also not after ``ATTEMPTS``.
    """
    measure, name = problem.plan.measure, target.spec.name
    payload: MeasureFilePayload = {
        "target": target.to_json(),
        "precision": measure.precision,
        "budget_s": measure.budget_s,
        "needed": needed_metrics(problem, name),
        "artifacts": artifacts,
        "uri": result["file"]["uri"],
        "sha256": result["file"]["sha256"],
    }
    drift: str | None = None
    for attempt in range(ATTEMPTS):
        job = MEASURE_FILE.job(f"measure.{name}.{attempt}", payload, target_pool(name))
        (found,) = run_jobs(executor, [job], f"measuring on target {name!r}")
        if measure.canary_every:
            drift = run_canary(executor, target, measure.max_drift).problem(measure.max_drift)
        if drift is None:
            return MEASURE_FILE.result(found)
    raise UnavailableError(
        f"target {name}: {drift}, so the latency can't be compared with those of the study; nothing is stored. Run "
        f"the command again once nas targets check {name} reports no drift"
    )


def _value(name: str, source: ImportSource, result: ImportResult, latencies: dict[str, LatencyResult]) -> ImportedValue:
    file = result["file"]
    metrics = [MetricValue(metric, "", *value) for metric, value in result["metrics"].items()]
    return ImportedValue(
        name=name,
        source=source.to_json(),
        file=ArtifactValue(file["kind"], file["uri"], file["sha256"], file["size_bytes"]),
        metrics=[*metrics, *(item for key, latency in latencies.items() for item in target_metrics(key, latency))],
        test_scores=result["test_scores"],
        notes=result["notes"],
        measurements=[_measurement(key, latency) for key, latency in latencies.items()],
        environment=describe_environment(),
    )


def _measurement(target: str, latency: LatencyResult) -> MeasurementValue:
    return MeasurementValue(
        target=target,
        purpose="imported",
        latency_ms=latency["latency_ms"],
        low_ms=latency["low_ms"],
        high_ms=latency["high_ms"],
        structure_hash="",
        conditions=latency["conditions"],
        samples=base64.b64decode(latency["samples"]),
    )
