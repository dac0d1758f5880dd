"""An agent on a device measures as this machine does, whatever is sent to it."""

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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from onnx import helper, numpy_helper

from nas.errors import MeasureError, UnreachableError
from nas.latency.agent import API
from nas.latency.agent.bundle import bundled_files
from nas.latency.agent.remote import DeviceAgent
from nas.latency.process.client import MeasuringProcess
from nas.latency.protocol.intervals import Derived, derive
from nas.latency.protocol.measure import Effort
from nas.latency.protocol.references import LADDER, write_reference
from nas.latency.protocol.samples import Samples
from nas.latency.targets import Target, TargetSpec
from tests.integration.agents import Agent, running_agent
from tests.integration.hostile_files import graph_of, hostile_files
from tests.integration.hostile_requests import QUICK, REFERENCES, calibrating, hostile_requests, profiling, wanted

LONG = Effort(sessions=30, max_sessions=30, visits=60, precision=0.001, budget_s=60)
LEASE_S, REQUEST_S, WORK_S = 2.0, 1.0, 2.0


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
    assert "nas/kernels/source/CMakeLists.txt" in files
    assert {name for name in files if not name.startswith(("nas/latency/", "nas/kernels/"))} == {
        "nas/__init__.py",
        "nas/errors.py",
        "nas/extras.py",
        "nas/foreign.py",
        "nas/import_path.py",
        "nas/memory.py",
        "nas/place.py",
        "nas/processor.py",
        "nas/registry.py",
        "nas/scalars.py",
        "nas/scratch.py",
    }
    assert "nas/latency/agent/remote.py" not in files
    measure(device_of(agent), model)
    for pid in (agent.pid, *agent.workers):
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "/torch/" not in mapped
        assert "/ray/" not in mapped


@pytest.mark.parametrize("what", list(hostile_requests()))
def test_a_hostile_request_is_refused_and_the_agent_measures_on(
    agent: Agent, device: DeviceAgent, model: Path, what: str
) -> None:
    pieces, expected = hostile_requests()[what]
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


def test_files_that_are_no_models_or_reach_for_others_are_refused(
    agent: Agent, device: DeviceAgent, model: Path
) -> None:
    good = model.read_bytes()
    status, error = send(agent, good, "0" * 64)
    assert (status, "have the SHA-256" in error) == (422, True)
    for content, message in hostile_files(good).items():
        status, error = send(agent, content)
        assert (status, message in error) == (411 if not content else 422, True), error
    assert measure(device, model) > 0


def test_models_too_large_or_unknown_to_the_runtime_are_errors_of_the_model(
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
        os.kill(agent.workers[0], signal.SIGSEGV)

    killer = threading.Thread(target=crash)
    killer.start()
    with pytest.raises(MeasureError, match="SIGSEGV during this request"):
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


def test_connections_without_the_token_block_no_client(tmp_path: Path, model: Path) -> None:
    """Neither silent connections nor those that slowly send headers block others: the oldest of them are closed."""
    with running_agent(tmp_path, "--request-s=60") as agent:
        idle = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(200)]
        for connection in idle[::2]:
            connection.sendall(b"POST /measure HTTP/1.1\r\nX-Slow: a")
        assert agent.health()["agent"] == API
        assert measure(device_of(agent), model) > 0
        for connection in idle:
            connection.close()


def test_a_lease_cannot_measure_files_of_another_lease(agent: Agent, device: DeviceAgent, model: Path) -> None:
    content = model.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    lease = agent.take_lease()
    assert agent.say(agent.ask("PUT", f"/artifact/{sha256}", body=content, lease=lease))[0] == 200
    agent.give_back(lease)
    lease = agent.take_lease()
    for verb, body in {"measure": wanted(sha256=sha256), "profile": profiling(sha256=sha256)}.items():
        status, error = agent.say(agent.ask("POST", f"/{verb}", body=body, lease=lease))
        assert (status, b"under the same lease" in error) == (404, True)
    agent.give_back(lease)
    assert measure(device, model) > 0


def endless(folder: Path) -> Path:
    """A model whose run never ends."""
    scalars = [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, [])]
    value, result = (helper.make_tensor_value_info(name, 1, None) for name in ("value", "result"))
    goes_on = helper.make_tensor_value_info("goes_on", 9, [])
    nodes = [helper.make_node("Identity", ["go"], ["goes_on"]), helper.make_node("Add", ["value", "value"], ["result"])]
    body = helper.make_graph(nodes, "body", [*scalars, value], [goes_on, result])
    count = numpy_helper.from_array(numpy_helper.np.array(2**62, "int64"), "count")
    path = folder / "endless.onnx"
    loop = helper.make_node("Loop", ["count", "", "x"], ["y"], body=body)
    path.write_bytes(graph_of(loop, weights=(count,)).SerializeToString())
    return path


