"""Does the default strategy find more than random search when networks are really trained and measured?

    python benchmarks/real_search.py examples/digits.yaml budget.trials=32 --seeds 0 1 2 3 4
    python benchmarks/real_search.py examples/sparse_kernels.yaml budget.trials=32 strategy='{name: pareto_bo}'
    python benchmarks/real_search.py examples/digits.yaml budget.trials=81 'estimator.halving={}' \
        --other estimator.halving=null budget.trials=24

For each seed, a study with the strategy of the plan and its random baseline train equally many networks, one study
after the other. The hypervolumes of all studies share one box. They are compared after all trainings, and at equal
wall time, that is, when the shorter of both searches ends. Studies that the storage already contains are continued.
With `--other`, the second study is not the random baseline, but the plan with further overrides.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from trials.analysis.histories import History, histories, running_hypervolume
from trials.launch.studies import resume, search
from trials.plans.loading import load_plan
from trials.plans.plan import Plan
from trials.store.models import Candidate, JobRow
from trials.store.read.costs import study_costs
from trials.store.read.history import is_training
from trials.store.read.points import Floats
from trials.store.read.session import find_study, reading
from trials.store.read.studies import list_studies
from trials.store.store import Store

BASELINE = "random"
Pair = tuple[str, str]


def run(path: Path, seeds: Sequence[int], overrides: Sequence[str], other: Sequence[str], url: str) -> list[Pair]:
    """Run the studies that have not ended; return the names of both studies for each seed."""
    pairs = []
    for seed in seeds:
        plan = _plan(path, overrides, seed, "")
        if other:
            second = _plan(path, [*overrides, *other], seed, "-other")
            _ensure(plan, [plan.name], url)
            _ensure(second, [second.name], url)
            pairs.append((plan.name, second.name))
        else:
            pairs.append((plan.name, f"{plan.name}-{BASELINE}"))
            _ensure(plan, pairs[-1], url)
    return pairs


def _plan(path: Path, overrides: Sequence[str], seed: int, suffix: str) -> Plan:
    plan = load_plan(path, overrides)
    return plan.model_copy(update={"name": f"{plan.name}-{seed}{suffix}", "seed": seed})


def _ensure(plan: Plan, names: Sequence[str], url: str) -> None:
    """Run or continue the study of a plan, and its random baseline if ``names`` has two names."""
    states = {row.name: row.state for row in list_studies(Store(url))}
    if plan.name not in states:
        search(plan, storage=url, baseline=BASELINE if len(names) > 1 else None)
        return
    for name in names:
        if states[name] not in ("complete", "exhausted"):
            resume(url, name)


def trained_at(store: Store, name: str) -> dict[int, float]:
    """Number of each trained candidate → seconds from the first proposal to the end of its training."""
    with reading(store) as session:
        study = find_study(session, name)
        begun = session.scalar(select(func.min(Candidate.created_at)).where(Candidate.study_id == study.id))
        query = select(Candidate.number, func.max(JobRow.finished_at)).group_by(Candidate.number)
        query = query.join(JobRow, JobRow.candidate_id == Candidate.id)
        query = query.where(Candidate.study_id == study.id, is_training(), JobRow.finished_at.is_not(None))
        return {number: (finished - begun).total_seconds() for number, finished in session.execute(query)}


def volume(history: History, everything: Floats, kept: Any) -> float:
    """The hypervolume of the candidates in the mask ``kept``, in the box of ``everything``."""
    signs = np.array([1.0 if direction == "maximize" else -1.0 for direction in history.directions])
    shares = running_hypervolume(history.values[kept] * signs, everything * signs)
    return float(shares[-1]) if len(shares) else 0.0


def rows(pairs: Sequence[Pair], store: Store) -> list[dict[str, Any]]:
    """One row for each seed: hypervolumes of search and baseline at equal trainings and at equal wall time."""
    found = {item.study: item for item in histories(store, [name for pair in pairs for name in pair])}
    everything = np.concatenate([item.values for item in found.values()])
    table = []
    for pair in pairs:
        ended = {name: trained_at(store, name) for name in pair}
        spans = {name: max(times.values()) for name, times in ended.items()}
        shorter = min(spans.values())
        costs = [study_costs(store, name) for name in pair]
        in_time = [[ended[name].get(int(n), np.inf) <= shorter for n in found[name].numbers] for name in pair]
        table.append(
            {
                "study": pair[0],
                "trained": [item.trained for item in costs],
                "epochs": [item.epochs for item in costs],
                "not_trained": [item.rejected + item.measured_only for item in costs],
                "wall_s": [spans[name] for name in pair],
                "equal_trainings": [volume(found[name], everything, slice(None)) for name in pair],
                "equal_wall_time": [
                    volume(found[name], everything, np.array(kept)) for name, kept in zip(pair, in_time, strict=True)
                ],
            }
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("overrides", nargs="*", help="key=value, as for nas search")
    parser.add_argument("--other", nargs="+", default=[], help="overrides of the second study")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--storage", default="sqlite:///real_search.db")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pairs = run(arguments.plan, arguments.seeds, arguments.overrides, arguments.other, arguments.storage)
    found = rows(pairs, Store(arguments.storage))
    if arguments.json:
        print(json.dumps(found))
        return
    table = Table("study", "trained", "epochs", "not trained", "wall s", "equal trainings", "equal wall time")
    for row in found:
        table.add_row(
            row["study"],
            *(" / ".join(str(value) for value in row[key]) for key in ("trained", "epochs", "not_trained")),
            " / ".join(f"{value:.0f}" for value in row["wall_s"]),
            *(" / ".join(f"{value:.3f}" for value in row[key]) for key in ("equal_trainings", "equal_wall_time")),
        )
    Console(width=140).print(table)
    for key in ("equal_trainings", "equal_wall_time"):
        searches, baselines = zip(*(row[key] for row in found), strict=True)
        ahead = sum(ours > theirs for ours, theirs in zip(searches, baselines, strict=True))
        print(
            f"{key.replace('_', ' ')}: {_text(searches)} against {_text(baselines)}; ahead in {ahead} of {len(found)}"
        )


def _text(values: Sequence[float]) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.3f} ± {spread:.3f}"


if __name__ == "__main__":
    main()
