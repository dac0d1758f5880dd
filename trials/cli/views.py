"""Studies and candidates as printed tables and as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nas.foreign import line
from nas.latency.protocol.samples import Samples
from nas.latency.protocol.summary import times_of
from nas.tasks.per_class import PREFIX
from trials.analysis.listing import SORTS, Listing
from trials.analysis.membership import membership_of
from trials.analysis.profiles import OWN, account, layer_times
from trials.analysis.rechecks import Recheck
from trials.cli.console import out
from trials.cli.layout import shown
from trials.cli.options import print_rows
from trials.cli.styled import titled, warning
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import dominated_by, label, number
from trials.reporting.report.tables import costs_table, rung_table
from trials.reporting.study import StudyView
from trials.store.read.candidate import CandidateDetail, MeasurementInfo, samples_blob
from trials.store.read.candidates import CandidateRow, Value
from trials.store.read.final_trainings import FinalTrainingInfo
from trials.store.read.imported import ImportedNetwork
from trials.store.read.protocols import describe_regime
from trials.store.records import Remark


def print_caveats(study: StudyView) -> None:
    """Print what a reader of a study's trials has to know.

    Sparsity regime, missing comparisons, warnings, verdicts, and what people wrote about it.
    """
    if study.summary.regime is not None:
        out.print(f"{study.name}: {describe_regime(study.summary.regime)}")
    if study.row.incomplete:
        out.print(warning(f"incomplete: {', '.join(study.row.incomplete)}"))
    for text in study.doubts:
        out.print(warning(text))
    if study.verdict:
        out.print(study.verdict)
    if study.rechecks:
        out.print(study.rechecks[-1].verdict)
    print_remark(study.row.remark)


def print_remark(remark: Remark) -> None:
    """Print the note and the tags of a study or a trial, if it has any."""
    if remark.tags:
        out.print(f"tags: {', '.join(remark.tags)}")
    if remark.note:
        out.print(f"note: {remark.note}")


def print_costs(study: StudyView) -> None:
    """Print what a study has cost and saved, and how well early scores rank its trials."""
    table = costs_table(study)
    rows = [
        {"": row[0].text, "number": row[1].text, "worker time": row[2].text} for row in (table.rows if table else ())
    ]
    print_rows(rows, False, empty="nothing is trained yet")
    if early := rung_table(study):
        out.print("rank correlation of early scores with those at the end")
        print_rows([{"": row[0].text, "rho": row[1].text, "trials": row[2].text} for row in early.rows], False)


def costs_json(study: StudyView) -> dict[str, Any]:
    """Return what a study has cost and saved, and how well early scores rank its trials, as JSON values."""
    return {**study.costs.to_json(), "rung_correlations": [asdict(item) for item in study.rung_correlations]}


def candidate_rows(study: StudyView, listing: Listing, limit: int, *, choices: bool = False) -> list[dict[str, Any]]:
    """Return the listed trials of a study with its objectives and the metric that they are sorted by.

    Args:
        study: an open view of the study.
        listing: which trials, in which order.
        limit: largest number of rows.
        choices: also include the choices in which the rows differ.

    Raises:
        PlanError: the listing names an unknown metric or state, or its conditions can't be read.
    """
    rows = list(study.rows(study.listed(listing)[:limit].tolist()).values())
    metrics = list(dict.fromkeys([*study.row.objectives, *([] if listing.sort_by in SORTS else [listing.sort_by])]))
    with_speedups = any(row.speedups or row.flags for row in rows)
    named = any(row.original for row in rows)
    remarked = any(row.remark != Remark() for row in rows)
    names = dict.fromkeys(name for row in rows for name in row.choices)
    differing = [name for name in names if len({row.choices.get(name) for row in rows}) > 1]
    return [
        {
            "trial": row.number,
            **({"network": "original" if row.original else ""} if named else {}),
            "state": row.state,
            **{metric: row.metrics[metric].value if metric in row.metrics else None for metric in metrics},
            "on_front": study.shares.get(row.number),
            "parameters": row.parameters,
            "macs": row.macs,
            **(_speedup(row) if with_speedups else {}),
            "reason": row.reason or "",
            **({"tags": ", ".join(row.remark.tags), "note": row.remark.note} if remarked else {}),
            **({"choices": {name: row.choices.get(name) for name in differing}} if choices else {}),
        }
        for row in rows
    ]


def _speedup(row: CandidateRow) -> dict[str, Any]:
    """Return the speed-up over the dense twin, on the first target where it was measured, and warnings."""
    return {"speedup": row.speedups[0].speedup if row.speedups else None, "beware": ", ".join(row.flags)}


def candidate_json(study: StudyView, trial: int) -> dict[str, Any]:
    """Return everything stored about one candidate as JSON values, except for raw samples."""
    detail = asdict(study.detail(trial))
    for item in detail["measurements"]:
        item["times"] = times_of(Samples.from_bytes(samples_blob(study.source, item["id"])))._asdict()
    return {**detail, "on_front": study.shares.get(trial)}


def _measurement(study: StudyView, item: MeasurementInfo) -> dict[str, Any]:
    """Return a measurement with its interval, the raw wall times it is derived from, and warnings."""
    times = times_of(Samples.from_bytes(samples_blob(study.source, item.id)))
    beware = [*item.conditions.get("disturbed_by", ()), *item.conditions.get("health", {}).get("warnings", ())]
    return {
        "measured": f"{item.purpose}@{item.target}",
        "ms": item.latency_ms,
        "low": item.low_ms,
        "high": item.high_ms,
        **{f"raw {key.removesuffix('_ms')}": value for key, value in times._asdict().items()},
        "trust": item.trust if item.source_id is None else f"{item.trust}, from {item.source_id}",
        "beware": "; ".join(beware),
    }


def profile_json(detail: CandidateDetail, target: str) -> dict[str, Any]:
    """Return the newest profile of a candidate on a target, by layer and by node, as JSON values."""
    found = next(item for item in detail.profiles if item.target == target)
    return {**asdict(found), **account(detail, found), "layers": [asdict(item) for item in layer_times(found.nodes)]}


def print_profile(detail: CandidateDetail, target: str) -> None:
    """Print the newest profile of a candidate on a target, and its total beside the measured latency."""
    found = next(item for item in detail.profiles if item.target == target)
    begin = f"{detail.study} trial {detail.row.number} on {target}"
    out.print(f"{begin} ({found.runtime_version}), mean of {found.runs} runs")
    rows = [
        {
            "layer": item.layer or OWN,
            "ops": item.ops,
            "ms": item.time_ms,
            "share": f"{item.share:.0%}",
        }
        for item in layer_times(found.nodes)
    ]
    print_rows(rows, as_json=False)
    facts = account(detail, found)
    print_rows([{"": label(key), " ": value} for key, value in facts.items()], as_json=False)


def targets_json(study: StudyView) -> dict[str, Any]:
    """Return target → front (candidate → probability), rank correlations, and the errors of predicted latencies.

    Fronts and rank correlations are empty for a study of one target.
    """
    fronts = {
        target: {int(number): share for number, share in membership_of(found).items() if share > 0}
        for target, found in study.fronts_by_target.items()
    }
    return {
        "fronts": fronts,
        "rank_correlations": [asdict(item) for item in study.rank_correlations],
        "prediction_errors": [asdict(item) for item in study.prediction_errors],
    }


def print_targets(study: StudyView) -> None:
    """Print the front of each target, the rank correlations of targets, and the errors of predicted latencies."""
    found = targets_json(study)
    numbers = dict.fromkeys(number for front in found["fronts"].values() for number in front)
    rows = [
        {"trial": str(number), **{target: front.get(number, 0.0) for target, front in found["fronts"].items()}}
        for number in sorted(numbers)
    ]
    out.print("probability of being on the front of each target")
    print_rows(rows, as_json=False, empty="no trial was measured on several targets")
    print_rows(found["rank_correlations"], as_json=False, empty="the study has one target, so there is no correlation")
    out.print("latencies that the strategy predicted before they were measured")
    print_rows(found["prediction_errors"], as_json=False, empty="no latency was predicted")


def imported_json(study: StudyView, network: ImportedNetwork) -> dict[str, Any]:
    """Return everything stored about an imported network as JSON values, except for raw samples."""
    return {**asdict(network), "dominated_by": study.better_than(network)}


def print_imported(study: StudyView, networks: Sequence[ImportedNetwork]) -> None:
    """Print imported networks with the objectives of a study, and the trials of its front that dominate them."""
    metrics = dict.fromkeys([*study.row.objectives, "parameters", "macs", "size_bytes"])
    rows = [
        {
            "imported network": item.name,
            **{metric: item.metrics[metric].value if metric in item.metrics else None for metric in metrics},
            **{f"test {metric}": value.value for metric, value in item.test_scores.items() if metric in metrics},
            "dominated by": dominated_by(study.better_than(item)),
            "notes": "; ".join(item.notes),
        }
        for item in networks
    ]
    print_rows(rows, as_json=False)


def print_recheck(found: Recheck) -> None:
    """Print the front in another environment, and the verdict."""
    rows = [
        {
            "trial": item.trial,
            "ratio": item.ratio,
            "95 % interval": f"{item.low:.4g} – {item.high:.4g}",
            "change": item.change,
            "slower layers": "; ".join(
                f"{layer.layer} ({layer.ops}) {layer.present_ms:.3g} → {layer.other_ms:.3g} ms"
                for layer in item.slower_layers
            ),
        }
        for item in found.trials
    ]
    print_rows(rows, as_json=False)
    out.print(found.verdict, soft_wrap=True)


def final_training_row(detail: CandidateDetail, training: FinalTrainingInfo) -> dict[str, Any]:
    """Return a final training with its scores, and those of the search beside them."""
    row: dict[str, Any] = {"trial": detail.row.number, "final training": training.description, "state": training.state}
    row["epochs"] = len(training.curve.epochs)
    for name, value in training.scores.items():
        if not name.startswith(PREFIX):
            row[name] = value.value
            row[f"{name} in the search"] = detail.row.metrics[name].value if name in detail.row.metrics else None
    weights = training.weights
    return row | {"weights": weights["sha256"][:16] if weights else "", "error": training.error or ""}


def _metric(name: str, value: Value) -> dict[str, Any]:
    return {
        "metric": name,
        "value": number(name, value.value),
        "low": number(name, value.low),
        "high": number(name, value.high),
    }


def print_candidate(study: StudyView, trial: int) -> None:
    """Print one candidate with its metrics, measurements, choices, layers and profiles."""
    detail = study.detail(trial)
    own = ", original" if detail.row.original else ""
    out.print(titled(f"{study.name} trial {trial}{own}", f" {detail.row.state} {line(detail.row.reason or '')}"))
    print_rows([_metric(metric, value) for metric, value in detail.row.shown_metrics.items()], as_json=False)
    print_remark(detail.row.remark)
    share = study.shares.get(trial)
    if share is not None:
        out.print(f"on the front with probability {share:.2f}")
    for item in detail.row.speedups:
        out.print(f"{item.speedup:.2f} times as fast as its dense twin at {item.target}")
    for flag in detail.row.flags:
        out.print(warning(flag))
    if detail.final_trainings:
        print_rows([final_training_row(detail, item) for item in detail.final_trainings], as_json=False)
    if detail.confusion is not None:
        print_rows(confusion_rows(detail.confusion), as_json=False)
    if detail.measurements:
        print_rows([_measurement(study, item) for item in detail.measurements], as_json=False)
    choices = detail.definition["choices"]
    text = ", ".join(line(f"{key}={shown(value)}") for key, value in choices.items())
    out.print(f"choices: {text}", soft_wrap=True)
    print_rows(detail.layers, as_json=False)
    for profile in detail.profiles:
        print_profile(detail, profile.target)
    for trace in (detail.traceback, *(item.traceback for item in detail.final_trainings)):
        if trace:
            out.print(trace)
