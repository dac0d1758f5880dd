"""``report.md`` of an exported network: its scores in every runtime, and its latencies, recorded and measured again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas import foreign
from trials.analysis.gaps import GAP_NOTE
from trials.reporting.classes import confusion_rows
from trials.reporting.labels import interval


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page for the contents of ``report.json``."""
    lines = [f"# {report['study']}, trial {report['trial']}", "", *runtime_lines(report)]
    lines += ["", "| target | recorded, ms | measured again, ms | ratio |", "|---|---|---|---|"]
    for item in report["latency"]:
        intervals = [
            f"{value:.4g} ({low:.4g} – {high:.4g})" for value, low, high in (item["recorded_ms"], item["remeasured_ms"])
        ]
        verdict = "" if item["agrees"] else " — differs; check whether the machine was busy"
        lines.append(f"| {item['target']} | {intervals[0]} | {intervals[1]} | {item['ratio']:.3f}{verdict} |")
    lines += _verification_lines(report)
    lines += _gap_lines(report)
    lines += _class_lines(report)
    lines += _twin_lines(report)
    lines += [line for flag in report["beware"] for line in ("", f"**Beware: {foreign.markdown(flag)}.**")]
    file = report["file"]
    lines += [
        "",
        f"`{file['name']}`: {file['size_bytes']:,} bytes, input {file['input_shape']}, sha256 `{file['sha256']}`.",
        f"{report['parameters']:,} parameters, {report['macs']:,} MACs.",
        "",
        f"{foreign.markdown(report['weights']['reason'][:1].upper() + report['weights']['reason'][1:])}.",
        "",
        f"Data: {report['data']}.",
        "",
        f"Run it: `python run.py image.jpg` (numpy, Pillow and {report['runs_in']}). `preprocessing.json` says how an "
        "image becomes an input, and which class each output is; `prepare.py` does it.",
    ]
    return "\n".join(lines) + "\n"


def runtime_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a table of the file's scores in every runtime; the target's runtime is first."""
    metrics = [(metric, split) for metric in report["scores"]["validation"] for split in report["scores"]]
    heads = ["runtime", *(f"{metric}, {split}" for metric, split in metrics), "off from torch by"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for item in report["runtimes"]:
        name = f"{item['runtime']} {item['version']}"
        if item["error"]:
            lines.append(f"| {name} |{' – |' * len(metrics)} {item['reason']} |")
        else:
            scores = (f"{item['scores'][split][metric]:.4f}" for metric, split in metrics)
            lines.append(f"| {name} | {' | '.join(scores)} | {item['relative_error']:.2g} |")
    return [
        *lines,
        "",
        "Off from torch by: the largest difference, in standard deviations of the output. The scores of the study come "
        "from the first runtime.",
        *(line for item in report["runtimes"] if _says_more(item) for line in ("", " ".join(item["error"].split()))),
    ]


def _says_more(item: Mapping[str, Any]) -> bool:
    """Whether an error is longer than the reason that the table shows."""
    return bool(item["error"] != item["reason"])


def _verification_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a table of what was verified."""
    rows = (
        f"| {item['verdict']} | {foreign.markdown(item['check'])} | {foreign.markdown(item['found'])} "
        f"| {foreign.markdown(item['reason'])} |"
        for item in report["verification"]
    )
    return ["", "| verdict | check | found | reason |", "|---|---|---|---|", *rows]


def _gap_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a table of validation and test scores and their difference."""
    heads = ["", "| metric | validation | test | validation − test |", "|---|---|---|---|"]
    rows = []
    for item in report["gaps"]:
        cells = (interval(item["metric"], *item[part]) for part in ("validation", "test", "gap"))
        rows.append(f"| {item['metric']} | {' | '.join(cells)} |")
    return [*heads, *rows, "", GAP_NOTE, f"On the Pareto front with probability {report['on_front']:.2f}."]


def _class_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a table of the predictions for each class of the test split."""
    if "test" not in report["classes"]:
        return []
    rows = confusion_rows(report["classes"]["test"])
    cells = (
        f"| {foreign.markdown(row['class'])} | {row['examples']} | {foreign.markdown(row['answered as'])} |"
        for row in rows
    )
    return ["", "| class | test examples | answered as |", "|---|---|---|", *cells]


def _twin_lines(report: Mapping[str, Any]) -> list[str]:
    """Return a table of the recorded latency and the dense twin's, the same network in fp32 without sparsity."""
    if not report["dense_twin"]:
        return []
    rows = (
        f"| {item['target']} | {item['latency_ms']:.4g} | {item['dense_latency_ms']:.4g} | {item['speedup']:.2f} |"
        for item in report["dense_twin"]
    )
    heads = ["", "| target | recorded, ms | dense twin, ms | speed-up |", "|---|---|---|---|"]
    return [*heads, *rows]