def test_a_model_that_runs_for_ever_does_not_keep_the_device(
    agent: Agent, device: DeviceAgent, model: Path, tmp_path: Path
) -> None:
    path = endless(tmp_path)
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    for leave in (socket.socket.close, lambda connection: connection.shutdown(socket.SHUT_WR)):
        lease = agent.take_lease()
        assert agent.say(agent.ask("PUT", f"/artifact/{sha256}", body=content, lease=lease))[0] == 200
        with socket.create_connection(("127.0.0.1", agent.port)) as connection:
            connection.sendall(agent.ask("POST", "/measure", body=wanted(sha256=sha256), lease=lease))
            agent.wait_until("working")
            leave(connection)
            agent.wait_until("working", False)
        agent.give_back(lease)
    assert measure(device, model) > 0


def test_work_that_never_ends_is_ended(tmp_path: Path) -> None:
    with (
        running_agent(tmp_path, f"--work-s={WORK_S}", "--memory-mb=2000") as impatient,
        pytest.raises(MeasureError, match=f"took more than the {WORK_S:g} s that the agent allows"),
    ):
        measure(device_of(impatient), endless(tmp_path))


def test_a_lease_ends_by_itself(agent: Agent, device: DeviceAgent, model: Path) -> None:
    lease = agent.take_lease()
    agent.wait_until("leased", False)
    assert agent.say(agent.ask("POST", "/measure", body=wanted(), lease=lease))[0] in (404, 410)
    assert agent.say(agent.ask("POST", "/calibrate", body=calibrating(), lease=lease))[0] == 410
    measure(device, model)
    sent = hashlib.sha256(model.read_bytes()).hexdigest()
    assert agent.say(agent.ask("POST", "/profile", body=profiling(sha256=sent), lease=lease))[0] == 410
    assert measure(device, model) > 0


def test_a_client_that_leaves_during_a_measurement_frees_the_device(
    agent: Agent, device: DeviceAgent, model: Path
) -> None:
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


def test_an_agent_that_vanishes_can_be_used_after_a_restart(tmp_path: Path, model: Path) -> None:
    with running_agent(tmp_path) as agent:
        device = device_of(agent)

        def vanish(derived: Derived) -> None:
            agent.kill()

        with pytest.raises(UnreachableError, match=r"ended during the measurement|reset"):
            measure(device, model, LONG, on_progress=vanish)
        with pytest.raises(UnreachableError, match="check that nas agent is running there"):
            measure(device, model)
        agent.start()
        assert measure(device, model) > 0


def test_permanent_errors_are_not_retried(agent: Agent, tmp_path: Path, model: Path) -> None:
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
    """A self-signed certificate and its key."""
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
        with socket.create_connection(("127.0.0.1", agent.port)):  # sends nothing, and must block nobody
            assert measure(device_of(agent, address=address, tls_ca=str(cert)), model) > 0
        for wrong in (str(other), None):
            with pytest.raises(MeasureError, match="can't be verified"):
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
        assert len(list(folder.rglob("*.onnx"))) == 1
        assert (folder.stat().st_mode & 0o777) == 0o700
        os.kill(agent.pid, signal.SIGTERM)
        agent.wait()
        assert not folder.exists()
        assert not Path(f"/proc/{worker}").exists()


def old_python() -> str | None:
    """The oldest installed Python that the agent supports."""
    versions = Path.home() / ".pyenv" / "versions"  # pyenv's shims run only the versions that are selected
    for name in ("3.9", "3.10"):
        for path in [*versions.glob(f"{name}.*/bin/python3"), *Path("/usr/bin").glob(f"python{name}")]:
            return str(path)
    return None


#: Imports every module of a bundle, with empty modules in place of numpy and the runtimes.
IMPORT_ALL = """
import importlib, sys, types

class Pretended(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        return type(name, (), {"__class_getitem__": classmethod(lambda cls, item: cls)})
    def __call__(self, *arguments):
        return self

for name in (
    "numpy", "numpy.typing", "onnxruntime", "openvino", "openvino._offline_transformations", "openvino.properties",
    "openvino.properties.hint", "openvino.utils", "openvino.utils.node_factory",
):
    sys.modules[name] = Pretended(name)
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
    assert (status, "not an ONNX file" in error) == (422, True)
    with pytest.raises(MeasureError, match="runtime 'torch' is unknown; this agent knows"):
        DeviceAgent(replace(device_of(old_agent).spec, runtime="torch"))._request(
            {"verb": "calibrate"}, lambda progress: None
        )
    refusal = old_agent.say(*hostile_requests()["code as runtime"][0](old_agent, old_agent.take_lease()))
    assert refusal[0] == 400


def test_every_module_of_the_bundle_imports_in_an_older_python(old_agent: Agent) -> None:
    names = [name[:-3].replace("/", ".").removesuffix(".__init__") for name in bundled_files() if name.endswith(".py")]
    names = [name for name in names if not name.endswith("__main__")]
    command = [old_agent.python, "-I", "-W", "error", "-c", IMPORT_ALL, str(old_agent.bundle), *names]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{len(names)} ")
