"""Does it pay to search sparsity and precision together with the architecture? Compares equal numbers of trials.

    python benchmarks/joint_search.py --trials 60 --seeds 0 1 2

Three kinds of studies use the space, task and target of `examples/joint.yaml`: "architecture only" without its
policies, "joint" with them, and "joint, random" with them and random search. The objectives are accuracy, latency and
size of the deployed file; all fronts of all seeds share one hypervolume box. `--report FILE` writes a page of fronts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from rich.console import Console
from rich.table import Table

from trials.analysis.histories import histories
from trials.launch.studies import resume, search
from trials.plans.loading import load_plan
from trials.plans.plan import Plan
from trials.store.read.points import front
from trials.store.read.studies import list_studies
from trials.store.store import Store

PLAN = Path(__file__).parents[1] / "examples" / "joint.yaml"
BASELINE = "architecture only"
#: Kind → overrides of the plan.
KINDS: dict[str, tuple[str, ...]] = {
    "joint": (),
    "architecture only": ("policies=[]",),
    "joint, random": ("strategy.name=random",),
}


def plan_of(kind: str, seed: int, overrides: Sequence[str]) -> Plan:
    """The plan of one study: the example with the overrides of its kind."""
    plan = load_plan(PLAN, [*overrides, *KINDS[kind]])
    name = f"{kind.replace(', ', '-').replace(' ', '-')}-{seed}"
    return plan.model_copy(update={"name": name, "seed": seed})


def run(kinds: Sequence[str], seeds: Sequence[int], overrides: Sequence[str], url: str) -> dict[str, list[str]]:
    """Run the studies that have not ended, and return kind → names of its studies; stored ones are resumed."""
    names: dict[str, list[str]] = {kind: [] for kind in kinds}
    for seed in seeds:  # kinds take turns, so that a change of the machine affects all of them
        for kind in kinds:
            plan = plan_of(kind, seed, overrides)
            names[kind].append(plan.name)
            states = {row.name: row.state for row in list_studies(Store(url))}
            if plan.name not in states:
                search(plan, storage=url)
            elif states[plan.name] not in ("complete", "exhausted"):
                resume(url, plan.name)
    return names


def rows(names: dict[str, list[str]], source: Store) -> list[dict[str, Any]]:
    """One row for each kind: its hypervolumes over seeds, in the box of all studies."""
    found = {item.study: item for item in histories(source, [name for group in names.values() for name in group])}
    table = []
    for kind, group in names.items():
        volumes = [float(found[name].hypervolume[-1]) for name in group]
        sizes = [len(front(source, name).numbers) for name in group]
        table.append(
            {
                "kind": kind,
                "trials": [found[name].last_number + 1 for name in group],
                "hypervolume": statistics.fmean(volumes),
                "spread": statistics.stdev(volumes) if len(volumes) > 1 else 0.0,
                "each": volumes,
                "front_sizes": sizes,
            }
        )
    baseline = next((row["hypervolume"] for row in table if row["kind"] == BASELINE), table[0]["hypervolume"])
    return [{**row, "ratio": row["hypervolume"] / baseline} for row in table]


def write_fronts(names: dict[str, list[str]], source: Store, path: Path) -> None:
    """Write a page with all fronts: accuracy over latency, with the file size as the size of the marker."""
    figure = go.Figure()
    for kind, group in names.items():
        accuracy, latency, size = (
            np.concatenate([front(source, name).values[:, place] for name in group]) for place in range(3)
        )
        figure.add_scatter(
            x=latency,
            y=accuracy,
            mode="markers",
            name=kind,
            marker={"size": 6 + 18 * size / size.max(), "opacity": 0.6},
            text=[f"{value:,.0f} bytes" for value in size],
        )
    figure.update_xaxes(title="latency, ms", type="log")
    figure.update_yaxes(title="accuracy")
    figure.write_html(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key=value, as for nas search")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--storage", default="sqlite:///joint.db")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    overrides = [f"budget.trials={arguments.trials}", *arguments.overrides]
    names = run(arguments.kinds, arguments.seeds, overrides, arguments.storage)
    source = Store(arguments.storage)
    found = rows(names, source)
    if arguments.report:
        write_fronts(names, source, arguments.report)
    if arguments.json:
        print(json.dumps(found))
        return
    table = Table("kind", "trials", "hypervolume", "± (seeds)", "ratio", "each", "front")
    for row in found:
        table.add_row(
            row["kind"],
            str(row["trials"]),
            f"{row['hypervolume']:.3f}",
            f"{row['spread']:.3f}",
            f"{row['ratio']:.2f}",
            " ".join(f"{value:.3f}" for value in row["each"]),
            str(row["front_sizes"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
