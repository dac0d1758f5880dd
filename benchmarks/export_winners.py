"""Do trained winners of every space compute the same in every format, with only its runtime installed?

    python benchmarks/export_winners.py --environments envs
    python benchmarks/export_winners.py --environments envs --spaces module --formats torch litert --precision int8

``envs`` has one Python environment for each runtime: ``onnxruntime``, ``openvino``, ``torch``, ``timm``,
``executorch`` and ``ai-edge-litert`` with the packages that run a file (``report.json`` of an export names them), and
``litert``, which writes files of LiteRT; see ``nas/export/formats/environments``. A format whose environment is missing
is left out.

A study of two trials on scikit-learn's digits is run for each space. Its best network is exported by ``nas export``.
Each file is then opened by the script from the exported folder, in the environment of its format, on one core. A row
has the largest difference from the network in torch (with fewer bits: from the measured file) on all validation images,
in standard deviations of the output; the accuracy minus that of the study; and the time of one input, divided by the
recorded latency; or the reason for which the format refuses the network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export_formats import SPACES_HERE
from rich.console import Console
from rich.table import Table
from torch import Tensor

import measured_nas as mn
from nas.export.formats import FORMATS
from nas.tasks.digits import Digits

OWN_CODE = Path(__file__).parents[1] / "examples" / "outside"
SPACES = {
    **{name: spec for name, spec in SPACES_HERE.items() if name != "sparse_convnet, kept"},
    "module": {"name": "module", "factory": "my_network:SmallResNet"},
}
#: Format → the environment that runs its files.
RUNS_IN = {
    "onnx": "onnxruntime",
    "onnxruntime-package": "onnxruntime",
    "torch-export": "torch",
    "litert": "ai-edge-litert",
}
#: Formats that are written in an environment, too.
WRITTEN_IN = ("executorch", "litert")
#: Modules of which an environment has only those of its format.
RUNTIMES = ("nas", "onnxruntime", "openvino", "timm", "executorch", "ai_edge_litert", "litert_torch")
ALONE = f"""
import importlib.util, json, os, sys, time
os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
from pathlib import Path
import numpy as np
spec = importlib.util.spec_from_file_location("opener", "verification/openers/" + sys.argv[1])
opener = importlib.util.module_from_spec(spec)
spec.loader.exec_module(opener)
run, size = opener.open_network(Path("."))
inputs = np.load(sys.argv[2])
np.save(sys.argv[3], np.concatenate([run(inputs[at : at + 1]) for at in range(len(inputs))]))
medians = []
for _ in range(9):
    times = []
    for _ in range(30):
        start = time.perf_counter()
        run(inputs[:1])
        times.append(time.perf_counter() - start)
    medians.append(float(np.median(times)))
print(json.dumps([min(medians) * 1e3, [name for name in {RUNTIMES} if importlib.util.find_spec(name)]]))
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Winner:
    """The best network of a study, its inputs and what was recorded about it."""

    trial: mn.Trial
    storage: str
    inputs: Tensor
    targets: np.ndarray


def searched(name: str, precision: str, storage: str) -> Winner:
    """Run a small study of a space and return its winner."""
    task = Digits(image_size=16)
    title = f"{name} {precision}".replace(" ", "-")
    plan = mn.Plan(
        name=title,
        task={"name": "digits", "image_size": 16},
        space=SPACES[name],
        code=[str(OWN_CODE)],
        policies=[{"name": "precision", "scope": "network", "options": [precision]}],
        strategy="random",
        estimator={"name": "training", "epochs": 2, "batch_size": 50},
        measure={"precision": 0.05, "budget_s": 3.0, "max_drift": 1.0},
        executor="local",
        budget={"trials": 2},
    )
    known = title in mn.list_studies(storage)
    study = mn.open_study(storage, title) if known else mn.search(plan, storage=storage, progress=False)
    images, targets = zip(*task.dataset("validation"), strict=True)
    return Winner(study.best(), storage, torch.stack(images), np.array([int(target) for target in targets]))


