"""``run.py`` of an exported folder, run on its own: any number of inputs, and one line for each mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from trials.export.scripts.assembly import SCRIPTS, write_scripts

BATCH = 4
STEPS = {
    "input": {"shape": [BATCH, 3, 5, 6]},
    "channels": "RGB",
    "crop": {"height": 5, "width": 6},
    "divide_by": 255,
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "labels": ["red", "green", "blue"],
}
ALONE = (
    "import runpy, sys; sys.modules.update(torch=None, trials=None, nas=None); "
    "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported network of three classes, which answers with the brightest channel."""
    path = tmp_path_factory.mktemp("exported")
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["means"]),
        helper.make_node("Flatten", ["means"], ["output"]),
    ]
    shapes = {"input": [BATCH, 3, 5, 6], "output": [BATCH, 3]}
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "brightest", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path / "model.onnx")
    np.savez(path / "golden.npz", inputs=inputs(6), targets=np.array([0, 1, 2, 0, 1, 1]))
    (path / "preprocessing.json").write_text(json.dumps(STEPS))
    (path / "report.json").write_text(json.dumps({"scores": {"validation": {"accuracy": 0.5}}}))
    return path


def inputs(count: int) -> np.ndarray:
    found = np.zeros((count, 3, 5, 6), dtype=np.float32)
    found[range(count), np.arange(count) % 3] = 1
    return found


def run(folder: Path, runtime: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    write_scripts(runtime, folder)
    command = [sys.executable, "-c", ALONE, str(folder / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("runtime", [name for name in SCRIPTS if name != "openvino_kernels"])
def test_any_number_of_inputs(runtime: str, folder: Path, tmp_path: Path) -> None:
    for count in (1, 3, 4, 6):
        np.save(tmp_path / "inputs.npy", inputs(count))
        ran = run(folder, runtime, str(tmp_path / "inputs.npy"))
        assert f"answers: {[number % 3 for number in range(count)]}\n" in ran.stdout, ran.stderr
    ran = run(folder, runtime)
    assert "classes: red, green, blue, red, green, blue" in ran.stdout
    assert "right:   5 of 6 in golden.npz" in ran.stdout
    assert "validation: accuracy 0.5000" in ran.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (inputs(1)[0], "one input is inputs[None]"),
        (inputs(2)[:, :2], "allowed: float32 of shape (N, 3, 5, 6)"),
        (inputs(0), "allowed: float32 of shape (N, 3, 5, 6)"),
        (inputs(2).astype(np.uint8), "inputs of type uint8"),
        (inputs(2) * np.nan, "not finite"),
        (np.array([{}], dtype=object), "is not an array of numbers"),
        (b"\x89PNG\r\n\x1a\n", "(.npy); allowed: float32 of shape (N, 3, 5, 6), prepared as preprocessing.json says"),
        (b"", "is not an array of numbers"),
        (None, "can't be read: No such file"),
    ],
)
def test_a_mistake_is_one_line(given: Any, message: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "inputs.npy"
    if isinstance(given, bytes):
        path.write_bytes(given)
    elif given is not None:
        np.save(path, given)
    ran = run(folder, "onnxruntime", str(path))
    assert ran.returncode == 1
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "pickle" not in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("runtime", [name for name in SCRIPTS if name != "openvino_kernels"])
def test_images_are_prepared(runtime: str, folder: Path, tmp_path: Path) -> None:
    paths = []
    for number, (name, colour) in enumerate({"b": "blue", "r": "red", "g": "lime"}.items()):
        paths.append(str(tmp_path / f"{name}{number} ü.png"))
        Image.new("RGB", (9, 8), colour).save(paths[-1])
    ran = run(folder, runtime, *paths)
    assert "classes: blue, red, green\n" in ran.stdout, ran.stderr


def test_a_mistake_with_images_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    np.save(tmp_path / "inputs.npy", inputs(1))
    for names, message in {
        ("text.jpg",): "text.jpg can't be read as an image: cannot identify image file",
        ("none.jpg",): "none.jpg can't be read as an image: No such file",
        ("inputs.npy", "inputs.npy"): "inputs.npy can't be read as an image",
    }.items():
        ran = run(folder, "onnxruntime", *(str(tmp_path / name) for name in names))
        assert (ran.returncode, ran.stdout) == (1, "")
        assert message in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_help_says_what_goes_in(folder: Path) -> None:
    ran = run(folder, "onnxruntime", "--help")
    assert ran.returncode == 0
    assert "python run.py image.jpg" in ran.stdout
    assert "python run.py inputs.npy" in ran.stdout
