"""Mistakes of users: each gives a message that says what to do and exit code 2; nothing is spent or stored."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nas.errors import NasError, PlanError
from nas.latency.runtimes import RUNTIMES
from tests.integration.conftest import MINE
from tests.integration.forks import nas
from trials.launch.studies import search
from trials.plans.loading import load_plan
from trials.plans.plan import make_plan
from trials.plans.problem import open_problem
from trials.store.read.rows import study_row
from trials.store.store import Store
from trials.store.write.studies import create_study

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"space": {"name": "plain_convnte"}}, "did you mean 'plain_convnet'"),
    ({"space": {"name": "plain_convnet", "prest": "small"}}, "did you mean 'preset'"),
    ({"task": {"name": "digits", "image_size": 4}}, "image_size"),
    ({"task": {"name": "cifar10", "path": "/no/such/folder"}}, "cifar-10-batches-py"),
    ({"task": {"name": "image_folder", "path": "/no/such/folder"}}, "/no/such/folder"),
    ({"task": {"name": "nowhere:Task"}}, "nowhere"),
    ({"strategy": {"name": "nsga3"}}, "did you mean 'nsga2'"),
    ({"strategy": {"name": "nsga2", "nam": "tpe"}}, "did you mean 'name'"),
    ({"strategy": {"name": "nsga2", "population": 9}}, "population_size"),
    ({"estimator": {"name": "training", "epoch": 3}}, "epochs"),
    ({"estimator": {"name": "training", "epochs": True}}, "epochs is True; it takes no true or false"),
    ({"estimator": {"name": "training", "learning_rate": -0.1}}, "learning_rate"),
    ({"task": {"name": "os:system"}}, "not a subclass of nas.tasks.Task"),
    ({"task": {"name": "nas.tasks:Task"}}, "is abstract"),
    ({"space": {"name": "nas.tasks.digits:Digits"}}, "not a subclass of nas.space.search_space.SearchSpace"),
    ({"space": {"name": "module", "factory": "os:getcwd"}}, "name a function or a class"),
    ({"policies": [{"name": "os:system"}]}, "not a subclass of nas.space.policy.Policy"),
    ({"policies": [{"name": "sparsity", "patterns": ["os:system"]}]}, "not an object of nas.sparsity.Pattern"),
    ({"policies": [{"name": "sparsity", "schedule": "os:system"}]}, "not a subclass of nas.sparsity.Schedule"),
    ({"policies": [{"name": "precision", "calibration": "os:system"}]}, "not a subclass of nas.quantization.Cal"),
    ({"strategy": {"name": "os:system"}}, "not a subclass of nas.strategies.Strategy"),
    ({"estimator": {"name": "os:system"}}, "not a subclass of nas.estimators.Estimator"),
    ({"exporter": {"name": "os:system"}}, "not a subclass of nas.export.Exporter"),
    ({"executor": "os:system"}, "not a subclass of trials.executors.Executor"),
    ({"targets": [{"name": "a", "runtime": "os:system"}]}, "not a subclass of nas.latency.runtimes.Runtime"),
    ({"task": {"name": "digits", "image_size": True}}, "image_size of 'digits' is True; it takes a whole number"),
    ({"estimator": {"name": "training", "optimizer": "adamww"}}, "adamw"),
    ({"objectives": {"acuracy": "maximize"}}, "did you mean 'accuracy'"),
    ({"limits": {"latency_ms@pi": {"max": 1}}}, "latency_ms"),
    ({"targets": [{"name": "local", "runtime": "onnxrt"}]}, "onnxruntime"),
    ({"targets": [{"name": "a", "runtime": {"name": "torch", "kompile": True}}]}, "did you mean 'compile'"),
    ({"targets": [{"name": "a", "runtime": {"name": "onnxruntime", "provider": "gpu"}}]}, "cpu, cuda, tensorrt"),
    ({"targets": [{"name": "a", "runtime": {"name": "command", "program": "trtexec"}}]}, "trtexec is neither beside"),
    (
        {"targets": [{"name": "a", "runtime": "torch"}], "policies": [{"name": "precision", "options": ["int4"]}]},
        "runtime 'torch' does not support int4, only fp16, fp32",
    ),
    ({"policies": [{"name": "precision", "scope": "layer"}]}, "network, stage, site"),
    ({"policies": [{"name": "precision"}, {"name": "precision"}]}, "precision"),
    ({"policies": [{"name": "sparsity", "densities": [0.0, 1.0]}]}, "density 0.0 is a kept fraction"),
    ({"policies": [{"name": "sparsity", "patterns": ["unstructred"]}]}, "did you mean 'unstructured'"),
    ({"policies": [{"name": "sparsity", "schedule": {"name": "gradual", "frm": 0.1}}]}, "no parameter 'frm'"),
    ({"policies": [{"name": "sparsity"}, {"name": "sparsity", "scope": "site"}]}, "both change weights"),
    ({"policies": [{"name": "precision", "options": ["int2"]}]}, "int4, int8, fp16, fp32"),
    ({"policies": [{"name": "precision", "calibration": "entropie"}]}, "did you mean 'entropy'"),
    ({"executor": "rays"}, "ray_actors"),
    ({"exporter": {"name": "onxn"}}, "did you mean 'onnx'"),
]


@pytest.mark.parametrize(("keys", "message"), MISTAKES)
def test_a_plan_is_refused_as_a_whole_before_anything_runs(keys: dict[str, Any], message: str) -> None:
    plan = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, "code": [str(MINE)], **keys}
    with pytest.raises(NasError) as caught:
        open_problem(make_plan(plan))
    assert message in str(caught.value)


def test_a_runtime_that_is_not_installed_is_refused_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    for module in ("quiet", "session", "plain"):
        monkeypatch.delitem(sys.modules, f"nas.latency.runtimes.openvino.{module}", raising=False)
    targets = [{"name": "local"}, {"name": "ov", "runtime": "openvino"}]
    with pytest.raises(PlanError, match=r"'ov'.*pip install 'measured-nas\[openvino\]'"):
        open_problem(make_plan({"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, "targets": targets}))


def test_a_precision_the_runtime_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUNTIMES.get("onnxruntime"), "precisions", frozenset({"int8", "fp32"}))
    plan = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, "policies": [{"name": "precision"}]}
    open_problem(make_plan(plan))
    plan["policies"] = [{"name": "precision", "options": ["int4", "fp32"]}]
    with pytest.raises(PlanError, match="does not support int4, only fp32, int8"):
        open_problem(make_plan(plan))


def test_a_format_that_nobody_exports_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.latency.runtimes.command._find", lambda program, name: name)
    targets = [{"name": "phone", "runtime": {"name": "command", "program": "litert_adb"}}]
    with pytest.raises(PlanError, match=r"'phone'.*opens tflite, but exporter 'onnx' writes onnx"):
        open_problem(make_plan({"task": {"name": "digits"}, "space": {"name": "plain_convnet"}, "targets": targets}))


def test_kernels_that_skip_zeros_need_a_policy_that_makes_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    runtime = {"name": "torch", "device": "cuda", "half": True, "semi_structured": True}
    plan: dict[str, Any] = {"task": {"name": "digits"}, "space": {"name": "plain_convnet"}}
    plan |= {"targets": [{"name": "gpu", "runtime": runtime}], "policies": [{"name": "sparsity", "patterns": "nm_2_4"}]}
    open_problem(make_plan(plan))
    plan["policies"] = [{"name": "sparsity", "patterns": ["nm_1_8"]}]
    with pytest.raises(PlanError, match=r"skip the zeros of nm_2_4, nm_2_4_by_4, but .* choose from nm_1_8"):
        open_problem(make_plan(plan))


def test_an_impossible_limit_names_the_smallest_network(plan: Callable[..., Path], url: str) -> None:
    path = plan(limits={"latency_ms": {"max": 0.0001}})
    refused = nas("search", str(path), "--storage", url, check=False)
    assert refused.returncode == 2
    assert "the smallest network of this space takes 0.0" in refused.stderr
    assert json.loads(nas("list", "--storage", url, "--json").stdout) == []


def test_a_limit_relative_to_a_metric_of_training_is_refused(plan: Callable[..., Path], url: str) -> None:
    path = plan(limits={"accuracy": {"min": {"relative_to": "median", "factor": 1.0}}})
    with pytest.raises(NasError, match="only known after the training"):
        search(load_plan(path), storage=url)


def test_a_taken_name_is_refused_and_the_study_stays(plan: Callable[..., Path], url: str) -> None:
    columns: dict[str, Any] = {"plan": {}, "limits": {}, "objectives": {}, "environment": {}}
    Store(url).write(create_study, name="study", group="study", role="search", seed=0, **columns)
    refused = nas("search", str(plan()), "--storage", url, check=False)
    assert refused.returncode == 2
    assert "nas resume study" in refused.stderr
    assert Store(url).read(study_row, "study").state == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "."], "is a folder"),
        (["search", "none.yaml"], "does not exist; `nas init`"),
        (["status", "x", "--storage", "mysql://localhost/x"], "mysql"),
        (["status", "x", "--storage", "nas.db"], "sqlite:///nas.db"),
        (["status", "x", "--storage", "postgresql://127.0.0.1:1/x"], "can't open"),
        (["status", "x", "--storage", "sqlite:///new.db"], "no study 'x'"),
        (["measure", "none.onnx"], "there is no file"),
        (["export", "x", "--out", "o"], "--trial N, --best, --knee, --top N or --pareto"),
        (["init", "x.yaml", "--limit", "latency_ms"], "metric=number"),
    ],
)
def test_commands(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused = nas(*arguments, check=False)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