def exported(winner: Winner, formats: Sequence[str], environments: Path, folder: Path) -> dict[str, str]:
    """Export a winner in all formats that hold it, unless this was done; returns the others with the reasons."""
    record = folder.with_suffix(".refused.json")
    refused: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    while not {*formats} <= {*refused, *written(folder)}:
        wanted = [name for name in formats if name not in refused]
        command = [str(Path(sys.executable).with_name("nas")), "export", winner.trial.study, "--out", str(folder)]
        command += ["--trial", str(winner.trial.number), "--storage", winner.storage]
        command += ["--force", *(f"--format={name}" for name in wanted)]
        command += [f"--format-python={name}={python(environments, name)}" for name in wanted if name in WRITTEN_IN]
        done = subprocess.run(command, capture_output=True, text=True)
        said = " ".join((done.stdout + done.stderr).split())
        named = [name for name in wanted if f"ExportError: format {name!r}: " in said]
        if named:
            refused[named[0]] = said.partition(f"format {named[0]!r}: ")[2]
            record.write_text(json.dumps(refused))
        elif done.returncode and not (folder / "report.json").exists():
            raise SystemExit(f"{winner.trial.study}: {said}")
        elif done.returncode:  # a line of its verification fails
            print(said, file=sys.stderr)
    return refused


def written(folder: Path) -> list[str]:
    """The further formats that an exported folder has."""
    report = folder / "report.json"
    return [item["format"] for item in json.loads(report.read_text())["formats"]] if report.exists() else []


def python(environments: Path, name: str) -> Path:
    return environments.absolute() / name / "bin" / "python"


def rows(winner: Winner, formats: Sequence[str], environments: Path, folder: Path) -> Iterator[list[str]]:
    """One row for each format of an exported folder."""
    refused = exported(winner, formats, environments, folder)
    if refused.keys() >= {*formats}:
        yield from ([name, f"refused: {refused[name]}", "", "", ""] for name in formats)
        return
    report = json.loads((folder / "report.json").read_text())
    recorded = report["latency"][0]["recorded_ms"][0]
    inputs, outputs = (folder.with_suffix(f".{name}.npy").absolute() for name in ("inputs", "outputs"))
    np.save(inputs, winner.inputs.numpy())
    reference = outputs_of(winner, folder)
    for name in formats:
        if name in refused:
            yield [name, f"refused: {refused[name]}", "", "", ""]
            continue
        opener = name.replace("-", "_")
        runs_in = python(environments, RUNS_IN.get(name, name))
        arguments = [str(runs_in), "-c", ALONE, f"{opener}.py", str(inputs), str(outputs)]
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
        if done.returncode:
            yield [name, f"FAILED: {done.stderr.strip().splitlines()[-1]}", "", "", ""]
            continue
        time_ms, present = json.loads(done.stdout.splitlines()[-1])
        found = np.load(outputs)
        error = np.abs(found - reference).max() / reference.std()
        accuracy = (found.argmax(1) == winner.targets).mean() - winner.trial.metrics["accuracy"].value
        yield [name, f"{error:.1e}", f"{accuracy:+.4f}", f"{time_ms / recorded:.2f}", " ".join(present) or "torch only"]


def outputs_of(winner: Winner, folder: Path) -> np.ndarray:
    """Outputs of the network in torch, or of the measured file of a network with fewer bits."""
    if "fp32" not in winner.trial.study:
        return FORMATS.get("onnx")().outputs(folder, winner.inputs.numpy(), batch=1)
    with torch.inference_mode():
        outputs: np.ndarray = winner.trial.load_module()(winner.inputs).numpy()
    return outputs


def available(environments: Path, formats: Sequence[str]) -> list[str]:
    """The formats whose environments exist."""
    needed: Mapping[str, set[str]] = {name: {RUNS_IN.get(name, name)} for name in formats}
    for name in set(WRITTEN_IN) & set(formats):
        needed[name].add(name)
    return [name for name in formats if all(python(environments, each).exists() for each in needed[name])]


def main() -> None:
    options = parsed()
    formats = available(options.environments, options.formats)
    console = Console(width=200)
    names = ("space", "format", "error", "accuracy", "time / recorded", "environment has")
    table = Table(*names, title=f"{options.precision}; left out: {sorted(set(options.formats) - set(formats))}")
    with tempfile.TemporaryDirectory() as scratch:
        place = options.out or Path(scratch)
        place.mkdir(exist_ok=True)
        for space in options.spaces:
            winner = searched(space, options.precision, f"sqlite:///{place.absolute()}/nas.db")
            for row in rows(winner, formats, options.environments, place / winner.trial.study):
                print(space, *row, sep=" | ", file=sys.stderr, flush=True)
                table.add_row(space, *row)
    console.print(table)


def parsed() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="folder of the studies and the exported folders, which are used again")
    parser.add_argument("--formats", nargs="+", choices=FORMATS.names(), default=sorted(FORMATS.names(), reverse=True))
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--precision", choices=["fp32", "fp16", "int8", "int4"], default="fp32")
    return parser.parse_args()


if __name__ == "__main__":
    main()
