"""A model of MLflow with the flavours ``onnx`` and ``python_function``; writing it needs no package of MLflow."""

from __future__ import annotations

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import onnx
import yaml

from nas.errors import ExportError


def write_layout(folder: Path, to: Path) -> None:
    """Write ``MLmodel``, ``model.onnx``, the environment, and the whole export in ``export``.

    MLflow wants the file next to ``MLmodel``; ``export`` contains it again, so that its scripts work.

    Raises:
        ExportError: the export has no ONNX file, or has several inputs.
    """
    file = folder / "model.onnx"
    if not file.is_file():
        raise ExportError(f"{folder} has no model.onnx, which the layout mlflow needs; export from an ONNX runtime")
    shutil.copyfile(file, to / file.name)
    shutil.copytree(folder, to / "export", ignore=shutil.ignore_patterns("__pycache__"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    versions = report["environment"]["packages"]
    needed = [f"{name}=={versions[name]}" for name in ("onnx", "onnxruntime", "numpy")]
    (to / "requirements.txt").write_text("\n".join(["mlflow-skinny", "pandas", *needed]) + "\n", encoding="utf-8")
    environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
    _write_yaml(to / "python_env.yaml", environment)
    _write_yaml(to / "MLmodel", _model(file, report, versions))


def _model(file: Path, report: dict[str, Any], versions: dict[str, str]) -> dict[str, Any]:
    graph = onnx.load(str(file), load_external_data=False).graph
    return {
        "flavors": {
            "onnx": {
                "code": None,
                "data": file.name,
                "onnx_version": versions["onnx"],
                "providers": ["CPUExecutionProvider"],
                "onnx_session_options": {"intra_op_num_threads": report["alone"]["threads"]},
            },
            "python_function": {
                "loader_module": "mlflow.onnx",
                "data": file.name,
                "python_version": platform.python_version(),
                "env": {"virtualenv": "python_env.yaml"},
            },
        },
        "signature": {
            "inputs": json.dumps([_tensor(value) for value in graph.input]),
            "outputs": json.dumps([_tensor(value) for value in graph.output]),
            "params": None,
        },
        "metadata": {"study": report["study"], "trial": report["trial"], "scores": report["scores"]},
    }


def _tensor(value: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type
    shape = [item.dim_value if item.HasField("dim_value") else -1 for item in kind.shape.dim]
    return {
        "type": "tensor",
        "name": value.name,
        "tensor-spec": {"dtype": onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name, "shape": shape},
    }


def _write_yaml(path: Path, value: Any) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")
