"""Export a network: rebuild and deploy it, check its scores, score it on test, measure it again, write a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nas.errors import ExportError, StudyError
from nas.export import Artifact
from nas.export.weights import save_weights
from nas.latency.agent.remote import open_measurer
from nas.latency.protocol.measure import Latency
from nas.latency.runtimes import SessionOptions, make_runtime
from nas.latency.targets import Target
from nas.space import Network
from trials.analysis.gaps import gaps, in_json
from trials.analysis.membership import membership_of
from trials.export.answers import Answers, answers_of, scored
from trials.export.folder import write_golden, write_preprocessing
from trials.export.loading import WEIGHTS, write_architecture
from trials.export.page import markdown
from trials.export.placing import placed_whole
from trials.export.scripts.assembly import SCRIPTS, write_scripts
from trials.export.weights import ChosenWeights, choose_weights
from trials.jobs.candidate import deploy
from trials.jobs.environment import describe_environment
from trials.jobs.teachers import trained_network
from trials.plans.data import check_data
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem, target_specs
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.candidates import Value
from trials.store.read.points import front, points
from trials.store.read.rows import find_target, study_row
from trials.store.records import ExportValue
from trials.store.store import Store
from trials.store.write.outcomes import add_export

#: Scores of equal networks on equal images may differ only by rounding.
SCORE_TOLERANCE = 0.005
#: Relative difference of measured and recorded latency that still counts as agreement if the intervals do not overlap.
LATENCY_TOLERANCE = 0.05


def chosen(store: Store, name: str, *, only_best: bool) -> list[int]:
    """Return the numbers of all front candidates, or only of the one that is best by the first objective.

    Raises:
        StudyError: the study has no complete candidate.
    """
    found = front(store, name)
    numbers = [int(number) for number in found.numbers]
    if not numbers:
        raise StudyError(f"study {name!r} has no complete trial; look at nas show {name}")
    if not only_best:
        return numbers
    directions = store.read(study_row, name).objectives
    first = found.values[:, 0]
    return [numbers[int(first.argmax() if next(iter(directions.values())) == "maximize" else first.argmin())]]


def export_candidate(store: Store, name: str, number: int, folder: Path, weights: str = "best") -> dict[str, Any]:
    """Write one candidate as ``folder``, which appears when it is complete (see ``placed_whole``).

    Args:
        store: the database.
        name: name of the study.
        number: number of the trial.
        folder: an absolute path that ``new_folder`` has checked.
        weights: see ``trials.export.weights.Wanted``.

    Returns:
        Scores and latencies, as a row to print.

    Raises:
        StudyError: the candidate was not trained, or the study's data have changed since the study started.
        ExportError: the scores of the rebuilt network differ from the recorded ones, or a file can't be written.
    """
    detail = candidate_detail(store, name, number)
    study = store.read(study_row, name)
    problem = open_problem(make_plan(study.plan))
    choice = choose_weights(detail, problem.task, weights)
    known = check_data(name, study.environment, problem)
    with placed_whole(folder) as made:
        row, sha256, scores = _write(store, problem, detail, choice, made, name=name, known=known)
    store.write(add_export, name, number, ExportValue(str(folder.resolve()), sha256, scores))
    return {"trial": number, "folder": str(folder), **row}


def _write(
    store: Store,
    problem: Problem,
    detail: CandidateDetail,
    choice: ChosenWeights,
    folder: Path,
    *,
    name: str,
    known: bool,
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Write one candidate; return its row, the hash of its file, and its scores with intervals."""
    number = detail.row.number
    network = trained_network(problem, detail.definition, choice.uri, choice.sha256)
    artifact = deploy(problem, network, folder / f"model{problem.exporter.suffix}")
    save_weights(network.model, folder / WEIGHTS)
    write_architecture(problem, detail.definition, folder)
    answers = answers_of(problem, network, artifact)
    scores = answers[0].scores
    _check_scores(choice, scores["validation"])
    values = scored(answers[0])
    write_golden(problem, artifact, write_preprocessing(problem, folder), folder)
    runs_in = _write_script(problem, artifact, folder)
    latencies = [_measure_again(store, detail, artifact, target.name) for target in problem.plan.targets]
    report = _report(name, number, detail, network, artifact, answers, latencies) | {"runs_in": runs_in}
    report["data"] = "as when the study started" if known else "not recorded when the study started"
    report["weights"] = choice.to_json()
    report["gaps"] = [item.to_json() for item in gaps(values)]
    report["on_front"] = membership_of(points(store, name)).get(number, 0.0)
    (folder / "report.json").write_text(json.dumps(report, indent=2))
    (folder / "report.md").write_text(markdown(report))
    return _row(scores, latencies), artifact.sha256, in_json(values)


