"""Workers that only pretend: jobs run at once in this process and return what the test wants."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

from nas.errors import PlaceError
from nas.latency.protocol.canary import Health
from nas.registry import load
from nas.space.chooser import ReplayChooser
from trials.executors import Event, Executor, Job, Pool
from trials.plans.problem import open_problem_json

CANDIDATE_MS, TWIN_MS = 2.0, 3.0
ACCURACY_HALF = 0.3


def latency(value: float) -> dict[str, Any]:
    extra = {"peak_memory_bytes": None, "rejected": False, "conditions": {"reference_ms": 1.0}, "samples": ""}
    extra |= {"percentiles": {}}
    return {"latency_ms": value, "low_ms": 0.9 * value, "high_ms": 1.1 * value, **extra}


def timed(value: float, structure_hash: str = "s") -> dict[str, Any]:
    """The result of a gate or of a dense twin's job."""
    return {"metrics": {"size_bytes": 1.0}, "structure_hash": structure_hash, "latency": latency(value)}


def check_payload(job: Job) -> None:
    """Check that a job's payload has the keys that its function declares."""
    declared = get_type_hints(load(job.function, "job"))["payload"]
    assert set(job.payload) == set(get_type_hints(declared)), job.function


def check_result(job: Job, result: Mapping[str, Any]) -> None:
    """Check that a result has the keys that the job's function declares for its last value."""
    (yielded,) = get_args(get_type_hints(load(job.function, "job"))["return"])
    hints = get_type_hints((get_args(yielded) or (yielded,))[-1], include_extras=True)
    assert set(result) <= set(hints), job.function
    assert set(result) >= {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}, job.function


class Pretending(Executor):
    """Runs jobs in this process, one at a time; payloads and results are of the declared shape.

    ``twin`` says what the twin's job does, ``again`` what a repeat does, given its payload; ``drifts`` how far
    off the target is at each of the first canaries, later it is good; ``gate`` what a gate returns.
    """

    def __init__(
        self,
        pools: Sequence[Pool] = (),
        *,
        code: Sequence[str] = (),
        address: str | None = None,
        twin: Callable[[int], Mapping[str, Any]] = lambda run: timed(TWIN_MS, "t"),
        again: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] | None = None,
        gate: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        drifts: Sequence[float] = (),
    ) -> None:
        self.ran: list[tuple[str, int]] = []
        self._twin = twin
        self._again = again
        self._gate = gate
        self._drifts = deque(drifts)
        self._events: deque[tuple[str, Event]] = deque()

    def free(self, pool: str) -> int:
        return int(pool not in [busy for busy, _ in self._events])

    def submit(self, job: Job) -> None:
        kind = job.function.rpartition(":")[2]
        if kind != "canary":
            self.ran.append((kind, job.payload.get("candidate", -1)))
        check_payload(job)
        try:
            result = self._result(kind, job.payload)
            check_result(job, result)
            event = Event(job.key, "done", result)
        except PlaceError as error:
            event = Event(job.key, "place", error=str(error))
        except RuntimeError as error:
            event = Event(job.key, "error", error=f"RuntimeError: {error}", traceback="Traceback")
        self._events.append((job.pool, event))

    def _result(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "canary":
            drift = self._drifts.popleft() if self._drifts else 0.0
            return {"health": Health("r5", drift, 0.0, (), {"runtime_version": "1"}).to_json()}
        if kind == "gate" and self._gate:
            return self._gate(payload)
        if kind == "twin":
            return self._twin(sum(ran == "twin" for ran, _ in self.ran))
        if kind in ("remeasure", "retrain"):
            assert self._again is not None
            return self._again(kind, payload)
        if kind == "train":
            problem = open_problem_json(payload["plan"])
            network = problem.searched.sample(ReplayChooser(payload["architecture"]["choices"]))
            twin = problem.twin_identity(network.architecture)
            accuracy = int(payload["identity"][:4], 16) / 0xFFFF
            metrics = {"accuracy": accuracy, **network.account()}
            intervals = {"accuracy": (accuracy - ACCURACY_HALF, accuracy + ACCURACY_HALF)}
            file = {"kind": "onnx", "uri": "file", "sha256": "0", "size_bytes": 1, "record": {}}
            trained = {"metrics": metrics, "intervals": intervals, "artifacts": [file]}
            return {**trained, "structure_hash": "s", "twin": twin}
        if kind == "rung":
            accuracy = int(payload["identity"][:4], 16) / 0xFFFF
            return {"epochs": payload["epochs"], "scores": {"accuracy": accuracy - 1 / payload["epochs"]}}
        if kind == "measure":
            return {"structure_hash": payload["structure_hash"], "latency": latency(CANDIDATE_MS)}
        return timed(CANDIDATE_MS)

    def poll(self, timeout_s: float) -> list[Event]:
        return [self._events.popleft()[1]] if self._events else []

    def cancel(self, key: str) -> None:
        pass

    def close(self) -> None:
        pass
