"""The wheel in environments of its own: what each layer of the installation can do, and what its errors name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.layers import Layer, build_wheel, make_layer

PLAN = {
    "name": "tiny",
    "task": {"name": "digits"},
    "space": {"name": "plain_convnet"},
    "strategy": {"name": "random"},
    "estimator": {"name": "training", "epochs": 1},
    "measure": {"precision": 0.5, "canary_every": 0, "budget_s": 0.5},
    "budget": {"trials": 2},
}
#: Extra → modules that can be imported with it and not without it.
PROMISED = {
    "ray": ("ray.tune", "trials.executors.ray_actors", "trials.executors.ray_tune"),
    "dashboard": ("streamlit", "dashboard.app", "dashboard.pages.study"),
    "postgresql": ("psycopg", "psycopg_binary"),
    "openvino": ("openvino", "nas.latency.runtimes.openvino.plain"),
    "kernels": ("openvino", "cmake", "nas.latency.runtimes.openvino.kernels"),
    "onnx-dynamo": ("onnxscript",),
}
PROMISED["all"] = tuple(dict.fromkeys(module for modules in PROMISED.values() for module in modules))
#: Arguments of ``nas`` → texts in its error message.
LACKING = [
    (("search", "plan.yaml", "executor=ray_actors"), ("'ray_actors'", "'ray'", "measured-nas[ray]")),
    (("search", "plan.yaml", "targets=[{name: fast, runtime: openvino}]"), ("'fast'", "measured-nas[openvino]")),
    (("dashboard",), ("nas dashboard", "'streamlit'", "measured-nas[dashboard]")),
    (("list", "--storage", "postgresql://me:secret@host/db"), ("'psycopg'", "measured-nas[postgresql]")),
]
LACKING_TOO = [
    (("search", "plan.yaml", "executor=ray_tune"), ("'ray_tune'", "'ray'", "measured-nas[ray]")),
    (
        ("search", "plan.yaml", "name=far", "--address", "127.0.0.1:1"),
        ("127.0.0.1:1", "ray_actors", "measured-nas[ray]"),
    ),
    (("targets", "add", "pi", "--cluster", "127.0.0.1:1"), ("'ray_actors'", "'ray'", "measured-nas[ray]")),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Layer:
    """An environment without extras, with a plan that names no executor."""
    layer = make_layer(wheel, tmp_path_factory.mktemp("base"))
    (layer.folder / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    return layer


def test_the_base_is_the_wheel_alone(base: Layer) -> None:
    done = base.python("-c", "import measured_nas, nas; print(measured_nas.__file__, nas.__file__)")
    assert done.stdout.count(str(base.environment)) == 2
    for modules in PROMISED.values():
        assert base.python("-c", f"import {modules[0]}").returncode == 1
    assert base.nas("--help").returncode == 0


@pytest.mark.slow
def test_the_base_searches_exports_reports_and_measures(base: Layer) -> None:
    done = base.nas("search", "plan.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Ray is not installed") == 1
    assert "executor: local" in done.stdout
    assert "2 complete" in done.stdout
    done = base.nas("export", "tiny", "--best", "--out", "best")
    assert done.returncode == 0, done.stderr
    done = base.nas("report", "tiny", "--out", "report")
    assert done.returncode == 0, done.stderr
    assert (base.folder / "report" / "report.html").stat().st_size > 10_000
    done = base.nas("measure", "best/model.onnx", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["latency_ms"] > 0
    count = "import measured_nas; print(len(measured_nas.open_study('sqlite:///nas.db', 'tiny').trials()))"
    done = base.python("-c", count)
    assert done.stdout == "2\n", done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"), [*LACKING, *(pytest.param(*case, marks=pytest.mark.slow) for case in LACKING_TOO)]
)
def test_a_missing_package_is_reported_with_its_extra(
    base: Layer, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = base.nas(*arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "pip install 'measured-nas[" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("extra", PROMISED)
def test_an_extra_makes_importable_what_it_promises(wheel: Path, tmp_path: Path, extra: str) -> None:
    layer = make_layer(wheel, tmp_path, [extra])
    imports = "; ".join(f"import {module}" for module in PROMISED[extra])
    done = layer.python("-c", imports)
    assert done.returncode == 0, done.stderr
