"""What ``verify.py`` says about an exported folder in which something was changed, and on another machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from nas.errors import ExportError, PlanError
from nas.export.formats import FORMATS
from nas.extras import is_installed
from nas.tasks.preparation import normalized
from trials.export.placing import placed_whole
from trials.export.scripts.assembly import write_scripts
from trials.export.sums import sizes
from trials.export.verification.any_folder import verify_folder
from trials.export.verification.recorded import graph_of, record_alone

LABELS = ["red", "green", "blue"]
STEPS: dict[str, Any] = {
    "input": {"shape": [2, 3, 8, 8]},
    "channels": "RGB",
    "resize": {"shorter_side": 8},
    "crop": {"height": 8, "width": 8},
    "divide_by": 255,
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.25, 0.3],
    "labels": LABELS,
}


def write_network(path: Path) -> None:
    """A 1×1 convolution that keeps the channels apart, and their means: the class is the brightest channel."""
    weight = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * np.array(STEPS["std"]).reshape(3, 1, 1, 1)
    constants = [
        numpy_helper.from_array(weight.astype(np.float32), "stem.weight"),
        numpy_helper.from_array(np.array(STEPS["mean"], dtype=np.float32), "stem.bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["input", "stem.weight", "stem.bias"], ["sums"], name="stem"),
        helper.make_node("GlobalAveragePool", ["sums"], ["means"], name="pool"),
        helper.make_node("Flatten", ["means"], ["output"], name="flatten"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"input": [2, 3, 8, 8], "output": [2, 3]}.items()
    ]
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), str(path))


def coloured(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noisy images ``(count, 8, 8, 3)`` uint8 whose brightest channel is their class."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % 3
    pixels = generator.integers(0, 120, (count, 8, 8, 3))
    pixels[np.arange(count), :, :, targets] += 130
    return pixels.astype(np.uint8), targets


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verified") / "mein Export ü"
    with placed_whole(path) as made:
        write_network(made / "model.onnx")
        write_scripts("onnxruntime", made)
        (made / "preprocessing.json").write_text(json.dumps(STEPS, indent=2))
        (made / "notes.txt").write_text("all notes")
        pixels, targets = coloured(6)
        inputs = normalized(pixels, STEPS)
        session = onnxruntime.InferenceSession(str(made / "model.onnx"))
        outputs = np.concatenate([session.run(None, {"input": inputs[place : place + 2]})[0] for place in (0, 2, 4)])
        labels = np.array([LABELS[target] for target in targets])
        np.savez(made / "golden.npz", pixels=pixels, inputs=inputs, outputs=outputs, targets=targets, labels=labels)
        report = {
            "scores": {"validation": {"accuracy": 1.0}, "test": {"accuracy": 1.0}},
            "file": {"name": "model.onnx"},
            "preprocessing": STEPS,
            "golden": {"tolerance": 1e-3},
            "graph": graph_of(made / "model.onnx"),
            "alone": record_alone(made, 1),
            "files": sizes(made),
        }
        (made / "report.json").write_text(json.dumps(report))
    return path


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / exported.name))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, (pixels, target) in enumerate(zip(*coloured(30, seed=1), strict=True)):
        path = tmp_path / "images" / LABELS[target] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "images"


def change_model(folder: Path, change: Callable[[onnx.ModelProto], Any]) -> None:
    model = onnx.load(str(folder / "model.onnx"))
    change(model)
    onnx.save(model, str(folder / "model.onnx"))


def change_weight(model: onnx.ModelProto) -> None:
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values.flat[0] *= 1.5
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "stem.weight"))


def change_steps(folder: Path, **steps: Any) -> None:
    (folder / "preprocessing.json").write_text(json.dumps({**STEPS, **steps}))


def change_report(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    report = json.loads((folder / "report.json").read_text())
    change(report)
    (folder / "report.json").write_text(json.dumps(report))


def list_file(folder: Path, name: str) -> None:
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")


def cut(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])


FAULTS: dict[str, tuple[Callable[[Path], Any], str, str, str]] = {
    "one weight changed": (
        lambda folder: change_model(folder, change_weight),
        "weights",
        "fail",
        "changed: stem.weight",
    ),
    "truncated file": (cut, "file model.onnx", "fail", "it is truncated: "),
    "shorter JSON that is whole": (
        lambda folder: change_steps(folder),
        "file preprocessing.json",
        "fail",
        "its content was changed after the export",
    ),
    "shorter file that may be whole": (
        lambda folder: (folder / "notes.txt").write_text("no"),
        "file notes.txt",
        "fail",
        "its content was changed or cut off after the export: 2 of 9 bytes",
    ),
    "other resizing": (
        lambda folder: change_steps(folder, resize={"shorter_side": 64}),
        "preprocessing.json resize.shorter_side",
        "fail",
        "resize.shorter_side is 64, but was 8",
    ),
    "step removed": (
        lambda folder: change_steps(folder, crop={"height": 8}),
        "preprocessing.json crop.width",
        "fail",
        "crop.width is missing, but was 8",
    ),
    "step added": (
        lambda folder: change_steps(folder, white=255),
        "preprocessing.json white",
        "fail",
        "white is 255, but was missing",
    ),
    "JSON with an error": (
        lambda folder: (folder / "preprocessing.json").write_text('{"input": ]'),
        "folder",
        "fail",
        "preprocessing.json is not JSON: Expecting value: line 1",
    ),
    "other opset": (
        lambda folder: change_model(folder, lambda model: setattr(model.opset_import[0], "version", 17)),
        "opset",
        "fail",
        "opset 17, exported with 18",
    ),
    "wrong mean": (
        lambda folder: change_steps(folder, mean=[0.485, 0.456, 0.406]),
        "pre-processing",
        "fail",
        "mean is [0.485, 0.456, 0.406], but the network was trained with [0.5, 0.4, 0.3]",
    ),
    "mean in BGR order": (
        lambda folder: change_steps(folder, mean=[0.3, 0.4, 0.5]),
        "pre-processing",
        "fail",
        "mean is in the order BGR instead of RGB",
    ),
    "BGR instead of RGB": (
        lambda folder: change_steps(folder, channels="BGR"),
        "pre-processing",
        "fail",
        "channels is BGR, but the network was trained on RGB",
    ),
    "swapped label list": (
        lambda folder: change_steps(folder, labels=["green", "red", "blue"]),
        "labels",
        "fail",
        "the list of labels is in another order",
    ),
    "other runtime version": (
        lambda folder: change_report(folder, lambda report: report["alone"].update(runtime=["onnxruntime", "1.16.3"])),
        "runtime",
        "warning",
        "exported with onnxruntime 1.16.3",
    ),
    "other processor": (
        lambda folder: change_report(folder, lambda report: report["alone"].update(processor="Cortex-A76")),
        "latency",
        "not judged",
        "instead of Cortex-A76",
    ),
    "other CPU quota": (
        lambda folder: change_report(folder, lambda report: report["alone"].update(cpu_quota=64.5)),
        "CPU quota",
        "warning",
        ", recorded 64.5; latencies can differ for this reason",
    ),
    "listed name leaves the folder": (
        lambda folder: list_file(folder, f"../{folder.name}/model.onnx"),
        "file ../mein Export ü/model.onnx",
        "fail",
        "SHA256SUMS lists a path that leaves the folder",
    ),
    "measured file outside": (
        lambda folder: change_report(folder, lambda report: report["file"].update(name="../secret.onnx")),
        "graph",
        "fail",
        "this path leaves the folder",
    ),
    "weight added": (
        lambda folder: change_model(
            folder, lambda model: model.graph.initializer.append(numpy_helper.from_array(np.ones(2), "extra"))
        ),
        "weights",
        "fail",
        "added: extra",
    ),
    "nothing is listed": (
        lambda folder: (folder / "SHA256SUMS").write_text(""),
        "file model.onnx",
        "fail",
        "SHA256SUMS does not list it",
    ),
    "file added": (
        lambda folder: (folder / "verification" / "extra.py").write_text(""),
        "file verification/extra.py",
        "fail",
        "it was added",
    ),
    "report of a list": (
        lambda folder: (folder / "report.json").write_text("[]"),
        "files",
        "fail",
        "report.json can't be read",
    ),
    "report without conditions": (
        lambda folder: change_report(folder, lambda report: report.pop("alone")),
        "folder",
        "fail",
        "KeyError: 'alone'",
    ),
    "format without a name": (
        lambda folder: change_report(folder, lambda report: report.update(formats=[{}])),
        "folder",
        "fail",
        "KeyError: 'format'",
    ),
    "file missing": (lambda folder: (folder / "run.py").unlink(), "file run.py", "fail", "it is missing"),
}


def said(lines: Sequence[dict[str, str]], check: str) -> tuple[str, str]:
    (found,) = [item for item in lines if item["check"] == check]
    return found["verdict"], f"{found['found']}; {found['reason']}"


def test_an_untouched_folder_passes_on_every_line(folder: Path, images: Path) -> None:
    lines = verify_folder(folder, data=images)
    verdicts = {item["check"]: item["verdict"] for item in lines}
    assert verdicts.pop("latency") in ("pass", "warning")
    assert set(verdicts.values()) == {"pass"}
    assert len(verdicts) == 8


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_with_its_reason(fault: str, folder: Path) -> None:
    plant, check, verdict, reason = FAULTS[fault]
    plant(folder)
    found = said(verify_folder(folder), check)
    assert found[0] == verdict
    assert reason in found[1]


def alone(folder: Path, *arguments: str, cpus: set[int] | None = None) -> list[dict[str, str]]:
    command = [sys.executable, "-I", str(folder / "verify.py"), "--json", *arguments]
    limit = None if cpus is None else lambda: os.sched_setaffinity(0, cpus)
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_the_script_alone_names_other_threads_and_fewer_cpus(folder: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    lines = alone(folder, "--threads", "2", cpus=set(cpus[: max(1, len(cpus) // 2)]))
    assert said(lines, "threads") == ("warning", "2, recorded 1; latencies can differ for this reason")
    verdict, reason = said(lines, "latency")
    assert verdict == "not judged"
    assert "threads 2 instead of 1" in reason
    if len(cpus) > 1:
        assert said(lines, "CPUs")[1].startswith(f"{len(cpus) // 2}, recorded {len(cpus)}")


def test_images_in_another_order_of_channels_are_recognised(folder: Path, images: Path) -> None:
    for path in images.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path))[:, :, ::-1].copy()).save(path)
    verdict, reason = said(verify_folder(folder, data=images), "accuracy")
    assert verdict == "fail"
    assert "with red and blue exchanged it is 1.0000: the images are BGR" in reason


def test_a_folder_without_images_of_the_classes_is_refused_by_both_commands(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "yellow").mkdir(parents=True)
    for data, message in {
        tmp_path / "nope": f"--data {tmp_path / 'nope'} does not exist; give a folder",
        other: f"--data {other} has no folder named like a class; found: yellow; expected: red, green, blue",
    }.items():
        command = [sys.executable, "-I", str(folder / "verify.py"), "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (2, f"error: {message}\n")
        with pytest.raises(PlanError, match=re.escape(message)):
            verify_folder(folder, data=data)
    (other / "red").mkdir()
    assert said(verify_folder(folder, data=other), "accuracy")[0] == "fail"


def test_files_that_are_not_images_are_counted(folder: Path, images: Path) -> None:
    (images / "red" / "notes.txt").write_text("no image")
    (images / "red" / "more").mkdir()
    (verdict, text), script = (
        said(lines, "accuracy") for lines in (verify_folder(folder, data=images), alone(folder, "--data", str(images)))
    )
    assert script == (verdict, text)
    assert verdict == "pass"
    assert text.startswith("1.0000 on 30 images (files without an image: 1), 1.0000 on the test split")


def test_without_pillow_the_accuracy_is_not_judged(folder: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nas.tasks.preparation", None)
    assert said(verify_folder(folder, data=images), "accuracy") == (
        "not judged",
        "Pillow is not installed; pip install pillow",
    )


def test_nothing_of_a_folder_is_run(folder: Path, tmp_path: Path) -> None:
    for name in ("network.py", "run.py", "verify.py", "prepare.py", "verification/golden.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    verify_folder(folder)
    assert not (tmp_path / "ran").exists()
    (folder / "kernels.xml").write_bytes(b"")
    with pytest.raises(ExportError, match="--trust-code"):
        verify_folder(folder)
    with pytest.raises(PlanError, match="no SHA256SUMS"):
        verify_folder(tmp_path)


def add_formats(folder: Path, *names: str) -> None:
    """Add formats to a folder: the openers, and what the report says about them."""
    write_scripts("onnxruntime", folder, {name: FORMATS.get(name)() for name in names})
    written = [{"format": name, "relative_error": 1e-6, "requirements": []} for name in names]
    change_report(folder, lambda report: report.update(formats=written))


def test_further_formats_are_compared_and_named(folder: Path) -> None:
    add_formats(folder, "onnx", "openvino")
    (folder / "verification" / "openers" / "openvino.py").write_text("import no_such_runtime")
    command = [sys.executable, "-I", str(folder / "verify.py"), "--json"]
    lines = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    assert said(lines, "format onnx")[0] == "pass"
    assert said(lines, "format openvino")[0] == "not judged"
    assert said(lines, "format openvino")[1].startswith("no_such_runtime is not installed")
    change_model(folder, change_weight)
    lines = verify_folder(folder)
    assert said(lines, "format onnx")[0] == "fail"
    assert said(lines, "format openvino")[0] == "fail"  # there is no model.xml


def without_onnxruntime(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the folder as if ONNX Runtime were not installed."""
    code = f"import runpy, sys; sys.modules['onnxruntime'] = None; runpy.run_path({script!r}, run_name='__main__')"
    command = [sys.executable, "-I", "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_further_format_is_compared_where_only_its_packages_are_installed(folder: Path) -> None:
    done = without_onnxruntime(folder, "verify.py", "--json")
    assert done.returncode == 1
    verdict, reason = said(json.loads(done.stdout), "runtime")
    assert verdict == "fail"
    assert reason == f"onnxruntime can't be imported; pip install onnxruntime=={onnxruntime.__version__}"
    openvino = pytest.importorskip("openvino")
    openvino.save_model(openvino.convert_model(folder / "model.onnx"), folder / "model.xml", compress_to_fp16=False)
    add_formats(folder, "openvino")
    lines = json.loads(without_onnxruntime(folder, "verify.py", "--json").stdout)
    assert said(lines, "runtime")[0] == "not judged"
    assert said(lines, "format openvino")[0] == "pass"
    done = without_onnxruntime(folder, "run.py")
    assert done.stderr.startswith("the runtime of the network can't be imported")
    assert done.stderr.count("\n") == 1


def test_a_format_that_is_code_or_unknown_is_not_opened(folder: Path, tmp_path: Path) -> None:
    add_formats(folder, "torch", "onnx")
    (folder / "model.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    change_report(folder, lambda report: report["formats"][1].update(format="os:system"))
    lines = verify_folder(folder)
    verdict, reason = said(lines, "format torch")
    assert verdict == "not judged"
    assert "pass --trust-code" in reason
    assert said(lines, "format os:system")[0] == "not judged"
    assert not (tmp_path / "ran").exists()


def test_a_format_of_another_environment_is_not_judged_without_its_packages(folder: Path) -> None:
    add_formats(folder, "executorch", "litert")
    lines = verify_folder(folder)
    for name, package in {"executorch": "executorch", "litert": "ai_edge_litert"}.items():
        if not is_installed(package):
            verdict, reason = said(lines, f"format {name}")
            assert verdict == "not judged"
            assert reason == (
                f"{package} is not installed; its packages don't fit those of this project: run verify.py in an "
                "environment of its own"
            )


def test_a_timm_folder_is_opened_only_with_safetensors(folder: Path) -> None:
    if not is_installed("timm"):
        pytest.skip("timm is not installed")
    add_formats(folder, "timm")
    (folder / "model.timm").mkdir()
    (folder / "model.timm" / "config.json").write_text(json.dumps({"architecture": "resnet10t", "num_classes": 3}))
    torch.save({}, folder / "model.timm" / "pytorch_model.bin")
    assert "has no model.safetensors" in said(verify_folder(folder), "format timm")[1]
