"""What every registered runtime keeps, whatever it runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from nas.errors import MeasureError, PlanError
from nas.export.node_layers import node_layers
from nas.latency.references import LADDER, write_reference
from nas.latency.runtimes import RUNTIMES, Runtime, Session, SessionOptions, make_runtime
from nas.latency.runtimes import answering as answering_runtime

#: Times runs of reading a model, after a look whether it is one.
PROGRAM = """
import sys, time
content = open(sys.argv[1], "rb").read()
if content[:1] != b"\\x08":
    sys.exit("this is no model")
for _ in range(int(sys.argv[2])):
    start = time.perf_counter_ns()
    sum(content)
    print("run", time.perf_counter_ns() - start)
"""
ANSWERING = [name for name in RUNTIMES.names() if RUNTIMES.get(name).answers]

#: Artifact format → writer of a small model.
WRITERS: dict[str, Callable[[Path], None]] = {"onnx": lambda path: write_reference(LADDER[1], path)}


@pytest.fixture(params=RUNTIMES.names())
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Runtime:
    return make_runtime(request.param, parameters_of(request.param, tmp_path))


def parameters_of(name: str, folder: Path) -> dict[str, str]:
    return {"program": described(folder)} if name == "command" else {}


def described(folder: Path) -> str:
    """The description of a program that is quick to start."""
    description = {
        "command": ["{python}", "-S", "-c", PROGRAM, "{model}", "{runs}"],
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
    (format_name,) = [name for name in sorted(runtime.formats) if name in WRITERS][:1]
    path = folder / f"model.{format_name}"
    WRITERS[format_name](path)
    return path


@pytest.fixture
def session(runtime: Runtime, artifact: Path) -> Iterator[Session]:
    opened = runtime.open(artifact, SessionOptions())
    yield opened
    opened.close()


@pytest.fixture(params=ANSWERING)
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
    for name in ANSWERING:
        other = RUNTIMES.get(name)()
        (artifact,) = tmp_path.glob("model.*")
        if artifact.suffix.removeprefix(".") in other.formats:
            opened = other.open(artifact, SessionOptions())
            # A value of 16 bits would be off by a thousandth.
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
def test_one_that_gives_no_answers_says_so(name: str, tmp_path: Path) -> None:
    runtime = make_runtime(name, parameters_of(name, tmp_path))
    opened = runtime.open(written(runtime, tmp_path), SessionOptions())
    assert opened.input_shape == ()
    with pytest.raises(MeasureError, match="answers"):
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
        assert "does not tell" in str(error)  # noqa: PT017 — a runtime without a profiler says so
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


def test_it_says_truly_whether_it_tells_processor_time(runtime: Runtime, session: Session) -> None:
    assert bool(session.burst(1).process_ns) == runtime.processor_time


def test_a_parameter_it_does_not_take_is_refused(runtime: Runtime) -> None:
    name = next(name for name in RUNTIMES.names() if isinstance(runtime, RUNTIMES.get(name)))
    with pytest.raises(PlanError, match="no parameter 'no_such_parameter'"):
        make_runtime(name, {"no_such_parameter": 1})


@pytest.mark.parametrize("name", [name for name in RUNTIMES.names() if name != "torch"])
def test_it_imports_no_torch_and_leaves_the_home_folder_alone(name: str, tmp_path: Path) -> None:
    """Packages that report to their makers keep an identity in the home folder; these must not."""
    (home := tmp_path / "home").mkdir()
    write_reference(LADDER[0], tmp_path / "model.onnx")
    code = (
        "import sys\nfrom pathlib import Path\nfrom nas.latency.runtimes import RUNTIMES, SessionOptions\n"
        f"RUNTIMES.get({name!r})().open(Path({str(tmp_path / 'model.onnx')!r}), SessionOptions()).burst(2)\n"
        "assert not {'torch', 'ray', 'openvino_telemetry'} & set(sys.modules)"
    )
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []
