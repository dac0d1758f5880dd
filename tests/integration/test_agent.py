"""A device's agent: measures like this machine does, whatever is sent to it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas.errors import MeasureError, UnreachableError
from nas.latency.agent import API
from nas.latency.agent.bundle import bundled_files
from nas.latency.agent.remote import DeviceAgent
from nas.latency.client import MeasuringProcess
from nas.latency.intervals import Derived, derive
from nas.latency.protobuf import encode
from nas.latency.protocol import Effort
from nas.latency.references import LADDER, write_reference
from nas.latency.samples import Samples
from nas.latency.targets import Target, TargetSpec
from tests.integration.agents import Agent, running_agent

QUICK = Effort(sessions=1, max_sessions=1, visits=2, precision=0.5, budget_s=1)
LONG = Effort(sessions=30, max_sessions=30, visits=60, precision=0.001, budget_s=60)
#: Times do not matter here, so none are calibrated.
REFERENCES = {rung.name: 0.01 * 2**place for place, rung in enumerate(LADDER)}
LEASE_S, REQUEST_S = 2.0, 1.0
OWN_PROGRAM = {"runtime": "command", "parameters": {"program": "/tmp/mine.json"}}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    options = f"--lease-s={LEASE_S}", f"--request-s={REQUEST_S}", "--max-mb=1", "--memory-mb=2000"
    with running_agent(tmp_path_factory.mktemp("agent"), *options) as started:
        yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    write_reference(LADDER[1], path)
    return path


@pytest.fixture
def device(agent: Agent) -> DeviceAgent:
    return device_of(agent)


def device_of(agent: Agent, **changes: Any) -> DeviceAgent:
    reach = {"address": agent.address, "token_file": str(agent.token_file), **changes}
    return DeviceAgent(TargetSpec("device", **reach), patience_s=1.0)


def measure(device: DeviceAgent, model: Path, effort: Effort = QUICK, **options: Any) -> float:
    return device.measure(model, Target(device.spec, REFERENCES, {}), effort=effort, **options).latency_ms


def test_an_agent_answers_what_a_process_of_this_machine_answers(device: DeviceAgent, model: Path) -> None:
    effort = Effort(sessions=3, max_sessions=3, visits=3, precision=0.5, budget_s=5)
    progress: list[Derived] = []
    there = device.measure(model, Target(device.spec, REFERENCES, {}), effort=effort, on_progress=progress.append)
    with MeasuringProcess(TargetSpec("device")) as process:
        here = process.measure(model, Target(process.spec, REFERENCES, {}), effort=effort)
    assert there.conditions.keys() == here.conditions.keys()
    same = ("runtime", "runtime_version", "threads", "batch", "core", "processor", "flags", "protocol", "target")
    assert [there.conditions[key] for key in same] == [here.conditions[key] for key in same]
    assert len(progress) == 3
    assert derive(Samples.from_bytes(there.samples), there.conditions["reference_ms"]) == progress[-1]
    assert device.measure(model, Target(device.spec, REFERENCES, {}), effort=QUICK, reject_above_ms=1e-6).rejected


def test_an_agent_profiles_what_a_process_of_this_machine_profiles(device: DeviceAgent, model: Path) -> None:
    there, version = device.profile(model, Target(device.spec, REFERENCES, {}))
    with MeasuringProcess(TargetSpec("device")) as process:
        here, own_version = process.profile(model, Target(process.spec, REFERENCES, {}))
    assert [node.op for node in there.nodes] == [node.op for node in here.nodes]
    assert version == own_version
    assert 0 < sum(node.time_ms for node in there.nodes) <= there.run_ms


def test_the_bundle_holds_what_it_needs_and_neither_torch_nor_ray(agent: Agent, model: Path) -> None:
    files = bundled_files()
    assert {name.split("/")[0] for name in files} == {"nas"}
    assert {name for name in files if not name.startswith("nas/latency/")} == {
        "nas/__init__.py",
        "nas/errors.py",
        "nas/registry.py",
    }
    assert "nas/latency/agent/remote.py" not in files
    measure(device_of(agent), model)
    for pid in (agent.pid, *agent.workers):
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "/torch/" not in mapped
        assert "/ray/" not in mapped


def http_cases() -> dict[str, tuple[Callable[[Agent, str], tuple[bytes, ...]], int]]:
    """What → (bytes to send, given agent and a lease; the status that refuses them)."""
    zeros = "0" * 64

    def ask(*arguments: Any, **options: Any) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (agent.ask(*arguments, lease=lease, **options),)

    def put(path: str, *headers: str, body: bytes = b"abc") -> Callable[[Agent, str], tuple[bytes, ...]]:
        return ask("PUT", path, *headers, body=body)

    def bare(text: str) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (text.encode("latin-1"),)

    def with_token(change: Callable[[str], str]) -> Callable[[Agent, str], tuple[bytes, ...]]:
        return lambda agent, lease: (
            f"POST /lease HTTP/1.1\r\nContent-Length: 2\r\n{change(agent.token)}\r\n\r\n{{}}".encode("latin-1"),
        )

    return {
        "no token": (bare("POST /lease HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), 401),
        "no token, unknown path": (bare("GET /secret HTTP/1.1\r\n\r\n"), 404),
        "wrong token": (with_token(lambda token: f"Authorization: Bearer {'x' * len(token)}"), 401),
        "half of the token": (with_token(lambda token: f"Authorization: Bearer {token[:16]}"), 401),
        "token twice": (with_token(lambda token: "\r\n".join([f"Authorization: Bearer {token}"] * 2)), 401),
        "token by another scheme": (with_token(lambda token: f"Authorization: Basic {token}"), 401),
        "token that is no ASCII": (with_token(lambda token: "Authorization: Bearer \xff\xfe\xfd"), 401),
        "unknown path": (ask("POST", "/shutdown", body=b"{}"), 404),
        "wrong method": (ask("DELETE", "/measure"), 404),
        "unknown method": (ask("BREW", "/lease"), 501),
        "unknown version": (bare("GET /health HTTP/9.9\r\n\r\n"), 505),
        "not HTTP": (bare("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), 400),
        "path with dots": (put("/artifact/../../../etc/passwd"), 404),
        "path with escaped dots": (put("/artifact/%2e%2e%2f%2e%2e%2fetc%2fpasswd"), 404),
        "path after a hash": (put(f"/artifact/{zeros}/../x"), 404),
        "hash with a null byte": (put(f"/artifact/{zeros[:-1]}%00"), 404),
        "path with another host": (put(f"http://elsewhere/artifact/{zeros}"), 404),
        "2 GB announced": (put(f"/artifact/{zeros}", "Content-Length: 2147483648"), 413),
        "no length": (ask("PUT", f"/artifact/{zeros}"), 411),
        "negative length": (put(f"/artifact/{zeros}", "Content-Length: -1"), 400),
        "length that is no number": (put(f"/artifact/{zeros}", "Content-Length: 0x10"), 400),
        "length twice": (put(f"/artifact/{zeros}", "Content-Length: 3", "Content-Length: 9"), 400),
        "chunked": (put(f"/artifact/{zeros}", "Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"), 411),
        "wrong hash": (put(f"/artifact/{zeros}"), 422),
        "long header": (ask("POST", "/lease", "X-Long: " + "a" * 70_000, body=b"{}"), 431),
        "many headers": (ask("POST", "/lease", *[f"X-{n}: a" for n in range(200)], body=b"{}"), 431),
        "long path": (ask("POST", "/" + "a" * 70_000, body=b"{}"), 414),
        "not JSON": (ask("POST", "/measure", body=b"{'a': 1}"), 400),
        "JSON that is no object": (ask("POST", "/measure", body=b"[1, 2]"), 400),
        "deep JSON": (ask("POST", "/measure", body=b'{"a":' * 8000 + b"1" + b"}" * 8000), 400),
        "JSON that is no text": (ask("POST", "/measure", body=b"\xff\xfe\x00"), 400),
        "long JSON": (ask("POST", "/measure", body=b"{" + b" " * 100_000 + b"}"), 413),
        "end of another's lease": (lambda agent, lease: (agent.ask("DELETE", "/lease", lease="0" * 32),), 410),
        "second lease": (ask("POST", "/lease", body=b"{}"), 409),
        "no file sent before": (ask("POST", "/measure", body=wanted()), 404),
        "unknown runtime": (ask("POST", "/measure", body=wanted(spec={"runtime": "tflite9000"})), 422),
        "code as runtime": (ask("POST", "/measure", body=wanted(spec={"runtime": "os:system"})), 400),
        "runtime of the trainer": (ask("POST", "/measure", body=wanted(spec={"runtime": "torch"})), 422),
        "name with a path": (ask("POST", "/measure", body=wanted(spec={"name": "../x"})), 400),
        "address to call": (ask("POST", "/measure", body=wanted(spec={"address": "http://10.0.0.1:1"})), 400),
        "more keys": (ask("POST", "/measure", body=wanted(path="/etc/passwd")), 400),
        "hash with a path": (ask("POST", "/measure", body=wanted(sha256="../../etc/passwd")), 404),
        "threads without end": (ask("POST", "/measure", body=wanted(spec={"threads": 10**9})), 400),
        "a year's effort": (ask("POST", "/measure", body=wanted(effort={"budget_s": 3e7})), 400),
        "not a number": (ask("POST", "/measure", body=wanted(reject_above_ms=float("nan"))), 400),
        "no references": (ask("POST", "/measure", body=wanted(references={})), 400),
        "profile of no file sent before": (ask("POST", "/profile", body=profiling()), 404),
        "profile of a path": (ask("POST", "/profile", body=profiling(sha256="../../etc/passwd")), 404),
        "profile with a path beside": (ask("POST", "/profile", body=profiling(path="/etc/passwd")), 400),
        "profile of more runs": (ask("POST", "/profile", body=profiling(runs=10**9)), 400),
        "profile by the trainer's runtime": (ask("POST", "/profile", body=profiling(spec={"runtime": "torch"})), 422),
        "profile by code": (ask("POST", "/profile", body=profiling(spec={"runtime": "os:system"})), 400),
        "profile by another's program": (ask("POST", "/profile", body=profiling(spec=OWN_PROGRAM)), 400),
        "profile without a length": (ask("POST", "/profile"), 411),
        "profile without a token": (bare("POST /profile HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"), 401),
    }


def wanted(spec: dict[str, Any] | None = None, effort: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """The body of a request to measure, with something else in it."""
    body = {
        "spec": {**TargetSpec("device").to_json(), **(spec or {})},
        "references": REFERENCES,
        "effort": {**vars(QUICK), **(effort or {})},
        "reject_above_ms": None,
        "sha256": "0" * 64,
        **changes,
    }
    return json.dumps(body).encode()


def profiling(spec: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """The body of a request to profile, with something else in it."""
    body = {"spec": {**TargetSpec("device").to_json(), **(spec or {})}, "sha256": "0" * 64, **changes}
    return json.dumps(body).encode()


@pytest.mark.parametrize("what", list(http_cases()))
def test_a_hostile_request_is_refused_and_the_agent_measures_on(
    agent: Agent, device: DeviceAgent, model: Path, what: str
) -> None:
    pieces, expected = http_cases()[what]
    lease = agent.take_lease()
    status, body = agent.say(*pieces(agent, lease))
    agent.give_back(lease)
    assert status == expected, body
    assert set(json.loads(body)) == {"error"}
    assert agent.token not in body.decode()
    assert measure(device, model) > 0


def send(agent: Agent, content: bytes, name: str = "") -> tuple[int, str]:
    lease = agent.take_lease()
    name = name or hashlib.sha256(content).hexdigest()
    status, body = agent.say(agent.ask("PUT", f"/artifact/{name}", body=content, lease=lease))
    agent.give_back(lease)
    return status, json.loads(body).get("error", "")


def graph_of(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def external() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(numpy_helper.np.zeros((1, 4), "float32"), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return tensor


def test_files_that_are_no_models_or_reach_for_others_are_refused(
    agent: Agent, device: DeviceAgent, model: Path
) -> None:
    good = model.read_bytes()
    status, error = send(agent, good, "0" * 64)
    assert (status, "have the SHA-256" in error) == (422, True)
    hidden = helper.make_node("Constant", [], ["w"], value=external())
    add = helper.make_node("Add", ["x", "w"], ["y"])
    branch = helper.make_graph([hidden], "b", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 4])])
    nested = graph_of(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    deep = b""
    for _ in range(50):
        deep = encode((1, encode((5, encode((6, deep))))))
    for content, message in {
        b"garbage" * 99: "no ONNX file",
        good[: len(good) // 2]: "no ONNX file",
        b"": "Content-Length",
        b"\x00" * 5000: "no ONNX file",
        b"\xff" * 5000: "no ONNX file",
        b"\x08\x01" * 100_000: "no version or no graph",
        encode((1, 8), (7, deep)): "levels of graphs",
        graph_of(add, weights=(external(),)).SerializeToString(): "in other files",
        graph_of(hidden, add).SerializeToString(): "in other files",
        nested.SerializeToString(): "in other files",
    }.items():
        status, error = send(agent, content)
        assert (status, message in error) == (411 if not content else 422, True), error
    assert measure(device, model) > 0


def test_models_that_no_memory_holds_or_no_runtime_knows_are_errors_of_theirs(
    device: DeviceAgent, model: Path, tmp_path: Path
) -> None:
    shape = numpy_helper.from_array(numpy_helper.np.array([40_000, 40_000, 40], "int64"), "s")
    grow = helper.make_node("ConstantOfShape", ["s"], ["big"])
    total = helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0)
    absurd = graph_of(grow, total, helper.make_node("Add", ["x", "sum"], ["y"]), weights=(shape,))
    unknown = graph_of(helper.make_node("NoSuchOp", ["x"], ["y"]))
    for name, content in {"absurd": absurd, "unknown": unknown}.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content.SerializeToString())
        with pytest.raises(MeasureError, match=r"can't run|memory ran out"):
            measure(device, path)
        with pytest.raises(MeasureError, match=r"can't profile|memory ran out"):
            device.profile(path, Target(device.spec, REFERENCES, {}))
        assert measure(device, model) > 0


def test_a_runtime_that_crashes_takes_only_its_process(agent: Agent, device: DeviceAgent, model: Path) -> None:
    def crash() -> None:
        agent.wait_until("working")
        time.sleep(0.3)
        os.kill(agent.workers[0], signal.SIGKILL)

    killer = threading.Thread(target=crash)
    killer.start()
    with pytest.raises(MeasureError, match="SIGKILL over this request"):
        measure(device, model, LONG)
    killer.join()
    assert measure(device, model) > 0


def test_slow_senders_are_cut_off(agent: Agent, device: DeviceAgent, model: Path) -> None:
    status, _ = agent.say(*[b"G", b"E", b"T", b" ", b"/"], pause_s=0.4)
    assert status in (0, 408)
    assert agent.say(b"GET /heal")[0] in (0, 408)
    lease = agent.take_lease()
    head = agent.ask("PUT", f"/artifact/{'0' * 64}", "Content-Length: 1000", lease=lease)
    assert agent.say(head, *[b"a"] * 5, pause_s=0.4)[0] == 408
    agent.give_back(lease)
    assert agent.say(agent.ask("PUT", f"/artifact/{'0' * 64}", "Content-Length: 9"), b"abc", close=True)[0] == 410
    lease = agent.take_lease()
    truncated = agent.ask("PUT", f"/artifact/{'0' * 64}", "Content-Length: 9", lease=lease)
    assert agent.say(truncated, b"abc", close=True)[0] == 400
    agent.give_back(lease)
    assert measure(device, model) > 0


def test_idle_connections_hold_nobody_up_for_long(agent: Agent, device: DeviceAgent, model: Path) -> None:
    idle = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(40)]
    deadline = time.monotonic() + 5 * REQUEST_S
    while True:
        try:
            assert agent.health()["agent"] == API
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    for connection in idle:
        connection.close()
    assert measure(device, model) > 0


def test_a_lease_ends_by_itself(agent: Agent, device: DeviceAgent, model: Path) -> None:
    lease = agent.take_lease()
    agent.wait_until("leased", False)
    assert agent.say(agent.ask("POST", "/measure", body=wanted(), lease=lease))[0] in (404, 410)
    assert agent.say(agent.ask("POST", "/calibrate", body=calibrating(), lease=lease))[0] == 410
    measure(device, model)
    sent = hashlib.sha256(model.read_bytes()).hexdigest()
    assert agent.say(agent.ask("POST", "/profile", body=profiling(sha256=sent), lease=lease))[0] == 410
    assert measure(device, model) > 0


def calibrating() -> bytes:
    return json.dumps({"spec": TargetSpec("device").to_json()}).encode()


def test_who_leaves_in_mid_measurement_frees_the_device(agent: Agent, device: DeviceAgent, model: Path) -> None:
    def leave(derived: Derived) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(device, model, LONG, on_progress=leave)
    agent.wait_until("working", False)
    lease = agent.take_lease()
    with socket.create_connection(("127.0.0.1", agent.port)) as connection:
        connection.sendall(agent.ask("POST", "/calibrate", body=calibrating(), lease=lease))
        agent.wait_until("working")
        assert agent.say(agent.ask("POST", "/calibrate", body=calibrating(), lease=lease))[0] == 409
    agent.wait_until("working", False)
    agent.wait_until("leased", False)
    assert measure(device, model) > 0


def test_an_agent_that_is_not_there_or_vanishes_may_be_asked_again(tmp_path: Path, model: Path) -> None:
    with running_agent(tmp_path) as agent:
        device = device_of(agent)

        def vanish(derived: Derived) -> None:
            agent.kill()

        with pytest.raises(UnreachableError, match=r"ended in mid-measurement|reset"):
            measure(device, model, LONG, on_progress=vanish)
        with pytest.raises(UnreachableError, match="is nas agent running there"):
            measure(device, model)
        agent.start()
        assert measure(device, model) > 0


def test_what_is_wrong_for_good_is_no_reason_to_try_again(agent: Agent, tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other"
    other.write_text("x" * 32)
    other.chmod(0o600)
    wrong = {
        "token is missing or wrong": device_of(agent, token_file=str(other)),
        "can't read the token": device_of(agent, token_file=str(tmp_path / "absent")),
    }
    for message, device in wrong.items():
        with pytest.raises(MeasureError, match=message) as raised:
            measure(device, model)
        assert not isinstance(raised.value, UnreachableError)
    large = tmp_path / "large.onnx"
    large.write_bytes(bytes(2 << 20))
    with pytest.raises(MeasureError, match="--max-mb"):
        measure(device_of(agent), large)
    device = device_of(agent)
    with pytest.raises(MeasureError, match="was calibrated on 'another processor'"):
        device.measure(model, Target(device.spec, REFERENCES, {"processor": "another processor"}), effort=QUICK)


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that proves itself, and its key."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate")
def test_over_tls_only_the_right_certificate_gets_the_token(tmp_path: Path, model: Path) -> None:
    (cert, key), (other, _) = (certificate(tmp_path, name) for name in ("agent", "other"))
    with running_agent(tmp_path, f"--tls-cert={cert}", f"--tls-key={key}", "--request-s=1") as agent:
        address = f"https://127.0.0.1:{agent.port}"
        assert agent.say(agent.ask("POST", "/lease", body=b"{}")) == (0, b"")
        with socket.create_connection(("127.0.0.1", agent.port)):  # says nothing, and holds nobody up
            assert measure(device_of(agent, address=address, tls_ca=str(cert)), model) > 0
        for wrong in (str(other), None):
            with pytest.raises(MeasureError, match="does not prove itself"):
                measure(device_of(agent, address=address, tls_ca=wrong), model)
        with pytest.raises(MeasureError, match="can't read tls_ca"):
            measure(device_of(agent, address=address, tls_ca=str(tmp_path / "absent")), model)
        with pytest.raises(UnreachableError):
            measure(device_of(agent), model)


def test_an_agent_that_ends_leaves_nothing_behind(tmp_path: Path, model: Path) -> None:
    with running_agent(tmp_path) as agent:
        measure(device_of(agent), model)
        (worker,) = agent.workers
        (folder,) = [path for path in Path(tempfile.gettempdir()).glob("nas-agent-*") if str(agent.pid) in path.name]
        assert [path.suffix for path in folder.iterdir()] == [".onnx"]
        assert (folder.stat().st_mode & 0o777) == 0o700
        os.kill(agent.pid, signal.SIGTERM)
        agent.wait()
        assert not folder.exists()
        assert not Path(f"/proc/{worker}").exists()


def old_python() -> str | None:
    """The oldest Python here that the agent promises to run on."""
    versions = Path.home() / ".pyenv" / "versions"  # what pyenv puts on the path starts only what it was told to
    for name in ("3.9", "3.10"):
        for path in [*versions.glob(f"{name}.*/bin/python3"), *Path("/usr/bin").glob(f"python{name}")]:
            return str(path)
    return None


#: Imports every module of a bundle where numpy and the runtimes are there in name only.
IMPORT_ALL = """
import importlib, sys, types

class Pretended(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        return type(name, (), {})
    def __call__(self, *arguments):
        return self

for name in ("numpy", "onnxruntime", "openvino", "openvino.properties"):
    sys.modules[name] = Pretended(name)
sys.modules["openvino.properties"].hint = sys.modules["openvino"]
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    importlib.import_module(name)
print(len(sys.argv) - 2, sys.version_info[:2])
"""


@pytest.fixture(scope="module")
def old_agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    python = old_python()
    if python is None:
        pytest.skip("no Python 3.9 or 3.10 here")
    with running_agent(tmp_path_factory.mktemp("old"), python=python) as started:
        yield started


def test_an_older_python_serves_and_says_what_it_lacks(old_agent: Agent, model: Path) -> None:
    status, error = send(old_agent, b"garbage")
    assert (status, "no ONNX file" in error) == (422, True)
    with pytest.raises(MeasureError, match="runtime 'torch'; this agent knows"):
        DeviceAgent(replace(device_of(old_agent).spec, runtime="torch"))._request(
            {"verb": "calibrate"}, lambda progress: None
        )
    refusal = old_agent.say(*http_cases()["code as runtime"][0](old_agent, old_agent.take_lease()))
    assert refusal[0] == 400


def test_every_module_of_the_bundle_imports_in_an_older_python(old_agent: Agent) -> None:
    names = [name[:-3].replace("/", ".").removesuffix(".__init__") for name in bundled_files() if name.endswith(".py")]
    names = [name for name in names if not name.endswith("__main__")]
    command = [old_agent.python, "-I", "-W", "error", "-c", IMPORT_ALL, str(old_agent.bundle), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{len(names)} ")
