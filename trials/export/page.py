"""``report.html`` of an exported network: one page that opens offline and needs no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trials.analysis.gaps import GAP_NOTE
from trials.export.verification.verdicts import Verdict
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import interval, number, size
from trials.reporting.pages import render_page

RUNTIMES_NOTE = (
    "Off from torch by: the largest difference, in standard deviations of the output. The scores of the study come "
    "from the first runtime."
)
#: Why a folder has two latencies.
ALONE_NOTE = (
    "The latency on a target is measured by the project's protocol, in turns with a reference network; verify.py has a "
    "shorter protocol of its own, so compare its latency only with this one."
)
#: Verdict of the whole verification → its sentence.
_SUMMARIES: Mapping[Verdict, str] = {
    "pass": "Verified: every line that can be judged passed.",
    "warning": "Verified, with warnings.",
    "fail": "Not verified.",
}


@dataclass(frozen=True)
class Table:
    """A table with its heading and notes."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def page(report: Mapping[str, Any]) -> str:
    """Return the page for the contents of ``report.json`` as HTML text."""
    verdicts = {line["verdict"] for line in report["verification"]}
    verdict: Verdict = "fail" if "fail" in verdicts else "warning" if "warning" in verdicts else "pass"
    makers = (verification_table, runtime_table, format_table, latency_table, gap_table, class_table)
    tables = [make(report) for make in makers]
    return render_page(
        "trials.export/page.html",
        report=report,
        verdict=verdict,
        summary=_SUMMARIES[verdict],
        cards=list(_cards(report)),
        tables=[table for table in (*tables, twin_table(report)) if table.rows],
        facts=list(_facts(report)),
    )


def _cards(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the numbers at the top with their descriptions."""
    cards = [
        (number(metric, value), f"{metric} on the {split} split")
        for split in ("test", "validation")
        for metric, value in report["scores"][split].items()
    ]
    for item in report["latency"]:
        value, low, high = item["remeasured_ms"]
        cards.append((f"{value:.3g} ms", f"latency on {item['target']}; 95 % interval {low:.3g} to {high:.3g} ms"))
    cards.append((size(report["file"]["size_bytes"]), f"size of {report['file']['name']}"))
    return [*cards, (f"{report['parameters']:,}", "parameters"), (f"{report['macs']:,}", "MACs")]


def verification_table(report: Mapping[str, Any]) -> Table:
    """Return the lines of the verification."""
    keys = ("verdict", "check", "found", "reason")
    rows = [[item[key] for key in keys] for item in report["verification"]]
    return Table("Verification", ("Verdict", "Check", "Found", "Reason"), rows)


def runtime_table(report: Mapping[str, Any]) -> Table:
    """Return the scores of the file in every runtime; the target's runtime is first."""
    metrics = [(metric, split) for metric in report["scores"]["validation"] for split in report["scores"]]
    rows = []
    for item in report["runtimes"]:
        name = f"{item['runtime']} {item['version']}"
        if item["error"]:
            rows.append([name, *("–" for _ in metrics), item["reason"]])
        else:
            scores = (f"{item['scores'][split][metric]:.4f}" for metric, split in metrics)
            rows.append([name, *scores, f"{item['relative_error']:.2g}"])
    columns = ("Runtime", *(f"{metric}, {split}" for metric, split in metrics), "Off from torch by")
    errors = [" ".join(item["error"].split()) for item in report["runtimes"] if item["error"] != item["reason"]]
    return Table("Runtimes", columns, rows, (RUNTIMES_NOTE, *errors))


def format_table(report: Mapping[str, Any]) -> Table:
    """Return the further formats: files, packages, scores and difference from torch."""
    metrics = [(metric, split) for metric in report["scores"]["validation"] for split in report["scores"]]
    rows = []
    for item in report["formats"]:
        names = ", ".join(f"{file['name']} ({size(file['size_bytes'])})" for file in item["files"])
        scores = (f"{item['scores'][split][metric]:.4f}" for metric, split in metrics)
        needs = ", ".join(item["requirements"])
        rows.append([item["format"], names, needs, *scores, f"{item['relative_error']:.2g}"])
    columns = ("Format", "Files", "Needs", *(f"{metric}, {split}" for metric, split in metrics), "Off from torch by")
    return Table("Further formats", columns, rows)


def latency_table(report: Mapping[str, Any]) -> Table:
    """Return the latencies, recorded by the study and measured again by the export."""
    rows = []
    for item in report["latency"]:
        values = (item["recorded_ms"], item["remeasured_ms"])
        texts = [f"{value:.4g} ({low:.4g} – {high:.4g})" for value, low, high in values]
        rows.append([item["target"], *texts, f"{item['ratio']:.3f}"])
    return Table("Latency", ("Target", "Recorded, ms", "Measured again, ms", "Ratio"), rows)


def gap_table(report: Mapping[str, Any]) -> Table:
    """Return validation and test scores and their difference."""
    rows = [
        [item["metric"], *(interval(item["metric"], *item[part]) for part in ("validation", "test", "gap"))]
        for item in report["gaps"]
    ]
    chance = f"On the Pareto front with probability {report['on_front']:.2f}."
    return Table("Scores", ("Metric", "Validation", "Test", "Validation − test"), rows, (GAP_NOTE, chance))


def class_table(report: Mapping[str, Any]) -> Table:
    """Return the predictions for each class of the test split."""
    rows = confusion_rows(report["classes"]["test"]) if "test" in report["classes"] else []
    texts = [[row["class"], str(row["examples"]), row["answered as"]] for row in rows]
    return Table("Classes", ("Class", "Test examples", "Answered as"), texts)


def twin_table(report: Mapping[str, Any]) -> Table:
    """Return the recorded latency and the dense twin's, the same network in fp32 without sparsity."""
    rows = [
        [item["target"], f"{item['latency_ms']:.4g}", f"{item['dense_latency_ms']:.4g}", f"{item['speedup']:.2f}"]
        for item in report["dense_twin"]
    ]
    return Table("Dense twin", ("Target", "Recorded, ms", "Dense twin, ms", "Speed-up"), rows)


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return further facts with their names."""
    file, environment, training = report["file"], report["environment"], report["weights"].get("final_training")
    packages = ", ".join(f"{name} {found}" for name, found in environment["packages"].items())
    return [
        ("File", f"{file['name']}, {file['size_bytes']:,} bytes, input {file['input_shape']}"),
        ("SHA-256", file["sha256"]),
        ("Weights", report["weights"]["reason"]),
        *([("Trained with", training["command"])] if training else []),
        ("Data", report["data"]),
        ("Runs in", f"numpy, Pillow for image files, and {report['runs_in']}"),
        ("Latency of the folder alone", _alone(report["alone"])),
        ("Exported with", f"Python {environment['python']}, {packages}"),
        ("Exported on", environment["platform"]),
    ]


def _alone(alone: Mapping[str, Any]) -> str:
    return (
        f"{alone['latency_ms']:.4g} ms with verify.py, {alone['threads']} thread{'s' * (alone['threads'] != 1)}, "
        f"{alone['cpus']} CPUs, {alone['processor']}. {ALONE_NOTE}"
    )