@dataclass(frozen=True)
class Remeasured:
    """A newly measured latency and the recorded one."""

    target: str
    recorded_ms: float
    recorded_low_ms: float
    recorded_high_ms: float
    latency: Latency

    @property
    def agrees(self) -> bool:
        """Whether the intervals overlap, or the values differ by at most 5 %."""
        overlap = self.latency.low_ms <= self.recorded_high_ms and self.recorded_low_ms <= self.latency.high_ms
        return overlap or abs(self.latency.latency_ms / self.recorded_ms - 1) <= LATENCY_TOLERANCE

    def to_json(self) -> dict[str, Any]:
        """Return both latencies as JSON values."""
        return {
            "target": self.target,
            "recorded_ms": [self.recorded_ms, self.recorded_low_ms, self.recorded_high_ms],
            "remeasured_ms": [self.latency.latency_ms, self.latency.low_ms, self.latency.high_ms],
            "ratio": self.latency.latency_ms / self.recorded_ms,
            "agrees": self.agrees,
            "conditions": dict(self.latency.conditions),
        }


def _measure_again(store: Store, detail: CandidateDetail, artifact: Artifact, target: str) -> Remeasured:
    stored = store.read(find_target, target)
    assert stored is not None
    recorded = recorded_value(detail, "latency_ms", target)
    calibrated = Target.from_json(stored.description)
    with open_measurer(calibrated.spec) as measurer:
        latency = measurer.measure(artifact.path, calibrated)
    low = recorded.value if recorded.low is None else recorded.low
    high = recorded.value if recorded.high is None else recorded.high
    return Remeasured(target, recorded.value, low, high, latency)


def recorded_value(detail: CandidateDetail, metric: str, target: str = "") -> Value:
    """Return a recorded metric; with a single target, the metric may be recorded without the target's name."""
    metrics = detail.row.metrics
    return metrics[f"{metric}@{target}"] if f"{metric}@{target}" in metrics else metrics[metric]


def _write_script(problem: Problem, artifact: Artifact, folder: Path) -> str:
    """Write the scripts and the files they need; return the package that runs it, with its version.

    If the target is another device, ``run.py`` uses a runtime that needs no preparation on the device.
    """
    spec = next(iter(target_specs(problem.plan).values()))
    name = problem.runtime if spec.address or spec.runtime not in SCRIPTS else spec.runtime
    script = name if name in SCRIPTS else "onnxruntime"
    runtime = make_runtime(script, spec.parameters if script == spec.runtime else {})
    runtime.ship(artifact.path, SessionOptions(spec.threads, spec.batch), folder)
    write_scripts(script, folder)
    return f"{script.partition('_')[0]} {runtime.version().partition('+')[0]}"


def _check_scores(choice: ChosenWeights, scores: Mapping[str, float]) -> None:
    for metric, value in scores.items():
        recorded = choice.scores[metric]
        if abs(value - recorded) > SCORE_TOLERANCE * max(1.0, abs(recorded)):
            raise ExportError(
                f"the rebuilt network has {metric} {value:.4f} on the validation split, recorded is {recorded:.4f}; "
                "check whether the data or the versions of packages have changed since"
            )


def _report(
    name: str,
    number: int,
    detail: CandidateDetail,
    network: Network,
    artifact: Artifact,
    answers: list[Answers],
    latencies: list[Remeasured],
) -> dict[str, Any]:
    return {
        "study": name,
        "trial": number,
        "scores": {split: dict(values) for split, values in answers[0].scores.items()},
        "classes": dict(answers[0].confusion),
        "runtimes": [item.to_json() for item in answers],
        "latency": [item.to_json() for item in latencies],
        "dense_twin": [{**asdict(item), "speedup": item.speedup} for item in detail.row.speedups],
        "beware": list(detail.row.flags),
        "numerics": {"relative_error": artifact.relative_error, "route": artifact.route},
        "file": {
            "name": artifact.path.name,
            "sha256": artifact.sha256,
            "size_bytes": artifact.size_bytes,
            "input_shape": list(artifact.input_shape),
        },
        "parameters": detail.row.parameters,
        "macs": detail.row.macs,
        "layers": detail.layers,
        "sites": network.describe(),
        "environment": describe_environment(),
    }


def _row(scores: Mapping[str, Mapping[str, float]], latencies: list[Remeasured]) -> dict[str, Any]:
    row: dict[str, Any] = {
        f"{split} {metric}": value for split, values in scores.items() for metric, value in values.items()
    }
    for item in latencies:
        row[f"recorded ms@{item.target}"] = item.recorded_ms
        row[f"again ms@{item.target}"] = item.latency.latency_ms
    return row | {"agrees": all(item.agrees for item in latencies)}
