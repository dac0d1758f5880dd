"""The contract of every registered runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from nas.errors import MeasureError, PlanError
from nas.export.node_layers import node_layers
from nas.latency.process.worker import reference_file
from nas.latency.protocol.references import LADDER
from nas.latency.runtimes import RUNTIMES, Burst, Runtime, Session, SessionOptions, make_runtime
from nas.latency.runtimes import answering as answering_runtime
from tests.runtimes_here import or_skipped, runtimes_here

#: A program that checks that its file is a model, and times how long each reading of it takes; it writes its number of
#: threads into a file beside.
PROGRAM = """
import sys, time
content = open(sys.argv[1], "rb").read()
if content[:1] != b"\\x08":
    sys.exit("this is no model")
open(sys.argv[1] + ".threads", "w").write(sys.argv[3])
for _ in range(int(sys.argv[2])):
    start = time.perf_counter_ns()
    sum(content)
    print("run", time.perf_counter_ns() - start)
"""
ANSWERING = [name for name in RUNTIMES.names() if RUNTIMES.get(name).answers]


@pytest.fixture(params=or_skipped(RUNTIMES.names()))
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Runtime:
    return make_runtime(request.param, parameters_of(request.param, tmp_path))


def parameters_of(name: str, folder: Path) -> dict[str, str]:
    return {"program": described(folder)} if name == "command" else {}


def described(folder: Path) -> str:
    """The description of a program that starts quickly."""
    description = {
        "command": ["{python}", "-S", "-c", PROGRAM, "{model}", "{runs}", "{threads}"],
        "reading": {"pattern": "run (?P<time>[0-9]+)", "unit": "ns"},
        "formats": ["onnx"],
        "version_command": ["{python}", "--version"],
        "version_pattern": "Python (.*)",
    }
    path = folder / "program.json"
    path.write_text(json.dumps(description))
    return str(path)


@pytest.fixture
def artifact(runtime: Runtime, tmp_path: Path) -> Path:
    return written(runtime, tmp_path)


def written(runtime: Runtime, folder: Path) -> Path:
    """A small model in a format the runtime opens."""
    return reference_file(runtime, LADDER[1].name, folder)


@pytest.fixture
def session(runtime: Runtime, artifact: Path) -> Iterator[Session]:
    opened = runtime.open(artifact, SessionOptions())
    yield opened
    opened.close()


@pytest.fixture(params=or_skipped(ANSWERING))
def answering(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    opened = RUNTIMES.get(request.param)().open(written(RUNTIMES.get(request.param)(), tmp_path), SessionOptions())
    yield opened
    opened.close()


def test_a_burst_has_one_positive_time_a_run(session: Session) -> None:
    for runs in (1, 7):
        burst = session.burst(runs)
        assert len(burst.wall_ns) == runs
        assert min(burst.wall_ns) > 0
        for optional in (burst.process_ns, burst.preemptions):
            assert len(optional) in (0, runs)
            assert all(value >= 0 for value in optional)


def inputs_of(session: Session, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=session.input_shape).astype(np.float32)


def test_answers_are_those_of_every_other_runtime(answering: Session, tmp_path: Path) -> None:
    inputs = inputs_of(answering, 1)
    answers = answering.run(inputs)
    assert answers.std() > 0
    for name in runtimes_here(ANSWERING):
        other = RUNTIMES.get(name)()
        (artifact,) = tmp_path.glob(f"{LADDER[1].name}.*")
        if artifact.suffix.removeprefix(".") in other.formats:
            opened = other.open(artifact, SessionOptions())
            # With 16-bit values the difference would be about a thousandth.
            np.testing.assert_allclose(opened.run(inputs), answers, rtol=0, atol=1e-5 * answers.std())
            opened.close()


def test_answers_depend_on_the_inputs_alone(answering: Session) -> None:
    first, second = inputs_of(answering, 1), inputs_of(answering, 2)
    answers = answering.run(first)
    before = answers.copy()
    assert not np.allclose(answering.run(second), answers)
    answering.burst(2)
    np.testing.assert_array_equal(answers, before)
    np.testing.assert_array_equal(answering.run(first), before)


def test_inputs_of_another_shape_are_refused(answering: Session) -> None:
    with pytest.raises(MeasureError, match="shape"):
        answering.run(np.zeros((2, *answering.input_shape[1:]), np.float32))


@pytest.mark.parametrize("name", [name for name in RUNTIMES.names() if name not in ANSWERING])
def test_a_runtime_without_answers_says_so(name: str, tmp_path: Path) -> None:
    runtime = make_runtime(name, parameters_of(name, tmp_path))
    opened = runtime.open(written(runtime, tmp_path), SessionOptions())
    assert opened.input_shape == ()
    with pytest.raises(MeasureError, match="outputs"):
        opened.run(np.zeros((1, 8, 16, 16), np.float32))
    opened.close()
    assert answering_runtime(name) == "onnxruntime"


def test_processor_time_of_one_thread_is_no_longer_than_wall_time(session: Session) -> None:
    burst = session.burst(20)
    if burst.process_ns:
        assert sum(burst.process_ns) <= 1.05 * sum(burst.wall_ns)


def test_peak_memory_is_bytes_or_unknown(session: Session) -> None:
    session.burst(1)
    peak = session.peak_memory_bytes()
    assert peak is None or (isinstance(peak, int) and peak >= 0)


def test_several_sessions_of_one_artifact_live_side_by_side(runtime: Runtime, artifact: Path) -> None:
    sessions = [runtime.open(artifact, SessionOptions()) for _ in range(3)]
    sessions[1].close()
    assert [len(sessions[place].burst(2).wall_ns) for place in (0, 2)] == [2, 2]
    for opened in sessions:
        opened.close()


def test_a_closed_session_refuses_and_may_be_closed_twice(runtime: Runtime, artifact: Path) -> None:
    opened = runtime.open(artifact, SessionOptions())
    opened.close()
    opened.close()
    with pytest.raises(MeasureError):
        opened.burst(1)
    with pytest.raises(MeasureError):
        opened.run(np.zeros((1, 8, 16, 16), np.float32))


@pytest.mark.parametrize("content", [b"", b"garbage that is no model"])
def test_garbage_is_refused_with_the_reason(runtime: Runtime, artifact: Path, content: bytes) -> None:
    artifact.write_bytes(content)
    with pytest.raises(MeasureError, match=artifact.name):
        runtime.open(artifact, SessionOptions())


def test_a_missing_file_is_refused(runtime: Runtime, artifact: Path) -> None:
    with pytest.raises(MeasureError, match=r"absent"):
        runtime.open(artifact.with_name("absent.bin"), SessionOptions())


def test_a_profile_tells_times_of_nodes_or_refuses(runtime: Runtime, artifact: Path) -> None:
    try:
        found = runtime.profile(artifact, SessionOptions())
    except MeasureError as error:
        assert "has no profiler" in str(error)  # noqa: PT017 — a runtime without a profiler refuses
        return
    assert found.runs >= 10
    assert 0 < sum(node.time_ms for node in found.nodes) <= found.run_ms
    if artifact.suffix == ".onnx":
        layers = node_layers(artifact, [(node.name, node.op) for node in found.nodes])
        known = {node.name.rpartition("/")[0] or None for node in onnx.load(str(artifact)).graph.node}
        assert set(layers) <= {*known, None}
    with pytest.raises(MeasureError):
        runtime.profile(artifact.with_name("absent.bin"), SessionOptions())


def test_the_version_is_told(runtime: Runtime) -> None:
    assert any(letter.isdigit() for letter in runtime.version())


def test_it_declares_correctly_whether_it_measures_processor_time(runtime: Runtime, session: Session) -> None:
    assert bool(session.burst(1).process_ns) == runtime.processor_time


def test_a_parameter_it_does_not_take_is_refused(runtime: Runtime) -> None:
    name = name_of(runtime)
    with pytest.raises(PlanError, match="no parameter 'no_such_parameter'"):
        make_runtime(name, {"no_such_parameter": 1})


def torch_threads(session: Any) -> int:
    seen: list[int] = []
    step, session._step = session._step, lambda: seen.append(torch.get_num_threads()) or ()
    session.burst(1)
    session._step = step
    return seen[0]


def openvino_threads(runtime: Any) -> Callable[[Any], int]:
    """The number of threads requested of the plugin, which itself takes no more threads than it may use cores."""
    told: list[Any] = []
    compile_model = runtime._core.compile_model
    runtime._core = SimpleNamespace(
        read_model=runtime._core.read_model,
        compile_model=lambda model, device, settings: told.append(settings) or compile_model(model, device, settings),
    )
    return lambda session: int(told[-1]["INFERENCE_NUM_THREADS"])


#: Runtime → function that, given the runtime, returns a function from a session to its number of threads.
THREADS: dict[str, Callable[[Runtime], Callable[[Any], int]]] = {
    "command": lambda runtime: lambda session: int(Path(f"{session._values['model']}.threads").read_text()),
    "onnxruntime": lambda runtime: lambda session: session._session.get_session_options().intra_op_num_threads,
    "openvino": openvino_threads,
    "openvino_kernels": openvino_threads,
    "torch": lambda runtime: torch_threads,
}


def name_of(runtime: Runtime) -> str:
    return next(name for name in RUNTIMES.names() if isinstance(runtime, RUNTIMES.get(name)))


#: Runtimes whose number of threads can be read.
telling_threads = pytest.mark.parametrize("runtime", or_skipped(THREADS), indirect=True)


@telling_threads
def test_it_runs_on_as_many_threads_as_asked(runtime: Runtime, artifact: Path) -> None:
    check_threads(runtime, artifact, THREADS[name_of(runtime)](runtime))


def check_threads(runtime: Runtime, artifact: Path, threads_of: Callable[[Any], int]) -> None:
    for threads in (1, 2):
        opened = runtime.open(artifact, SessionOptions(threads=threads))
        found = threads_of(opened)
        opened.close()
        assert found == threads


@pytest.mark.parametrize("name", or_skipped(name for name in RUNTIMES.names() if name != "torch"))
def test_it_imports_no_torch_and_leaves_the_home_folder_alone(name: str, tmp_path: Path) -> None:
    """Packages that report to their makers store an identity in the home folder; these must not."""
    (home := tmp_path / "home").mkdir()
    path = reference_file(RUNTIMES.get(name)(), LADDER[0].name, tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom nas.latency.runtimes import RUNTIMES, SessionOptions\n"
        f"RUNTIMES.get({name!r})().open(Path({str(path)!r}), SessionOptions()).burst(2)\n"
        "assert not {'torch', 'ray', 'openvino_telemetry'} & set(sys.modules)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


# -- planted mistakes: each is made by every runtime that can make it, and must be found


Answer = Callable[[Session, np.ndarray], np.ndarray]


@dataclass
class Lying(Session):
    """Planted: a session that changes its inputs or its outputs."""

    inner: Session
    runs: Callable[[int], int] = lambda runs: runs
    told: Callable[[Burst], Burst] = lambda burst: burst
    answer: Answer = lambda session, inputs: session.run(inputs)
    closes: bool = True

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.inner.input_shape

    def burst(self, runs: int) -> Burst:
        return self.told(self.inner.burst(self.runs(runs)))

    def run(self, inputs: np.ndarray) -> np.ndarray:
        return self.answer(self.inner, inputs)

    def peak_memory_bytes(self) -> int | None:
        return self.inner.peak_memory_bytes()

    def close(self) -> None:
        if self.closes:
            self.inner.close()


class LyingRuntime(Runtime):
    """Planted: opens such sessions, possibly of another model and with another number of threads."""

    def __init__(self, inner: Runtime, changes: dict[str, Any], *, instead: Path | None = None) -> None:
        self.inner, self._changes, self._instead = inner, changes, instead
        self.formats, self.answers, self.processor_time = inner.formats, inner.answers, inner.processor_time
        self.opened: list[Session] = []

    def open(self, path: Path, options: SessionOptions) -> Session:
        self.opened.append(self.inner.open(self._instead or path, replace(options, threads=1)))
        return Lying(self.opened[-1], **self._changes)

    def version(self) -> str:
        return self.inner.version()


def stale() -> Answer:
    """Planted: always the first answers, whatever the input."""
    kept: list[np.ndarray] = []

    def answer(session: Session, inputs: np.ndarray) -> np.ndarray:
        kept.append(session.run(inputs))
        return kept[0]

    return answer


def one_buffer() -> Answer:
    """Planted: correct answers in a buffer that the next answers overwrite."""
    kept: list[np.ndarray] = []

    def answer(session: Session, inputs: np.ndarray) -> np.ndarray:
        kept.append(kept[0] if kept else session.run(inputs))
        kept[0][...] = session.run(inputs)
        return kept[0]

    return answer


def in_16_bits(session: Session, inputs: np.ndarray) -> np.ndarray:
    return session.run(inputs.astype(np.float16).astype(np.float32)).astype(np.float16).astype(np.float32)


#: What a session does wrong → (what is changed, which check finds it).
SESSIONS: dict[str, tuple[dict[str, Any], Callable[[Session], None]]] = {
    "runs less than asked": (
        {"runs": lambda runs: max(1, runs - 1)},
        test_a_burst_has_one_positive_time_a_run,
    ),
    "tells less than it ran": (
        {"told": lambda burst: replace(burst, wall_ns=burst.wall_ns[:1])},
        test_a_burst_has_one_positive_time_a_run,
    ),
    "takes no time": (
        {"told": lambda burst: replace(burst, wall_ns=(0,) * len(burst.wall_ns))},
        test_a_burst_has_one_positive_time_a_run,
    ),
    "works longer than it takes": (
        {"told": lambda burst: replace(burst, process_ns=tuple(2 * time for time in burst.wall_ns))},
        test_processor_time_of_one_thread_is_no_longer_than_wall_time,
    ),
}
ANSWERS: dict[str, tuple[Callable[[], Answer], Callable[[Session, Path], None]]] = {
    "computes in 16 bits": (lambda: in_16_bits, test_answers_are_those_of_every_other_runtime),
    "is off by a ten-thousandth": (
        lambda: lambda session, inputs: session.run(inputs) * np.float32(1.0001),
        test_answers_are_those_of_every_other_runtime,
    ),
    "says what it said before": (stale, lambda session, _: test_answers_depend_on_the_inputs_alone(session)),
    "overwrites its answers": (one_buffer, lambda session, _: test_answers_depend_on_the_inputs_alone(session)),
}
FOUND = (AssertionError, pytest.fail.Exception)


@pytest.mark.parametrize("what", list(SESSIONS))
def test_a_session_that_times_wrong_is_found(session: Session, what: str) -> None:
    changes, check = SESSIONS[what]
    with pytest.raises(FOUND):
        check(Lying(session, **changes))


@pytest.mark.parametrize("what", list(ANSWERS))
def test_a_session_that_answers_wrong_is_found(answering: Session, tmp_path: Path, what: str) -> None:
    made, check = ANSWERS[what]
    with pytest.raises(FOUND):
        check(Lying(answering, answer=made()), tmp_path)


@telling_threads
def test_a_runtime_that_ignores_threads_is_found(runtime: Runtime, artifact: Path) -> None:
    threads_of = THREADS[name_of(runtime)](runtime)
    with pytest.raises(FOUND):
        check_threads(LyingRuntime(runtime, {}), artifact, lambda session: threads_of(session.inner))


@pytest.mark.parametrize("what", ["the model", "the end", "what it said"])
def test_a_runtime_that_ignores_what_it_is_told_is_found(
    runtime: Runtime, artifact: Path, tmp_path: Path, what: str
) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(artifact.read_bytes())
    planted = LyingRuntime(runtime, {"closes": what != "the end"}, instead=other if what == "the model" else None)
    planted.processor_time ^= what == "what it said"
    checks: dict[str, Callable[[], None]] = {
        "the model": lambda: test_garbage_is_refused_with_the_reason(planted, artifact, b"garbage"),
        "the end": lambda: test_a_closed_session_refuses_and_may_be_closed_twice(planted, artifact),
        "what it said": lambda: test_it_declares_correctly_whether_it_measures_processor_time(
            planted, planted.open(artifact, SessionOptions())
        ),
    }
    with pytest.raises(FOUND):
        checks[what]()
    for session in planted.opened:
        session.close()
