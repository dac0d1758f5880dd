"""Studies and candidates as tables for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trials.cli.app import out
from trials.cli.options import print_rows, shown
from trials.protocols import describe_regime
from trials.store.queries import CandidateRow, candidates_page, study_summary
from trials.store.queries_candidate import candidate_detail
from trials.store.store import Store


def print_caveats(store: Store, name: str) -> None:
    """How a sparse study makes its networks sparse, and what it lacks."""
    summary = study_summary(store, name)
    if summary.regime is not None:
        out.print(f"{name}: {describe_regime(summary.regime)}")
    if summary.row.incomplete:
        out.print(f"[yellow]incomplete: {', '.join(summary.row.incomplete)}[/]")


def candidate_rows(store: Store, name: str, limit: int) -> list[dict[str, Any]]:
    """Candidates of a study with its objectives, in the order of proposal."""
    objectives = list(study_summary(store, name).row.objectives)
    page = candidates_page(store, name, limit=limit)
    beside = any(row.beside for row in page.rows)
    return [
        {
            "trial": row.number,
            "state": row.state,
            **{metric: row.metrics[metric].value if metric in row.metrics else None for metric in objectives},
            "parameters": row.parameters,
            "macs": row.macs,
            **(_beside(row) if beside else {}),
            "reason": row.reason or "",
        }
        for row in page.rows
    ]


def _beside(row: CandidateRow) -> dict[str, Any]:
    """Speed-up over the dense twin, on the first target it was timed on, and what to beware of."""
    return {"speedup": row.beside[0].speedup if row.beside else None, "beware": ", ".join(row.flags)}


def candidate_json(store: Store, name: str, number: int) -> dict[str, Any]:
    """All there is of one candidate, raw samples aside."""
    return asdict(candidate_detail(store, name, number))


def print_candidate(store: Store, name: str, number: int) -> None:
    """One candidate for people."""
    detail = candidate_detail(store, name, number)
    out.print(f"[bold]{name} trial {number}[/] {detail.row.state} {detail.row.reason or ''}")
    print_rows(
        [
            {"metric": metric, "value": value.value, "low": value.low, "high": value.high}
            for metric, value in detail.row.metrics.items()
        ],
        as_json=False,
    )
    for item in detail.row.beside:
        out.print(f"{item.speedup:.2f} times as fast as its dense twin at {item.target}")
    for flag in detail.row.flags:
        out.print(f"[yellow]{flag}[/]")
    choices = detail.definition["choices"]
    out.print("choices: " + ", ".join(f"{key}={shown(value)}" for key, value in choices.items()), soft_wrap=True)
    print_rows(detail.layers, as_json=False)
    if detail.traceback:
        out.print(detail.traceback, markup=False)
