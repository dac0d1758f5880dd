"""The layout of a model repository on the Hugging Face Hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from trials.export.card import licence_metadata
from trials.export.layouts.paths import hide_paths

#: Files that run the network; they stay together.
_RUNNING = (
    "model.onnx",
    "model_with_preprocessing.onnx",
    "kernels.xml",
    "kernels.bin",
    "kernels.so",
    "run.py",
    "prepare.py",
    "network.py",
    "preprocessing.json",
    "golden.npz",
    "report.json",
    "requirements.txt",
)
#: Parts of the export that check it, which work only in the export itself.
_LEFT_OUT = ("verify.py", "verification", "SHA256SUMS", "UNVERIFIED", "__pycache__")

#: Text of the card or the report → its text in this layout.
_MOVED = {
    "-r requirements.txt": "-r onnx/requirements.txt",
    "python run.py": "python onnx/run.py",
    "`prepare.py`": "`onnx/prepare.py`",
    "`preprocessing.json`": "`onnx/preprocessing.json`",
    "`report.json`": "`onnx/report.json`",
    ">preprocessing.json says": ">onnx/preprocessing.json says",
}


def write_layout(folder: Path, to: Path) -> None:
    """Write ``README.md`` with a model card's metadata, ``config.json``, ``model.safetensors`` and ``onnx/``.

    ``onnx`` contains the measured file, ``run.py`` and what it needs. Files and folders of other formats are next to
    the card. What checks the export is left out. Absolute paths of this machine, which the plan contains, become names.
    """
    report, steps, architecture = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("report", "preprocessing", "architecture")
    )
    (to / "onnx").mkdir()
    for path in folder.iterdir():
        if path.name in _LEFT_OUT:
            continue
        place = to / "onnx" / path.name if path.name in _RUNNING else to / path.name
        if path.is_dir():
            shutil.copytree(path, place)
        else:
            shutil.copyfile(path, place)
    config = json.dumps(_config(report, steps, architecture), indent=2)
    (to / "config.json").write_text(config, encoding="utf-8")
    data = yaml.safe_load((folder / "plan.yaml").read_text(encoding="utf-8"))["task"]["name"]
    card = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    (to / "README.md").write_text(f"---\n{_metadata(report, data)}\n---\n{_moved(card)}", encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    (to / "report.html").write_text(_moved(page), encoding="utf-8")
    plan = yaml.safe_load((folder / "plan.yaml").read_text(encoding="utf-8"))
    hide_paths(to, [plan, report["weights"], architecture])


def _config(report: dict[str, Any], steps: dict[str, Any], architecture: dict[str, Any]) -> dict[str, Any]:
    labels = steps["labels"]
    return {
        "model_type": architecture["space"]["name"],
        "architecture": {key: architecture[key] for key in ("space", "policies", "choices")},
        "num_channels": steps["input"]["shape"][1],
        "image_size": steps["input"]["shape"][2],
        "num_labels": len(labels),
        "id2label": {str(number): name for number, name in enumerate(labels)},
        "label2id": {name: number for number, name in enumerate(labels)},
        "preprocessing": {key: value for key, value in steps.items() if key != "labels"},
        "num_parameters": report["parameters"],
    }


def _metadata(report: dict[str, Any], data: str) -> str:
    task = ("image-classification", "Image Classification")
    results = [
        EvalResult(
            task_type=task[0],
            task_name=task[1],
            dataset_type=data,
            dataset_name=data,
            dataset_split="test",
            metric_type=item["metric"],
            metric_value=item["test"][0],
        )
        for item in report["gaps"]
    ]
    licence = licence_metadata(report)
    card = ModelCardData(
        license=licence["license"],
        license_name=licence.get("license_name"),
        library_name="onnx",
        pipeline_tag=task[0] if report["classes"] else None,
        tags=["onnx", "safetensors", "measured-nas"],
        model_name=f"{report['study']}-{report['trial']}",
        eval_results=results,
    )
    return str(card.to_yaml())


def _moved(card: str) -> str:
    """Return the text of the card or the report with the paths of this layout, without lines about ``verify.py``."""
    lines = [line for line in card.splitlines() if "verify.py" not in line]
    text = "\n".join(lines) + "\n"
    for old, new in _MOVED.items():
        text = text.replace(old, new)
    return text
