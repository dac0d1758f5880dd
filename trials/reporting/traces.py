"""A study as a trace of OpenTelemetry: a span for the study, below it one for each trial, below it one for each job.

The spans are made from the stored times, so that a trace can be sent while the study runs or long afterwards. Their ids
follow from the study and the trial: a span that is sent again replaces the first one, or is the same again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from datetime import datetime

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from nas.errors import PlaceError, PlanError
from trials.store.read.activity import Job
from trials.store.read.columns import OVERLAP
from trials.store.read.session import Source
from trials.store.read.states import LIVE
from trials.store.read.traces import TracedStudy, TracedTrial, traced_study, traced_trials

#: Trials in one message, and seconds between two looks at a study that runs.
BATCH, EVERY_S = 200, 5.0
DEFAULT_ENDPOINT = "http://localhost:4318/v1/traces"


def send(source: Source, name: str, endpoint: str | None, *, follow: bool = False) -> int:
    """Send the spans of a study to a collector that takes OTLP over HTTP.

    Args:
        source: the database.
        name: the study.
        endpoint: URL of the collector; None for that of the environment variable
            ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` or ``OTEL_EXPORTER_OTLP_ENDPOINT``, or else ``DEFAULT_ENDPOINT``.
        follow: whether to go on until the study ends.

    Returns:
        The number of trials sent; a trial that changed meanwhile is counted again.

    Raises:
        UnknownNameError: the study does not exist.
        PlanError: ``endpoint`` is not a URL.
        PlaceError: no collector took the spans.
    """
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise PlanError(f"--endpoint {endpoint!r} is not a URL; write it as in {DEFAULT_ENDPOINT}")
    logging.getLogger(OTLPSpanExporter.__module__).setLevel(logging.CRITICAL)  # the error below says what is wrong
    exporter: SpanExporter = OTLPSpanExporter(endpoint=endpoint)
    sent, place = 0, (0, 0)
    places: dict[int, tuple[int, int]] = {}
    while True:
        study = traced_study(source, name)
        place = place[0] - OVERLAP, 0
        while trials := traced_trials(source, name, place, BATCH):
            new = [trial for trial in trials if places.get(trial.number) != trial.place]
            _export(exporter, [span for trial in new for span in _of_trial(study, trial)], endpoint)
            places |= {trial.number: trial.place for trial in new}
            sent, place = sent + len(new), trials[-1].place
        if not follow or study.state not in LIVE:
            _export(exporter, list(_of_study(study)), endpoint)
            return sent
        time.sleep(EVERY_S)


def _export(exporter: SpanExporter, spans: list[ReadableSpan], endpoint: str | None) -> None:
    if spans and exporter.export(spans) is not SpanExportResult.SUCCESS:
        variables = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        where = endpoint or next(filter(None, map(os.environ.get, variables)), DEFAULT_ENDPOINT)
        raise PlaceError(
            f"the collector at {where} took no spans; check that one for OTLP over HTTP answers there, or name another "
            "with --endpoint"
        )


def _of_study(study: TracedStudy) -> Iterator[ReadableSpan]:
    """The span of a study that has ended: a span without an end can't be sent."""
    if study.finished_at is not None:
        yield _span(study, f"study {study.name}", (), None, study.created_at, study.finished_at, {})


def _of_trial(study: TracedStudy, trial: TracedTrial) -> Iterator[ReadableSpan]:
    of_trial: tuple[object, ...] = ("trial", trial.number)
    facts: dict[str, AttributeValue] = {"nas.trial": trial.number, "nas.state": trial.state}
    if trial.reason:
        facts["nas.reason"] = trial.reason
    fault = trial.reason or trial.state if trial.state == "failed" else None
    yield _span(study, f"trial {trial.number}", of_trial, (), trial.created_at, trial.finished_at, facts, fault)
    for job in trial.jobs:
        if job.started_at is not None and job.finished_at is not None:
            yield _of_job(study, job, of_trial, job.started_at, job.finished_at)


def _of_job(study: TracedStudy, job: Job, of_trial: tuple[object, ...], start: datetime, end: datetime) -> ReadableSpan:
    facts: dict[str, AttributeValue] = {"nas.trial": job.number, "nas.job": job.kind, "nas.attempt": job.attempt}
    if job.target:
        facts["nas.target"] = job.target
    name = f"{job.kind} on {job.target}" if job.target else job.kind
    fault = job.error or job.state if job.state == "failed" else None
    return _span(study, name, (*of_trial, job.kind, job.target), of_trial, start, end, facts, fault)


def _span(
    study: TracedStudy,
    name: str,
    path: tuple[object, ...],
    parent: tuple[object, ...] | None,
    start: datetime,
    end: datetime,
    attributes: dict[str, AttributeValue],
    fault: str | None = None,
) -> ReadableSpan:
    """Make the span at a path below a study; ``parent`` is the path of the span above it."""
    return ReadableSpan(
        name,
        _context(study, path),
        parent=None if parent is None else _context(study, parent),
        resource=Resource({SERVICE_NAME: "measured-nas"}),
        attributes={"nas.study": study.name, **attributes},
        status=Status(StatusCode.OK) if fault is None else Status(StatusCode.ERROR, fault),
        start_time=_ns(start),
        end_time=_ns(end),
    )


def _context(study: TracedStudy, path: tuple[object, ...]) -> SpanContext:
    trace = _digest(study.name, study.created_at)
    span = _digest(study.name, study.created_at, *path)
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int.from_bytes(trace[:16]), int.from_bytes(span[16:24]), is_remote=False, trace_flags=sampled)


def _digest(*path: object) -> bytes:
    return hashlib.sha256(repr([str(part) for part in path]).encode()).digest()


def _ns(at: datetime) -> int:
    return round(at.timestamp() * 1e6) * 1000
