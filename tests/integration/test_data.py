"""A study on a folder of images: what it reports about its data, what it exports, what it does when the data change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sqlalchemy import update

from nas.tasks.image_folder import ImageFolder
from nas.tasks.preparation import prepare_file
from tests.integration.forks import nas
from trials.export.loading import load_export
from trials.store.models import Study
from trials.store.store import Store


def write_images(root: Path, count: int = 20) -> Path:
    random = np.random.default_rng(0)
    for place, name in enumerate(("dark[x]", "light")):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 60, (12, 12, 3)) + 150 * place
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


def test_a_study_on_a_folder_of_images(plan: Callable[..., Path], url: str, tmp_path: Path) -> None:
    images = write_images(tmp_path / "images")
    path = plan(
        task={"name": "image_folder", "path": str(images), "image_size": 16, "cache": str(tmp_path / "cache")},
        targets=[{"name": "four", "batch": 4}],
        policies=[],
        estimator={"name": "training", "epochs": 1},
        limits={"recall_of_light": {"min": 0.0}},
        budget={"trials": 1},
    )
    ended = nas("search", str(path), "--storage", url).stdout
    assert "1 of 1 complete candidates were trained for few optimiser steps" in " ".join(ended.split())
    _check_classes_are_stored(url)
    out = tmp_path / "out"
    nas("export", "study", "--best", "--out", str(out), "--storage", url)
    steps = json.loads((out / "preprocessing.json").read_text())
    assert steps["labels"] == ["dark[x]", "light"]
    assert steps["input"]["shape"] == [4, 3, 16, 16]
    assert json.loads((out / "report.json").read_text())["data"] == "as when the study started"
    assert [sum(row) for row in json.loads((out / "report.json").read_text())["classes"]["test"]["matrix"]] == [3, 3]
    assert "<td>light</td><td>3</td>" in (out / "report.html").read_text()
    samples = np.load(out / "golden.npz")
    assert np.bincount(samples["targets"]).tolist() == [3, 3]
    np.save(tmp_path / "three.npy", samples["inputs"][:3])
    command = [sys.executable, str(out / "run.py")]
    ran = subprocess.run([*command, str(tmp_path / "three.npy")], capture_output=True, text=True, check=True)
    assert len(json.loads(ran.stdout.splitlines()[0].removeprefix("answers: "))) == 3
    assert "of 6 in golden.npz" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    _check_images_are_answered(images, out)
    _check_other_files_are_kept(url, out)
    _check_changed_data_are_refused(images, url, tmp_path / "refused")


def _check_classes_are_stored(url: str) -> None:
    candidate = json.loads(nas("show", "study", "0", "--storage", url, "--json").stdout)
    assert candidate["confusion"]["classes"] == ["dark[x]", "light"]
    assert [sum(row) for row in candidate["confusion"]["matrix"]] == [3, 3]
    metrics = candidate["row"]["metrics"]
    shares = [metrics[f"recall_of_{name}"]["value"] for name in ("dark_x_", "light")]
    assert sum(shares) / 2 == metrics["accuracy"]["value"]
    assert "trained for 1 optimiser steps only" in candidate["row"]["doubts"]
    shown = " ".join(nas("show", "study", "0", "--storage", url).stdout.split())
    assert "dark[x] 3 " in shown
    assert "trained for 1 optimiser steps only" in shown
    assert "few optimiser steps" in " ".join(nas("status", "study", "--storage", url).stdout.split())


def _check_images_are_answered(images: Path, out: Path) -> None:
    copy = shutil.copytree(out, out.parent / "a copy ü")
    files = sorted((images / "light").iterdir())
    command = [sys.executable, "-I", str(copy / "run.py"), *map(str, files)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    task = ImageFolder(str(images), image_size=16, cache="")
    module = load_export(out)
    expected = module(torch.from_numpy(np.concatenate([prepare_file(file, task.preprocessing()) for file in files])))
    assert json.loads(printed.splitlines()[0].removeprefix("answers: ")) == expected.argmax(dim=1).tolist()


def _check_other_files_are_kept(url: str, out: Path) -> None:
    (out / "run.py").write_text("old")
    command = ("export", "study", "--best", "--out", str(out), "--storage", url)
    nas(*command, "--force")
    assert "numpy" in (out / "run.py").read_text()
    (out / "notes.txt").write_text("mine")
    refused = nas(*command, "--force", check=False)
    assert refused.returncode == 2
    assert "contains files that no export wrote: notes.txt" in " ".join(refused.stderr.split())
    assert (out / "notes.txt").read_text() == "mine"


def _check_changed_data_are_refused(images: Path, url: str, out: Path) -> None:
    (images / "light" / "3.png").unlink()
    refused = nas("export", "study", "--best", "--out", str(out), "--storage", url, check=False)
    assert refused.returncode != 0
    assert "the data of study 'study' changed since it started" in " ".join(refused.stderr.split())
    assert not out.exists()
    store = Store(url)
    with store.engine.begin() as connection:
        connection.execute(update(Study).values(state="interrupted"))
    refused = nas("resume", "study", "--storage", url, check=False)
    assert refused.returncode != 0
    assert "changed since it started" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr
