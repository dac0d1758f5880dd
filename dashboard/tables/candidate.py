"""Tables about one candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nas.foreign import line
from nas.latency.protocol.samples import Samples
from nas.tasks.per_class import PREFIX
from trials.analysis.profiles import OWN, LayerTime
from trials.reporting.labels import duration, inline, label, moment, number, size
from trials.store.read.candidate import ArtifactInfo, CandidateDetail, JobInfo, MeasurementInfo

Floats = NDArray[np.float64]


def sites_table(artifacts: Sequence[ArtifactInfo]) -> pd.DataFrame:
    """Return one row per site that policies changed, from the record of the deployed file; empty without a record."""
    sites: Mapping[str, Mapping[str, Any]] = next(
        (item.record["sites"] for item in artifacts if item.record.get("sites")), {}
    )
    heads = dict.fromkeys(key for facts in sites.values() for key in facts)
    return pd.DataFrame(
        [{"Site": path, **{line(label(head)): facts.get(head) for head in heads}} for path, facts in sites.items()]
    )


def layers_table(detail: CandidateDetail) -> pd.DataFrame:
    """Return one row per layer, in the order of the network."""
    lines = [
        {
            "Layer": line(str(layer.get("name"))),
            "Op": layer.get("op"),
            "Output": shape(layer.get("output_shape")),
            "Parameters": layer.get("parameters"),
            "MACs": layer.get("macs"),
            "Bits": layer.get("bits"),
        }
        for layer in detail.layers
    ]
    table = pd.DataFrame(lines, columns=["Layer", "Op", "Output", "Parameters", "MACs", "Bits"])
    total = table["MACs"].sum()
    table.insert(5, "Share of MACs", table["MACs"] / total if total else 0.0)
    return table


def profile_table(times: Sequence[LayerTime]) -> pd.DataFrame:
    """Return one row per layer of a profile: the executed operations and their time."""
    return pd.DataFrame(
        [{"Layer": line(item.layer or OWN), "Executed": item.ops, "Time (ms)": item.time_ms} for item in times]
    )


def choices_table(detail: CandidateDetail) -> pd.DataFrame:
    """Return one row per choice of the architecture, with its answer."""
    choices = detail.definition.get("choices", {})
    return pd.DataFrame(
        {"Choice": [line(key) for key in choices], "Answer": [line(str(value)) for value in choices.values()]}
    )


def jobs_table(jobs: Sequence[JobInfo]) -> pd.DataFrame:
    """Return one row per job."""
    lines = [
        {
            "Job": job.kind + (f" at {job.target}" if job.target else ""),
            "State": job.state,
            "Attempt": job.attempt,
            "Started": moment(job.started_at),
            "Took": duration(job.seconds),
            "Scores": ", ".join(f"{inline(name)} {number(name, value)}" for name, value in job.scores.items()),
            "Error": line(job.error or ""),
        }
        for job in jobs
    ]
    return pd.DataFrame(lines)


def final_trainings_table(detail: CandidateDetail) -> pd.DataFrame:
    """Return one row per final training, with the scores of the search beside its own."""
    rows = []
    for training in detail.final_trainings:
        row = {
            "Recipe": line(training.description),
            "State": training.state,
            "Epochs": len(training.curve.epochs),
            "Started": moment(training.started_at),
        }
        for name, value in training.scores.items():
            if not name.startswith(PREFIX):
                searched = detail.row.metrics.get(name)
                row[line(label(name))] = value.value
                row[f"{line(label(name))} in the search"] = None if searched is None else searched.value
        rows.append(row | {"Error": line(training.error or "")})
    return pd.DataFrame(rows)


def artifacts_table(artifacts: Sequence[ArtifactInfo]) -> pd.DataFrame:
    """Return one row per file."""
    lines = [
        {
            "File": artifact.kind,
            "Size": size(artifact.size_bytes),
            "Where": line(artifact.uri) if artifact.deleted_at is None else f"removed {moment(artifact.deleted_at)}",
            "SHA-256": artifact.sha256[:16],
        }
        for artifact in artifacts
    ]
    return pd.DataFrame(lines)


def conditions_table(measurement: MeasurementInfo) -> pd.DataFrame:
    """Return the conditions under which a latency was measured, one per row."""
    facts = {
        "target": measurement.target,
        "purpose": measurement.purpose,
        "measured": moment(measurement.created_at),
        "structure": measurement.structure_hash[:16],
        **flat(measurement.conditions),
    }
    names = [line(label(key)) for key in facts]
    return pd.DataFrame({"Condition": names, "Value": [plain(value) for value in facts.values()]})


def flat(facts: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings; keys are joined by a space."""
    found: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key} ")
        else:
            found[f"{prefix}{key}"] = value
    return found


def plain(value: Any) -> str:
    """Return a short text of a recorded value."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "—"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return line(str(value))


def shape(sizes: Sequence[int] | None) -> str:
    """Return sizes as text, for example ``16 × 8 × 8``."""
    return " × ".join(map(str, sizes or ()))


def run_times(samples: Samples) -> tuple[Floats, Floats, Floats]:
    """Return the milliseconds of every run of the candidate and of the reference, and the ratio of every visit."""
    fastest = np.concatenate(samples.fastest())
    return samples.candidate_ms(), samples.reference_ms(), fastest[:, 0] / fastest[:, 1]


def ratio_interval(measurement: MeasurementInfo) -> tuple[float, float, float] | None:
    """Return low end, value and high end of a latency relative to its reference; None if the reference is unknown."""
    reference_ms = measurement.conditions.get("reference_ms")
    if not reference_ms:
        return None
    return (
        measurement.low_ms / reference_ms,
        measurement.latency_ms / reference_ms,
        measurement.high_ms / reference_ms,
    )
