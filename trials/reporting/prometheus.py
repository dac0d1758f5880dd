"""Figures of all studies for Prometheus, read from the database whenever Prometheus asks."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from threading import Lock, Thread
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from nas.errors import PlanError, StoreError
from trials.executors import TRAIN_POOL, target_pool
from trials.store.read.monitoring import WatchedStudy, watched_studies
from trials.store.read.session import Source

log = logging.getLogger(__name__)


class StudyFigures(Collector):
    """Reads the database once for each answer, and for one answer at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = Lock()

    def collect(self) -> Iterable[Metric]:
        """Return all figures; only ``nas_up`` if the database can't be read."""
        with self._lock:
            start = time.monotonic()
            try:
                studies = watched_studies(self._source)
            except StoreError as error:
                log.warning("%s", error)
                return [_gauge("nas_up", "Whether the database can be read.", (), [((), 0.0)])]
            took_s = time.monotonic() - start
        return [
            _gauge("nas_up", "Whether the database can be read.", (), [((), 1.0)]),
            _gauge("nas_read_seconds", "Seconds that reading the database took.", (), [((), took_s)]),
            *_of_studies(studies),
            *_of_pools(studies),
            _of_strategies("ask", "Times that strategies took to propose and choose candidates.", studies),
            _of_strategies("tell", "Times that strategies took to learn results.", studies),
        ]


def serve(source: Source, host: str, port: int) -> tuple[Any, Thread]:
    """Answer at ``http://host:port/metrics`` from threads of this process, and return the server and its thread.

    Raises:
        PlanError: the address can't be listened on.
    """
    registry = CollectorRegistry()
    registry.register(StudyFigures(source))
    try:
        return start_http_server(port, host, registry)
    except OSError as error:
        raise PlanError(
            f"can't listen on {host}, port {port}: {error.strerror or error}; give another --port"
        ) from error


def _of_studies(studies: Sequence[WatchedStudy]) -> list[GaugeMetricFamily]:
    own = ("study",)
    return [
        _gauge(
            "nas_study_state",
            "1 for the present state of a study.",
            ("study", "state"),
            [((study.name, study.state), 1.0) for study in studies],
        ),
        _gauge(
            "nas_trials",
            "Trials by state.",
            ("study", "state"),
            [((study.name, state), count) for study in studies for state, count in study.trials.items()],
        ),
        _gauge("nas_budget_trials", "Trials of the budget.", own, [((study.name,), study.budget) for study in studies]),
        *(
            _gauge(f"nas_{name}", text, own, [((study.name,), study.totals.get(key, 0.0)) for study in studies])
            for name, key, text in (
                ("trained_trials", "trained", "Trials that were trained."),
                ("train_seconds", "train_s", "Seconds of all trainings together."),
                ("wall_seconds", "wall_s", "Seconds that the study has run."),
            )
        ),
        _gauge(
            "nas_lease_seconds",
            "Seconds until the lease of the coordinator ends; a live one renews it to 60 every 10 seconds.",
            own,
            [((study.name,), study.lease_left_s) for study in studies if study.lease_left_s is not None],
        ),
    ]


def _of_pools(studies: Sequence[WatchedStudy]) -> list[GaugeMetricFamily]:
    measuring = Counter[str]()
    for study in studies:
        for (target, state), count in study.jobs.items():
            if target:
                measuring[target] += count if state == "running" else 0
    return [
        _gauge(
            "nas_jobs",
            "Jobs that run, or wait for a worker, by pool of workers.",
            ("study", "pool", "state"),
            [
                ((study.name, target_pool(target) if target else TRAIN_POOL, state), count)
                for study in studies
                for (target, state), count in study.jobs.items()
            ],
        ),
        _gauge(
            "nas_measuring_slot_busy",
            "Whether a job has the measuring slot of a target; jobs of several studies take turns.",
            ("target",),
            [((target,), min(count, 1)) for target, count in measuring.items()],
        ),
    ]


def _of_strategies(what: str, text: str, studies: Sequence[WatchedStudy]) -> SummaryMetricFamily:
    family = SummaryMetricFamily(f"nas_{what}_seconds", text, labels=("study",))
    for study in studies:
        family.add_metric((study.name,), int(study.totals.get(f"{what}s", 0)), study.totals.get(f"{what}_s", 0.0))
    return family


def _gauge(name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]) -> Any:
    family = GaugeMetricFamily(name, text, labels=labels)
    for place, value in values:
        family.add_metric(place, value)
    return family
