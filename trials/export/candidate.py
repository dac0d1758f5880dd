"""Export a network: rebuild and deploy it, check its scores, score it on test, measure it again, write a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nas.export import Artifact
from nas.export.preprocessed import check_preprocessing
from nas.export.weights import save_weights
from nas.latency.agent.remote import open_measurer
from nas.latency.runtimes import SessionOptions, make_runtime
from nas.latency.targets import Target
from nas.space import Network
from trials.analysis.gaps import gaps, in_json
from trials.analysis.membership import membership_of
from trials.export.answers import Answers, answers_of, scored
from trials.export.card import write_card
from trials.export.folder import write_golden, write_preprocessing
from trials.export.formats import Formats, write_formats
from trials.export.loading import WEIGHTS, write_architecture
from trials.export.page import page
from trials.export.placing import placed_whole
from trials.export.preprocessed import write_preprocessed
from trials.export.recipe import recipe_of
from trials.export.scripts.assembly import SCRIPTS, write_scripts
from trials.export.sums import sizes
from trials.export.verification.rebuilt import rebuilt_lines
from trials.export.verification.recorded import (
    Remeasured,
    golden_tolerance,
    graph_of,
    mark,
    record_alone,
    score_lines,
)
from trials.export.verification.verdicts import Line, worst
from trials.export.weights import ChosenWeights, choose_weights
from trials.jobs.candidate import deploy
from trials.jobs.environment import describe_environment
from trials.jobs.teachers import trained_network
from trials.plans.data import check_data
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem, target_specs
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.candidates import Value
from trials.store.read.points import points
from trials.store.read.rows import find_target, study_row
from trials.store.records import ExportValue
from trials.store.store import Store
from trials.store.write.outcomes import add_export


def export_candidate(
    store: Store,
    name: str,
    number: int,
    folder: Path,
    weights: str = "best",
    formats: Formats | None = None,
    *,
    preprocessed: bool = False,
    licence: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Write one candidate as ``folder``, which appears when it is complete (see ``placed_whole``).

    Args:
        store: the database.
        name: name of the study.
        number: number of the trial.
        folder: an absolute path that ``new_folder`` has checked.
        weights: see ``trials.export.weights.Wanted``.
        formats: formats to write besides the measured file.
        preprocessed: also write a file that normalizes images itself.
        licence: licence of the network, for its card.
        force: replace an earlier export; see ``new_folder``.

    Returns:
        Scores and latencies, as a row to print.

    Raises:
        PlanError: files have appeared in ``folder`` meanwhile.
        StudyError: the candidate was not trained, or the study's data have changed since the study started.
        ExportError: the network can't be built or run, a file can't be written, or a format can't hold the network. A
            folder that differs from what was recorded is written and marked as ``UNVERIFIED``; ``verification`` in the
            row is then ``fail``.
    """
    detail = candidate_detail(store, name, number)
    study = store.read(study_row, name)
    problem = open_problem(make_plan(study.plan))
    choice = choose_weights(detail, problem.task, weights)
    if preprocessed:
        check_preprocessing(problem.task.preprocessing())
    known = check_data(name, study.environment, problem)
    with placed_whole(folder, force=force) as made:
        row, sha256, scores = _write(
            store,
            problem,
            detail,
            choice,
            made,
            formats or Formats(),
            name=name,
            known=known,
            preprocessed=preprocessed,
            licence=licence,
        )
    store.write(add_export, name, number, ExportValue(str(folder.resolve()), sha256, scores))
    return {"trial": number, "folder": str(folder), **row}


