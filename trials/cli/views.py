"""Studies and candidates as tables for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nas.foreign import line
from nas.latency.protocol.samples import Samples
from nas.latency.protocol.summary import times_of
from trials.analysis.by_target import fronts_by_target, rank_correlations
from trials.analysis.membership import membership_by_number, membership_of
from trials.analysis.profiles import OWN, account, layer_times
from trials.cli.console import out
from trials.cli.options import print_rows, shown
from trials.cli.styled import titled, warning
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import label
from trials.store.read.candidate import MeasurementInfo, candidate_detail, samples_blob
from trials.store.read.candidates import CandidateRow, candidates_page
from trials.store.read.doubts import study_doubts
from trials.store.read.protocols import describe_regime
from trials.store.read.studies import study_summary
from trials.store.store import Store


def print_caveats(store: Store, name: str) -> None:
    """How a sparse study makes its networks sparse, and what it lacks."""
    summary = study_summary(store, name)
    if summary.regime is not None:
        out.print(f"{name}: {describe_regime(summary.regime)}")
    if summary.row.incomplete:
        out.print(warning(f"incomplete: {', '.join(summary.row.incomplete)}"))
    for text in study_doubts(store, name):
        out.print(warning(text))


def candidate_rows(store: Store, name: str, limit: int) -> list[dict[str, Any]]:
    """Candidates of a study with its objectives, in the order of proposal."""
    objectives = list(study_summary(store, name).row.objectives)
    page = candidates_page(store, name, limit=limit)
    shares = membership_by_number(store, name)
    with_speedups = any(row.speedups or row.flags for row in page.rows)
    named = any(row.original for row in page.rows)
    return [
        {
            "trial": row.number,
            **({"network": "original" if row.original else ""} if named else {}),
            "state": row.state,
            **{metric: row.metrics[metric].value if metric in row.metrics else None for metric in objectives},
            "on_front": shares.get(row.number),
            "parameters": row.parameters,
            "macs": row.macs,
            **(_speedup(row) if with_speedups else {}),
            "reason": row.reason or "",
        }
        for row in page.rows
    ]


def _speedup(row: CandidateRow) -> dict[str, Any]:
    """Speed-up over the dense twin, on the first target it was timed on, and what to beware of."""
    return {"speedup": row.speedups[0].speedup if row.speedups else None, "beware": ", ".join(row.flags)}


def candidate_json(store: Store, name: str, number: int) -> dict[str, Any]:
    """All there is of one candidate, raw samples aside."""
    detail = asdict(candidate_detail(store, name, number))
    for item in detail["measurements"]:
        item["times"] = times_of(Samples.from_bytes(samples_blob(store, item["id"])))._asdict()
    return {**detail, "on_front": membership_by_number(store, name).get(number)}


def _measurement(store: Store, item: MeasurementInfo) -> dict[str, Any]:
    """A measurement with its interval, the raw wall times it is derived from, and what to beware of."""
    times = times_of(Samples.from_bytes(samples_blob(store, item.id)))
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


def profile_json(store: Store, name: str, number: int, target: str) -> dict[str, Any]:
    """The newest profile of a candidate on a target, by layer and by node."""
    detail = candidate_detail(store, name, number)
    found = next(item for item in detail.profiles if item.target == target)
    return {**asdict(found), **account(detail, found), "layers": [asdict(item) for item in layer_times(found.nodes)]}


def print_profile(store: Store, name: str, number: int, target: str) -> None:
    """The same for people, with its sum beside what was measured."""
    detail = candidate_detail(store, name, number)
    found = next(item for item in detail.profiles if item.target == target)
    out.print(f"{name} trial {number} on {target} ({found.runtime_version}), mean of {found.runs} runs")
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


def targets_json(store: Store, name: str) -> dict[str, Any]:
    """A front a target, candidate → probability, and the rank correlations; empty for a study of one target."""
    fronts = {
        target: {int(number): share for number, share in membership_of(found).items() if share > 0}
        for target, found in fronts_by_target(store, name).items()
    }
    return {"fronts": fronts, "rank_correlations": [asdict(item) for item in rank_correlations(store, name)]}


def print_targets(store: Store, name: str) -> None:
    """The same for people."""
    found = targets_json(store, name)
    numbers = dict.fromkeys(number for front in found["fronts"].values() for number in front)
    rows = [
        {"trial": str(number), **{target: front.get(number, 0.0) for target, front in found["fronts"].items()}}
        for number in sorted(numbers)
    ]
    out.print("probability to be on the front of each target")
    print_rows(rows, as_json=False, empty="no complete candidate on several targets")
    print_rows(found["rank_correlations"], as_json=False, empty="one target only: nothing to correlate")


def print_candidate(store: Store, name: str, number: int) -> None:
    """One candidate for people."""
    detail = candidate_detail(store, name, number)
    own = ", original" if detail.row.original else ""
    out.print(titled(f"{name} trial {number}{own}", f" {detail.row.state} {line(detail.row.reason or '')}"))
    print_rows(
        [
            {"metric": metric, "value": value.value, "low": value.low, "high": value.high}
            for metric, value in detail.row.shown_metrics.items()
        ],
        as_json=False,
    )
    share = membership_by_number(store, name).get(number)
    if share is not None:
        out.print(f"on the front with probability {share:.2f}")
    for item in detail.row.speedups:
        out.print(f"{item.speedup:.2f} times as fast as its dense twin at {item.target}")
    for flag in detail.row.flags:
        out.print(warning(flag))
    if detail.confusion is not None:
        print_rows(confusion_rows(detail.confusion), as_json=False)
    if detail.measurements:
        print_rows([_measurement(store, item) for item in detail.measurements], as_json=False)
    choices = detail.definition["choices"]
    told = ", ".join(line(f"{key}={shown(value)}") for key, value in choices.items())
    out.print(f"choices: {told}", soft_wrap=True)
    print_rows(detail.layers, as_json=False)
    for profile in detail.profiles:
        print_profile(store, name, number, profile.target)
    if detail.traceback:
        out.print(detail.traceback)
