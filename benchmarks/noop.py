"""A task, a space and jobs that do nothing, so that a benchmark measures only the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from nas.latency.protocol.canary import Health
from nas.space import Chooser, SearchSpace
from nas.tasks import Task
from nas.tasks.classification import Classification

#: Seconds of a training that waits.
WAIT_S = 2.0
QUESTIONS = 15
OPTIONS = 4


class NoData(Classification):
    """A task with ten features and ten classes, but without data."""

    num_outputs = 10
    input_shape = (10, 1, 1)

    def dataset(self, split: Any, *, augment: bool = False) -> Any:
        raise AssertionError("the engine reads no data")

    def fingerprint(self) -> str:
        return "none"


class Widths(SearchSpace):
    """One layer whose width encodes all answers, so that different answers are different networks."""

    def build(self, chooser: Chooser, task: Task) -> nn.Module:
        width = 1
        for index in range(QUESTIONS):
            answer = chooser.choose(f"q{index:02}", range(OPTIONS), ordered=True)
            width += int(answer or 0) * OPTIONS**index
        return nn.Sequential(nn.Flatten(), nn.Linear(10, width))


def gate(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a latency that grows with the answers."""
    choices = payload["architecture"]["choices"].values()
    latency_ms = 1.0 + sum(choices)
    yield {
        "metrics": {"size_bytes": 1},
        "structure_hash": "same",
        "latency": {
            "latency_ms": latency_ms,
            "low_ms": latency_ms,
            "high_ms": latency_ms,
            "peak_memory_bytes": None,
            "rejected": False,
            "conditions": {},
            "samples": "",
            "percentiles": {},
        },
    }


def canary(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the result of a canary on a target that measures as it did when it was calibrated."""
    yield {"health": Health("r0", 0.0, 0.0, (), {"runtime_version": "0"}).to_json()}


def train(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return an accuracy that conflicts with the latency; some answers have a larger influence than others."""
    choices = list(payload["architecture"]["choices"].values())
    accuracy = sum(choices) / (QUESTIONS * OPTIONS) + 0.01 * (choices[0] - choices[1])
    twin = payload.get("identity")  # without policies, the dense twin is the candidate itself
    yield {"metrics": {"accuracy": accuracy}, "intervals": {}, "structure_hash": "same", "artifacts": [], "twin": twin}


def wait(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the result of ``train`` after two seconds."""
    time.sleep(WAIT_S)
    yield from train(payload)
