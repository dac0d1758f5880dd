"""Large studies, drawn from a seed and written in bulk: what a study of so many candidates leaves in its tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, func, insert, select

from trials.store.dialect import table
from trials.store.models import Architecture, Candidate, JobRow, Metric, Study, Target

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CHUNK = 2_000
WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)
LIMIT_MS = 2.0
#: Metrics that depend on a target, and those that do not.
TIMED = ("latency_ms", "dense_latency_ms", "peak_memory_bytes", "latency_p50_ms", "latency_p90_ms", "latency_mean_ms")
PLAIN = ("accuracy", "macro_f1", "balanced_accuracy", "size_bytes", "nonzero_bytes", "density")


def write_study(engine: Engine, name: str, count: int, seed: int = 0, state: str = "complete") -> None:
    """Write a study of ``count`` candidates: most are complete or infeasible, some measured only or failed."""
    with engine.begin() as connection:
        study = _study(connection, name, count, seed, state)
        draw = np.random.default_rng(seed)
        for first in range(0, count, CHUNK):
            _write_candidates(connection, study, first, min(CHUNK, count - first), draw)


def _study(connection: Connection, name: str, count: int, seed: int, state: str) -> int:
    if connection.scalar(select(func.count()).select_from(table(Target))) == 0:
        about = {"runtime": "onnxruntime", "threads": 1, "batch": 1, "processor": "a processor"}
        connection.execute(
            insert(table(Target)),
            {"name": "local", "description": about, "references": {"r1": 0.05}, "created_at": START},
        )
    row = {
        "name": name,
        "group": name,
        "role": "search",
        "state": state,
        "plan": {
            "name": name,
            "space": {"name": "sparse_convnet"},
            "strategy": {"name": "pareto_bo"},
            "targets": [{"name": "local", "runtime": "onnxruntime", "threads": 1, "batch": 1}],
            "budget": {"trials": count},
            "objectives": {"accuracy": "maximize", "latency_ms": "minimize"},
        },
        "limits": {"latency_ms": {"max": LIMIT_MS, "min": None}},
        "objectives": {"accuracy": "maximize", "latency_ms": "minimize"},
        "environment": {"python": "3.11"},
        "seed": seed,
        "created_at": START,
        "finished_at": START + timedelta(seconds=2 * count) if state == "complete" else None,
        "totals": {"wall_s": 2.0 * count, "train_s": 1.5 * count, "trained": count, "gated": 0},
        "lease_epoch": 1,
        "is_prepared": True,
    }
    return int(connection.execute(insert(table(Study)).returning(table(Study).c.id), row).scalar_one())


def _write_candidates(connection: Connection, study: int, first: int, count: int, draw: np.random.Generator) -> None:
    numbers = np.arange(first, first + count)
    choices = draw.integers(len(WIDTHS), size=(count, 20))
    macs = (10_000 * np.array(WIDTHS)[choices].sum(axis=1)).astype(np.int64)
    latency = macs / 4e6 * draw.uniform(0.8, 1.3, count)
    accuracy = 1 - 0.35 / np.log10(macs / 1e4) ** 2 - draw.gamma(1.5, 0.02, count)
    states = np.where(latency * 0.97 > LIMIT_MS, "infeasible", "complete")
    states[draw.random(count) < 0.06] = "measured_only"
    states[draw.random(count) < 0.01] = "failed"
    architectures = _next_id(connection, Architecture)
    connection.execute(insert(table(Architecture)), list(_architectures(architectures, choices, macs)))
    candidates = _next_id(connection, Candidate)
    rows = [
        {
            "id": candidates + place,
            "study_id": study,
            "architecture_id": architectures + place,
            "number": int(number),
            "revision": 4 * int(number),  # a candidate is written about four times
            "state": str(states[place]),
            "reason": "JobError: loss is nan in epoch 2, step 31" if states[place] == "failed" else None,
            "traceback": None,
            "created_at": START + timedelta(seconds=2 * int(number)),
            "finished_at": START + timedelta(seconds=2 * int(number) + 1.5),
        }
        for place, number in enumerate(numbers)
    ]
    connection.execute(insert(table(Candidate)), rows)
    connection.execute(insert(table(JobRow)), list(_jobs(rows)))
    connection.execute(insert(table(Metric)), list(_metrics(candidates, states, latency, accuracy, macs)))


def _next_id(connection: Connection, model: Any) -> int:
    return int(connection.scalar(select(func.coalesce(func.max(model.id), 0))) or 0) + 1


def _architectures(first: int, choices: Any, macs: Any) -> Iterator[dict[str, Any]]:
    for place, (row, cost) in enumerate(zip(choices.tolist(), macs.tolist(), strict=True)):
        yield {
            "id": first + place,
            "identity": f"{first + place:064x}",
            "space": "sparse_convnet",
            "definition": {
                "version": 1,
                "space": {"name": "sparse_convnet"},
                "choices": {
                    f"stage{index // 5}.block{index % 5}.width": WIDTHS[value] for index, value in enumerate(row)
                },
            },
            "parameters": cost // 100,
            "macs": cost,
            "layers": [
                {"name": "head", "op": "linear", "output_shape": [10], "parameters": 650, "macs": 640, "bits": 32}
            ],
        }


def _jobs(candidates: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in candidates:
        begun, state = row["created_at"], "failed" if row["state"] == "failed" else "done"
        for kind, target in (("gate", "local"), ("train", "")):
            if kind == "gate" or row["state"] not in ("infeasible", "measured_only"):
                yield {
                    "candidate_id": row["id"],
                    "kind": kind,
                    "target": target,
                    "state": "done" if kind == "gate" else state,
                    "attempt": 1,
                    "started_at": begun,
                    "finished_at": row["finished_at"],
                    "result": {},
                    "error": None,
                }


def _metrics(first: int, states: Any, latency: Any, accuracy: Any, macs: Any) -> Iterator[dict[str, Any]]:
    for place, state in enumerate(states.tolist()):
        if state == "failed":
            continue
        values = {name: (float(latency[place]) * (1 + 0.05 * index), "local") for index, name in enumerate(TIMED)}
        if state == "complete":
            values |= {name: (float(accuracy[place]) - 0.01 * index, "") for index, name in enumerate(PLAIN[:3])}
        values |= {name: (float(macs[place]) / 100, "") for name in PLAIN[3:]}
        for name, (value, target) in values.items():
            known = name in ("latency_ms", "accuracy")
            yield {
                "candidate_id": first + place,
                "name": name,
                "target": target,
                "value": value,
                "low": value * 0.99 if known else None,
                "high": value * 1.01 if known else None,
            }
