"""External benchmark programs: how they are called, and how their times are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from nas.errors import MeasureError, PlanError
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.command import Command
from nas.latency.runtimes.program import Program, load_program, shipped
from nas.latency.runtimes.readings import reading_from

#: Program → its output or report of three runs, the times in it, and its arguments.
RECORDED: dict[str, tuple[str, str, tuple[int, ...], str]] = {
    "benchmark_app": (
        "[ INFO ] Count:            3 iterations\n[ INFO ]    Median:        20.42 us\n"
        "[ INFO ]    Average:       21.73 us\n[ INFO ]    Min:           20.16 us\n[ INFO ]    Max:    32.64 us\n",
        "",
        (20160,),
        "benchmark_app|-m|/m/a b.onnx|-d|CPU|-hint|none|-api|sync|-inference_only|-niter|3|-nstreams|1|-nthreads|2|"
        "-pin|NO|-infer_precision|f32",
    ),
    "litert_adb": (
        "Inference timings in us: Init: 1500, First inference: 900\ncount=1 curr=912\n"
        "count=3 first=700 curr=640 min=601.5 max=700 avg=650.2 std=33 p5=600 median=640 p95=700\n",
        "",
        (601500,),
        "adb|shell|/data/local/tmp/benchmark_model|--graph=/data/local/tmp/abc.tflite|--num_threads=2|--num_runs=3|"
        "--min_secs=0|--warmup_runs=1|--warmup_min_secs=0",
    ),
    "trtexec": (
        "&&&& PASSED TensorRT.trtexec\n",
        json.dumps([{"computeMs": 0.1, "latencyMs": time_ms} for time_ms in (9.0, 0.25, 0.26, 0.24)]),
        (250000, 260000, 240000),
        "trtexec|--onnx=/m/a b.onnx|--iterations=3|--duration=0|--warmUp=200|--noTF32|--exportTimes=/r/report",
    ),
}
#: Prints the time of each reading of the file; exits with code 3 if the file is missing.
PROGRAM = (
    "import pathlib, sys\nsize = len(pathlib.Path(sys.argv[1]).read_bytes())\n"
    "for run in range(int(sys.argv[2])): print('time', size + run)"
)
DESCRIPTION: dict[str, Any] = {
    "command": ["{python}", "-S", "-c", PROGRAM, "{model}", "{runs}"],
    "reading": {"pattern": "^time (?P<time>[0-9]+)", "unit": "us"},
    "formats": ["onnx"],
    "version_command": ["{python}", "-V"],
    "version_pattern": "Python (.*)",
}


def described(folder: Path, **changes: Any) -> str:
    path = folder / "own.json"
    path.write_text(json.dumps({**DESCRIPTION, **changes}))
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a model; $(touch hacked) {runs}.onnx"
    write_reference(LADDER[0], path)
    return path


def test_every_shipped_program_is_recorded_here() -> None:
    assert sorted(RECORDED) == shipped()


@pytest.mark.parametrize("name", shipped())
def test_shipped_descriptions_call_and_read_as_recorded(name: str, tmp_path: Path) -> None:
    output, report, times_ns, arguments = RECORDED[name]
    program: Program = load_program(name)
    values = {"model": "/m/a b.onnx", "name": "abc.tflite", "threads": 2, "batch": 1, "runs": 3}
    assert program.fill(program.command, report="/r/report", **values) == arguments.split("|")
    (path := tmp_path / "report").write_text(report)
    assert program.reading.times_ns(output, path, 3) == times_ns


def test_a_burst_is_one_call_and_a_path_is_never_more_than_one_argument(tmp_path: Path, model: Path) -> None:
    session = Command(program=described(tmp_path)).open(model, SessionOptions())
    size = model.stat().st_size
    assert session.burst(3).wall_ns == tuple(1000 * (size + run) for run in range(3))
    session.close()
    assert not list(tmp_path.glob("**/hacked"))


def test_a_model_is_pushed_before_the_first_call_and_removed_at_the_end(tmp_path: Path, model: Path) -> None:
    device = tmp_path / "device"
    device.mkdir()
    there = {
        "command": ["{python}", "-S", "-c", PROGRAM, "{remote}", "{runs}"],
        "push": ["cp", "{model}", "{remote}"],
        "remote": f"{device}/{{name}}",
        "remove": ["rm", "{remote}"],
    }
    session = Command(program=described(tmp_path, **there)).open(model, SessionOptions())
    (pushed,) = device.iterdir()
    assert pushed.read_bytes() == model.read_bytes()
    assert pushed.name.startswith("measured-nas-")
    assert "touch" not in pushed.name
    session.close()
    assert list(device.iterdir()) == []


def test_programs_see_the_batch_where_the_file_leaves_it_open(tmp_path: Path, model: Path) -> None:
    loaded = onnx.load(str(model))
    loaded.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    onnx.save(loaded, str(model))
    copying = {"push": ["cp", "{model}", "{remote}"], "remote": f"{tmp_path}/{{name}}"}
    command = [*DESCRIPTION["command"][:4], "{remote}", "{runs}"]
    Command(program=described(tmp_path, command=command, **copying)).open(model, SessionOptions(batch=3)).close()
    (seen,) = tmp_path.glob("measured-nas-*")
    assert onnx.load(str(seen)).graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3


@pytest.mark.parametrize(
    ("reading", "report"),
    [
        ({"json_path": ["runs", "*", "ms"], "unit": "ms"}, '{"runs": [{"ms": 2}, {"ms": 1.5}]}'),
        ({"json_path": ["ms"], "unit": "ms"}, '{"ms": [2, "1.5"]}'),
        ({"csv_column": "ms", "delimiter": ";", "unit": "ms"}, "run;ms\n0;2\n1;1.5\n"),
    ],
)
def test_times_are_read_from_reports(reading: dict[str, Any], report: str, tmp_path: Path) -> None:
    (path := tmp_path / "report").write_text(report)
    assert reading_from("x", reading).times_ns("", path, 2) == (2000000, 1500000)
    with pytest.raises(MeasureError, match="2 times for 3 runs"):
        reading_from("x", reading).times_ns("", path, 3)
    path.unlink()
    with pytest.raises(MeasureError, match="does not match its description"):
        reading_from("x", reading).times_ns("", path, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": ["{python}", "-c", "import sys; sys.exit('no such device')", "{model}{runs}"]}, "no such device"),
        ({"command": ["{python}", "-c", "print('time 0')", "{model}{runs}"]}, "no positive times"),
        ({"command": ["{python}", "-c", "print('fast')", "{model}{runs}"]}, "no positive times .* fast"),
        ({"command": ["{python}", "-c", "import time; time.sleep(20)", "{model}{runs}"], "timeout_s": 0.1}, "longer"),
    ],
)
def test_a_program_that_fails_says_how(changes: dict[str, Any], message: str, tmp_path: Path, model: Path) -> None:
    with pytest.raises(MeasureError, match=message):
        Command(program=described(tmp_path, **changes)).open(model, SessionOptions())


def test_a_program_that_is_not_there_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"no-such-program is neither beside .* nor on the path"):
        Command(program=described(tmp_path, command=["no-such-program", "{model}", "{runs}"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"command": ["run", "{model}"]}, "command has no {runs}"),
        ({"command": ["run", "{runs}"]}, "command has no {model}"),
        ({"command": ["run", "{model}", "{runs}", "{shell}"]}, "{shell}; known: {model}"),
        ({"command": "run {model} {runs}"}, "must be a list of strings"),
        ({"push": ["cp", "{model}", "{remote}"], "remote": "/tmp/x"}, "command has no {remote}"),
        ({"remote": "/tmp/{name}"}, "belong together"),
        ({"reading": {"pattern": "([0-9]+)", "unit": "ms"}}, r"no group (?P<time>"),
        ({"reading": {"pattern": "(?P<time>[0-9]+)"}}, "unit ''; allowed: s, ms, us, ns"),
        ({"reading": {"pattern": "(?P<time>[", "unit": "ms"}}, "unterminated"),
        ({"reading": {"unit": "ms"}}, "exactly one of pattern, json_path, csv_column"),
        ({"reading": {"pattern": "(?P<time>.)", "unit": "ms", "statistic": "best"}}, "'best'; allowed: minimum"),
        ({"argv": []}, "unknown key 'argv'; allowed: command"),
    ],
)
def test_a_description_that_can_not_work_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        Command(program=described(tmp_path, **changes))
    assert message in str(caught.value)


def test_a_description_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="known: benchmark_app, litert_adb, trtexec"):
        Command(program="benchmarkapp")
    with pytest.raises(PlanError, match="No such file"):
        Command(program=str(tmp_path / "none.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PlanError, match="is not JSON"):
        Command(program=str(tmp_path / "broken.json"))
