"""Verify an exported folder: compare it with what the study recorded, and run it alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import ExportError
from nas.export.checking.check import TOLERANCE, TOLERATED_STEPS
from nas.latency.protocol.measure import Latency
from nas.latency.targets import Target
from trials.export.scripts.verification.onnx_file import describe
from trials.export.verification.verdicts import Line, judged, worst

#: Scores of equal networks on equal images may differ only by rounding.
SCORE_TOLERANCE = 0.005
#: Relative difference of measured and recorded latency that still counts as agreement if the intervals do not overlap.
LATENCY_TOLERANCE = 0.05
#: A latency more than this factor away from the recorded one fails; a smaller disagreement is a warning.
#: Intervals of other runtimes than ONNX Runtime have not been shown to contain 95 % of repeated measurements.
FAR_OFF = 2.0
#: File that marks a folder whose verification failed.
UNVERIFIED = "UNVERIFIED"


@dataclass(frozen=True)
class Remeasured:
    """A newly measured latency and the recorded one."""

    calibrated: Target
    recorded_ms: float
    recorded_low_ms: float
    recorded_high_ms: float
    latency: Latency

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.calibrated.spec.name

    @property
    def ratio(self) -> float:
        """The new latency divided by the recorded one."""
        return self.latency.latency_ms / self.recorded_ms

    @property
    def agrees(self) -> bool:
        """Whether the intervals overlap, or the values differ by at most 5 %."""
        overlap = self.latency.low_ms <= self.recorded_high_ms and self.recorded_low_ms <= self.latency.high_ms
        return overlap or abs(self.ratio - 1) <= LATENCY_TOLERANCE

    def line(self) -> Line:
        """Return the verdict."""
        far_off = not 1 / FAR_OFF <= self.ratio <= FAR_OFF
        return judged(
            f"latency on {self.target}",
            f"{self.latency.latency_ms:.4g} ms, recorded {self.recorded_ms:.4g} ms",
            agrees=self.agrees,
            reason=f"{self.ratio:.2f} times the recorded one, without overlap of the intervals; was the machine busy?",
            otherwise="fail" if far_off else "warning",
        )

    def to_json(self) -> dict[str, Any]:
        """Return both latencies, and where they were measured, as JSON values."""
        spec = self.calibrated.spec
        return {
            "target": self.target,
            "recorded_ms": [self.recorded_ms, self.recorded_low_ms, self.recorded_high_ms],
            "remeasured_ms": [self.latency.latency_ms, self.latency.low_ms, self.latency.high_ms],
            "ratio": self.ratio,
            "agrees": self.agrees,
            "runtime": [spec.runtime, str(self.calibrated.description.get("runtime_version", ""))],
            "threads": spec.threads,
            "batch": spec.batch,
            "processor": str(self.calibrated.description.get("processor", "")),
            "conditions": dict(self.latency.conditions),
        }


def score_lines(scores: Mapping[str, Mapping[str, float]], recorded: Mapping[str, float]) -> list[Line]:
    """Compare the scores on the validation split with the recorded ones; nothing was recorded on the test split."""
    lines = []
    for metric, value in scores["validation"].items():
        before = recorded[metric]
        lines.append(
            judged(
                f"{metric} on the validation split",
                f"{value:.4f}, recorded {before:.4f}",
                agrees=abs(value - before) <= SCORE_TOLERANCE * max(1.0, abs(before)),
                reason="check whether the data or the versions of packages have changed since",
            )
        )
    return lines + [
        Line(f"{metric} on the test split", "not judged", f"{value:.4f}", "a study records no test score")
        for metric, value in scores["test"].items()
    ]


def golden_tolerance(folder: Path, *, fewer_bits: bool) -> float:
    """Return the largest difference of outputs that counts as equal, in standard deviations of the golden outputs.

    Outputs of layers with fewer bits may be rounded the other way on another processor.
    """
    if not fewer_bits:
        return TOLERANCE
    with np.load(folder / "golden.npz") as golden:
        outputs = golden["outputs"]
    return TOLERATED_STEPS / 255 * float(np.ptp(outputs)) / max(float(outputs.std()), 1e-30)


def graph_of(path: Path) -> dict[str, Any] | None:
    """Return opset, hashes of tensors and of operators of an ONNX file; None for another format."""
    return describe(path.read_bytes()) if path.suffix == ".onnx" else None


def record_alone(folder: Path, threads: int) -> dict[str, Any]:
    """Run the folder without this project, and return latency and conditions.

    Raises:
        ExportError: its scripts can't run it.
    """
    command = [sys.executable, "-I", "-B", str(folder / "verify.py"), "--record", "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"the exported folder can't be run by its own scripts: {last}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def mark(folder: Path, lines: Sequence[Line]) -> None:
    """Write ``UNVERIFIED`` with the reasons if a line failed."""
    if worst(lines) == "fail":
        reasons = [f"{line.check}: {line.found}. {line.reason}\n" for line in lines if line.verdict == "fail"]
        (folder / UNVERIFIED).write_text("".join(reasons), encoding="utf-8")
