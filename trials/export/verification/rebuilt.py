"""Compare an exported folder with its study: the part that runs in a fresh process.

The network is built from ``architecture.json`` and ``model.safetensors`` alone, so that nothing of the process that
wrote the folder can hide a difference.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from nas.errors import ExportError, NasError
from nas.export.checking.check import TOLERANCE, check_same
from nas.export.checking.expected import expect
from nas.export.checking.locate import locate
from nas.export.checking.recount import Recount, recount
from nas.export.job import ExportJob
from nas.export.weights import load_weights
from nas.scratch import Scratch
from nas.space import Architecture, Network
from trials.export.loading import ARCHITECTURE, WEIGHTS
from trials.export.verification.verdicts import Line, judged
from trials.jobs.candidate import calibration_inputs, deploy
from trials.plans.problem import Problem, open_problem_json

#: Number of validation images on which file and network are compared.
NUM_COMPARED = 16
#: Number of training images on which ranges of 8-bit values are found for the comparison.
NUM_CALIBRATING = 64
#: Relative difference of MACs and bytes that counts as equal: constants and names may be written differently.
NEARLY = 0.01

_START = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import main; main()"


def rebuilt_lines(folder: Path, model: str, plan: str, recorded: dict[str, float]) -> list[Line]:
    """Verify a folder in a fresh process.

    Args:
        folder: the exported folder.
        model: name of the file that was measured.
        plan: the study's plan as JSON.
        recorded: the metrics ``parameters``, ``nonzero_parameters``, ``macs`` and ``size_bytes`` of the study.
    """
    request = json.dumps({"folder": str(folder), "model": model, "plan": plan, "recorded": recorded})
    command = [sys.executable, "-c", _START, json.dumps(sys.path)]
    done = subprocess.run(command, input=request, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [Line("network rebuilt", "fail", "the process that rebuilds the network ended with an error", last)]
    return [Line(**line) for line in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    """Answer one request on the standard input with lines on the standard output."""
    request = json.load(sys.stdin)
    problem = open_problem_json(request["plan"])
    folder = Path(request["folder"])
    path = folder / request["model"]
    lines = [*_network_lines(problem, folder, path), *_count_lines(path, request["recorded"])]
    print(json.dumps([line.to_json() for line in lines]))


def _network_lines(problem: Problem, folder: Path, path: Path) -> list[Line]:
    try:
        network = _rebuild(problem, folder)
    except NasError as error:
        return [Line("network rebuilt", "fail", "it can't be built from the folder", str(error))]
    data: Any = problem.task.dataset("validation")
    inputs = torch.stack([data[index][0] for index in range(min(NUM_COMPARED, len(data)))])
    built = Line("network rebuilt", "pass", "in a fresh process, from architecture.json and model.safetensors")
    return [built, _same_line(problem, network, path, inputs)]


def _rebuild(problem: Problem, folder: Path) -> Network:
    architecture = Architecture.from_json(json.loads((folder / ARCHITECTURE).read_text()))
    network = problem.searched.build(architecture, seed=0)
    network.finalize()  # the weights were stored after finalizing
    load_weights(network.model, folder / WEIGHTS)
    network.model.eval()
    return network


def _same_line(problem: Problem, network: Network, path: Path, inputs: torch.Tensor) -> Line:
    check, batch = f"outputs on {len(inputs)} validation inputs", problem.input_shape()[0]
    fewer = any(bits < 32 for bits in network.bits.values())
    try:
        expected = expect(network.model, inputs, batch)
        if fewer:
            job = ExportJob(
                network,
                path,
                problem.input_shape(),
                calibration_inputs(problem, NUM_CALIBRATING),
                expected,
                problem.runtime,
            )
            error, allowed = job.check_fewer_bits(), "as much as rounding explains"
        else:
            error, allowed = check_same(expected, path, runtime=problem.runtime), f"{TOLERANCE:g}"
    except ExportError as failure:
        return Line(check, "fail", "they differ from those of torch", f"{failure}. {_located(problem, network, path)}")
    return Line(check, "pass", f"{error:.2g} standard deviations from torch (allowed: {allowed})")


def _located(problem: Problem, network: Network, path: Path) -> str:
    """A sentence that names the first operator of the file that differs from a new export of the network."""
    with Scratch("nas-locate-") as scratch:
        fresh = deploy(problem, network, Path(scratch) / path.name)
        found = locate(path, fresh.path, calibration_inputs(problem, problem.input_shape()[0]).numpy())
    return "A new export of the network has the same operators" if found is None else found.sentence


def _count_lines(path: Path, recorded: dict[str, float]) -> list[Line]:
    try:
        found = recount(path)
    except Exception as error:  # a damaged file raises errors of every kind
        return [Line("counts", "fail", "the file can't be counted", f"{type(error).__name__}: {error}")]
    sizes = [("MACs", "macs", found.macs), ("bytes", "size_bytes", found.size_bytes)]
    return [*_weight_lines(found, recorded), *(_size_line(*item, recorded) for item in sizes)]


def _weight_lines(found: Recount, recorded: dict[str, float]) -> list[Line]:
    parameters = recorded["parameters"]
    lines = [
        judged(
            "parameters",
            f"{found.weights:,} weights in the file; {parameters:,.0f} parameters recorded",
            agrees=found.weights <= parameters,
            reason="the file has more weights than the network has parameters",
        )
    ]
    if "nonzero_parameters" in recorded:
        zeros = parameters - recorded["nonzero_parameters"]
        agrees = found.zeros >= zeros
        text = f"{found.zeros:,} zero weights in the file; {zeros:,.0f} recorded"
        lines.append(judged("zeros", text, agrees=agrees, reason="the file has fewer zeros than the network"))
    return lines


def _size_line(check: str, name: str, value: int, recorded: dict[str, float]) -> Line:
    if name not in recorded:
        return Line(check, "not judged", f"{value:,} in the file", "the study did not record it")
    before = recorded[name]
    return judged(
        check,
        f"{value:,} in the file; {before:,.0f} recorded",
        agrees=abs(value - before) <= NEARLY * before,
        reason=f"they differ by {value / max(before, 1) - 1:+.1%}; operators may be counted differently",
        otherwise="warning",
    )
