"""What a collector of OpenTelemetry receives, over a real connection, from both kinds of database."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from nas.errors import PlaceError, PlanError, UnknownNameError
from tests.unit.trials.store.conftest import Searching, new_study
from trials.reporting import traces
from trials.reporting.traces import send
from trials.store.store import Store
from trials.store.write.jobs import fail_job, stop_candidate
from trials.store.write.leases import release_lease


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP, and keeps the spans."""

    spans: list[Span]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def by_name(self) -> dict[str, Span]:
        return {span.name: span for span in self.spans}


class Taking(BaseHTTPRequestHandler):
    """One message to the collector."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        message = ExportTraceServiceRequest()
        message.ParseFromString(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.server.spans += [
            span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector(("127.0.0.1", 0), Taking) as server:
        server.spans = []
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store(store_url)
    yield opened
    opened.close()


def told(span: Span) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def failed(study: Searching, identity: str) -> None:
    proposed, attempt = study.started(identity)
    assert study.store.write(fail_job, proposed.job_id, attempt, "JobError: loss is nan", "Traceback …")


def test_a_study_is_one_trace_of_trials_and_their_jobs(store: Store, collector: Collector) -> None:
    study = new_study(store, "digits")
    failed(study, "a")
    study.started("still running")
    study.new("b")
    store.write(stop_candidate, study.lease, 2, "no time")
    assert send(store, "digits", collector.endpoint) == 2
    spans = collector.by_name()
    assert set(spans) == {"trial 0", "gate on local", "trial 2"}  # the study has not ended
    trial, job = spans["trial 0"], spans["gate on local"]
    assert told(job) == {
        "nas.study": "digits",
        "nas.trial": 0,
        "nas.job": "gate",
        "nas.attempt": 1,
        "nas.target": "local",
    }
    assert (job.status.code, job.status.message) == (2, "JobError: loss is nan")
    assert told(spans["trial 2"])["nas.reason"] == "no time"
    assert job.parent_span_id == trial.span_id
    assert trial.start_time_unix_nano <= job.start_time_unix_nano <= job.end_time_unix_nano
    assert job.end_time_unix_nano <= trial.end_time_unix_nano
    store.write(release_lease, study.lease, "complete", {})
    collector.spans.clear()
    send(store, "digits", collector.endpoint)
    again = collector.by_name()
    assert trial.parent_span_id == again["study digits"].span_id
    assert again["trial 0"] == trial
    assert len({span.trace_id for span in [*spans.values(), *again.values()]}) == 1


def test_all_trials_are_sent_once_in_several_messages(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BATCH", 2)
    study = new_study(store, "digits")
    for number in range(5):
        failed(study, str(number))
    assert send(store, "digits", collector.endpoint) == 5
    assert sorted(span.name for span in collector.spans if span.name.startswith("trial")) == [
        f"trial {number}" for number in range(5)
    ]


def test_following_ends_with_the_study(store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "EVERY_S", 0.05)
    study = new_study(store, "digits")
    found: list[int] = []
    follower = Thread(target=lambda: found.append(send(store, "digits", collector.endpoint, follow=True)))
    follower.start()
    failed(study, "a")
    while "trial 0" not in collector.by_name():
        assert follower.is_alive()
    failed(study, "b")
    store.write(release_lease, study.lease, "complete", {})
    follower.join(60)
    assert found == [2]
    assert {"trial 0", "trial 1", "study digits"} <= set(collector.by_name())


def test_a_missing_study_or_collector_is_named(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # else it tries again for ten seconds
    with pytest.raises(UnknownNameError, match="no study 'digitz'"):
        send(store, "digitz", collector.endpoint)
    with pytest.raises(PlanError, match="--endpoint 'nonsense' is not a URL"):
        send(store, "digits", "nonsense")
    failed(new_study(store, "digits"), "a")
    with pytest.raises(
        PlaceError, match=r"the collector at http://127\.0\.0\.1:1/v1/traces took no spans; .*--endpoint"
    ):
        send(store, "digits", "http://127.0.0.1:1/v1/traces")