def _write(
    store: Store,
    problem: Problem,
    detail: CandidateDetail,
    choice: ChosenWeights,
    folder: Path,
    formats: Formats,
    *,
    name: str,
    known: bool,
    preprocessed: bool,
    licence: str | None,
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Write one candidate; return its row, the hash of its file, and its scores with intervals."""
    network = trained_network(problem, detail.definition, choice.uri, choice.sha256)
    artifact = deploy(problem, network, folder / f"model{problem.exporter.suffix}")
    save_weights(network.model, folder / WEIGHTS)
    write_architecture(problem, detail.definition, folder)
    further = write_formats(problem, network, artifact, formats, folder)
    answers = answers_of(problem, network, artifact)
    scores, values = answers[0].scores, scored(answers[0])
    steps = write_preprocessing(problem, folder)
    write_golden(problem, artifact, steps, folder)
    tolerance = golden_tolerance(folder, fewer_bits=any(bits < 32 for bits in network.bits.values()))
    runs_in = _write_script(problem, artifact, formats, folder)
    alone = record_alone(folder, next(iter(target_specs(problem.plan).values())).threads)
    latencies = [_measure_again(store, detail, artifact, target.name) for target in problem.plan.targets]
    lines = [
        *rebuilt_lines(folder, artifact.path.name, problem.plan.model_dump_json(), _counted(detail)),
        *score_lines(scores, choice.scores),
        *(item.line() for item in latencies),
        *(_format_line(item) for item in further),
    ]
    if preprocessed:
        lines.append(write_preprocessed(artifact, steps, folder, runtime=problem.runtime, tolerance=tolerance))
    mark(folder, lines)
    report = _report(name, detail, network, artifact, answers, latencies) | {"runs_in": runs_in}
    report["data"] = "as when the study started" if known else "not recorded when the study started"
    report["beware"] = list(replace(detail.row, doubts=choice.doubts).flags)
    report["weights"] = choice.to_json()
    if choice.training is not None:
        report["weights"]["final_training"] = recipe_of(problem.plan, name, detail.row.number, choice.training)
    report["formats"] = further
    report["gaps"] = [item.to_json() for item in gaps(values)]
    report["on_front"] = membership_of(points(store, name)).get(detail.row.number, 0.0)
    report["verification"] = [line.to_json() for line in lines]
    report["licence"] = licence
    report["golden"], report["preprocessing"] = {"tolerance": tolerance}, steps
    report |= {"graph": graph_of(artifact.path), "alone": alone}
    write_card(report, problem.plan, folder)
    (folder / "report.html").write_text(page(report), encoding="utf-8")
    report["files"] = sizes(folder)
    (folder / "report.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    return {"weights": choice.kind, **_row(scores, latencies, lines)}, artifact.sha256, in_json(values)


def _format_line(written: Mapping[str, Any]) -> Line:
    """Return the line of a further format; ``write_formats`` has refused a file that differs from the network."""
    found = f"{written['relative_error']:.2g} standard deviations from torch"
    return Line(f"format {written['format']}", "pass", found)


def _counted(detail: CandidateDetail) -> dict[str, float]:
    """Return the recorded metrics that can be counted in a file."""
    names = ("parameters", "nonzero_parameters", "macs", "size_bytes")
    return {name: found.value for name in names if (found := detail.row.value(name)) is not None}


def _measure_again(store: Store, detail: CandidateDetail, artifact: Artifact, target: str) -> Remeasured:
    stored = store.read(find_target, target)
    assert stored is not None
    recorded = recorded_value(detail, "latency_ms", target)
    calibrated = Target.from_json(stored.description)
    with open_measurer(calibrated.spec) as measurer:
        latency = measurer.measure(artifact.path, calibrated)
    low = recorded.value if recorded.low is None else recorded.low
    high = recorded.value if recorded.high is None else recorded.high
    return Remeasured(calibrated, recorded.value, low, high, latency)


def recorded_value(detail: CandidateDetail, metric: str, target: str = "") -> Value:
    """Return a recorded metric; with a single target, the metric may be recorded without the target's name."""
    metrics = detail.row.metrics
    return metrics[f"{metric}@{target}"] if f"{metric}@{target}" in metrics else metrics[metric]


def _write_script(problem: Problem, artifact: Artifact, formats: Formats, folder: Path) -> str:
    """Write the scripts and the files they need; return the package that runs it, with its version.

    If the target is another device, ``run.py`` uses a runtime that needs no preparation on the device.
    """
    spec = next(iter(target_specs(problem.plan).values()))
    name = problem.runtime if spec.address or spec.runtime not in SCRIPTS else spec.runtime
    script = name if name in SCRIPTS else "onnxruntime"
    runtime = make_runtime(script, spec.parameters if script == spec.runtime else {})
    runtime.ship(artifact.path, SessionOptions(spec.threads, spec.batch), folder)
    write_scripts(script, folder, formats.made)
    return f"{script.partition('_')[0]} {runtime.version().partition('+')[0]}"


def _report(
    name: str,
    detail: CandidateDetail,
    network: Network,
    artifact: Artifact,
    answers: list[Answers],
    latencies: list[Remeasured],
) -> dict[str, Any]:
    return {
        "study": name,
        "trial": detail.row.number,
        "scores": {split: dict(values) for split, values in answers[0].scores.items()},
        "classes": dict(answers[0].confusion),
        "runtimes": [item.to_json() for item in answers],
        "latency": [item.to_json() for item in latencies],
        "dense_twin": [{**asdict(item), "speedup": item.speedup} for item in detail.row.speedups],
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


def _row(
    scores: Mapping[str, Mapping[str, float]], latencies: Sequence[Remeasured], lines: Sequence[Line]
) -> dict[str, Any]:
    row: dict[str, Any] = {
        f"{split} {metric}": value for split, values in scores.items() for metric, value in values.items()
    }
    for item in latencies:
        row[f"recorded ms@{item.target}"] = item.recorded_ms
        row[f"again ms@{item.target}"] = item.latency.latency_ms
    return row | {"verification": worst(lines)}
