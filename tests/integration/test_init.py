"""`nas init` asks on a terminal or takes options, and writes plans that `nas validate` accepts."""

from __future__ import annotations

import json
import os
import pty
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nas.errors import PlanError
from tests.integration.forks import nas_many
from trials.cli.commands import init, planning  # noqa: F401  (they register their commands)
from trials.cli.console import app
from trials.plans.loading import load_plan

#: Answers, one per line, from the task to the number of trials; an empty line takes the default.
PHOTOS = ["image_foldr", "image_folder", "nowhere", "my photos: 'ü'", "16", "", "plane", "plain_convnet", "", ""]
PHOTOS += ["int9", "int8,fp32", "nm_9", "unstructured,channels", "0", "0.25,1", "fast", "0.9xmedian", "5"]
NETWORK = """
from torch import nn

def make(num_classes: int, in_chans: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_chans, 4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photographs, a network, and a folder for plans."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (place := tmp_path / "my photos: 'ü'" / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(random.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(place / f"{number}.png")
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "network_for_init.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_answers_on_a_terminal(folder: Path) -> None:
    done = CliRunner().invoke(app, ["init", "plans/photos.yaml", "--ask"], input="\n".join([*PHOTOS, ""]))
    assert done.exit_code == 0, done.output
    for message in ("did you mean 'image_folder'", "no folder", "'plane'", "int9", "nm_9", "above 0", "metric=number"):
        assert f"{message}" in done.output
    text = (folder / "plans" / "photos.yaml").read_text(encoding="utf-8")
    assert "../my photos: ''ü''" in text
    plan = load_plan(folder / "plans" / "photos.yaml")
    assert plan.task.spec() == {"name": "image_folder", "path": str(folder / "my photos: 'ü'"), "image_size": 16}
    assert plan.space.spec() == {"name": "plain_convnet"}
    sparsity, precision = (policy.spec() for policy in plan.policies)
    assert (sparsity["patterns"], sparsity["densities"]) == (["unstructured", "channels"], [0.25, 1.0])
    assert precision["options"] == ["int8", "fp32"]
    assert plan.limits["latency_ms"].model_dump(exclude_none=True) == {"max": {"relative_to": "median", "factor": 0.9}}
    assert plan.budget.trials == 5


def test_an_end_of_answers_writes_nothing(folder: Path) -> None:
    assert CliRunner().invoke(app, ["init", "plan.yaml", "--ask"], input="digits\n16\n").exit_code == 1
    assert not (folder / "plan.yaml").exists()


def test_a_terminal_is_asked(folder: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "measured_nas", "init", "plan.yaml"])
    shown = b""
    while b"[digits]" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"\x04")  # the end of the input
    with suppress(OSError):  # the terminal was closed
        while os.read(terminal, 1024):
            pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    os.close(terminal)
    assert not (folder / "plan.yaml").exists()


def test_a_file_that_exists_is_replaced_by_force_only(folder: Path) -> None:
    (folder / "plan.yaml").write_text("mine")
    runner = CliRunner()
    done = runner.invoke(app, ["init", "plan.yaml"])
    assert isinstance(done.exception, PlanError)
    assert "--force" in str(done.exception)
    assert (folder / "plan.yaml").read_text() == "mine"
    for refused in (["--limit", "x=1"], ["--code", ""], ["--name", "a b"]):
        assert isinstance(runner.invoke(app, ["init", "plan.yaml", "--force", *refused]).exception, PlanError)
    assert (folder / "plan.yaml").read_text() == "mine"
    assert runner.invoke(app, ["init", "plan.yaml", "--force"]).exit_code == 0
    assert load_plan(folder / "plan.yaml").task.name == "digits"


def test_a_network_of_ones_own_beside_the_plan(folder: Path) -> None:
    asked = ["--network", "network_for_init:make", "--limit", "latency_ms=0.9xoriginal", "--sparsity", "unstructured"]
    moved, *written = nas_many(
        ["init", "own.yaml", *asked],
        ["init", "plans/own.yaml", *asked],
        ["init", "own.yaml", *asked, "--code", "plans"],
    )
    assert moved.returncode == 2
    assert "no module 'network_for_init'" in moved.stderr
    assert [done.returncode for done in written] == [0, 0], written
    plan = load_plan(folder / "plans" / "own.yaml")
    assert plan.space.spec() == {"name": "module", "factory": "network_for_init:make"}
    assert plan.limits["latency_ms"].max.relative_to == "original"  # type: ignore[union-attr]
    assert load_plan(folder / "own.yaml").code == (str(folder), str(folder / "plans"))


ACCEPTED = [
    ["--space", "plain_convnet", "--precisions", "fp32"],
    ["--space", "large_kernel", "--kernels", "3,7", "--precisions", "int8,fp16,fp32", "--sparsity", "nm_2_4"],
    ["--space", "sparse_convnet", "--sparsity", "channels,block_4x1", "--runtime", "openvino", "--precisions", "int4"],
    ["--space", "timm_family", "--runtime", "torch", "--limit", "latency_ms=0.9xmedian"],
    ["--network", "resnet10t", "--image-size", "32", "--limit", "latency_ms=1.5xoriginal"],
    ["--network", "network_for_init:make", "--code", "plans", "--precisions", "fp32"],
    ["--task", "image_folder", "--data", "my photos: 'ü'", "--image-size", "16", "--sparsity", "unstructured"],
    ["--task", "shapes_segmentation", "--image-size", "16", "--limit", "latency_ms=1000", "--limit", "parameters=1e9"],
]


@pytest.mark.slow
@pytest.mark.parametrize("options", ACCEPTED, ids=" ".join)
def test_validate_accepts(options: list[str], folder: Path) -> None:
    for done in nas_many(["init", "plan.yaml", *options], ["validate", "plan.yaml", "estimator.epochs=1", "--json"]):
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["networks"]
