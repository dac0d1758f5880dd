"""How much of the best front do strategies find, after how many trained networks?

    python benchmarks/search.py --table nas_bench_201.parquet --seeds 10 --out search
    python benchmarks/search.py --synthetic --seeds 5 --strategies random tpe pareto_bo

Strategies propose one network at a time and observe its results, as in a study. The score is the hypervolume of the
networks found so far, as a share of the best known hypervolume; a network that is proposed again does not count again.
With ``--table``, the problems are devices of NAS-Bench-201; ``--other-targets`` gives strategies the latencies on the
other devices. With ``--noise-table``, a training reaches one of several validation accuracies, and the score uses the
accuracies of the table. With ``--synthetic``, the problems are spaces of 31 questions whose accuracies are noisy; the
score uses accuracies without noise. Parameters of a strategy follow its name, as in ``pareto_bo,shortlist=100``; the
shortlist can be long here, because features of networks cost nothing. With the parameter ``measured=4``, four networks
are measured for each trained one, and the strategy chooses the one to train. Optimizers of other libraries are
strategies, too; see ``search_parts/other_libraries.py``. With ``--warm-from``, each search is repeated from the results
of a search on another device, and from the same results with negated and with shuffled accuracies. ``--out`` writes all
scores as CSV, and curves of their mean and standard deviation.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Rows
from search_parts.runs import problems, runs
from search_parts.scores import draw, rows, written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="parquet file of NAS-Bench-201 with latencies")
    parser.add_argument("--devices", nargs="+", default=["raspi4", "edgegpu", "pixel3"])
    parser.add_argument("--accuracy", default="cifar100_test_accuracy", help="column of accuracies")
    parser.add_argument("--floor", type=float, default=60.0, help="accuracy in percent below which nothing counts")
    parser.add_argument(
        "--other-targets", action="store_true", help="give strategies the latencies on the other devices"
    )
    parser.add_argument("--noise-table", type=Path, help="parquet file with accuracies of single trainings")
    parser.add_argument("--synthetic", action="store_true")
    baselines = ["random", "nsga2", "tpe", "regularized_evolution", "pareto_local_search", "parego"]
    parser.add_argument("--strategies", nargs="+", default=[*baselines, "pareto_bo,shortlist=100"])
    parser.add_argument("--marks", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--warm-from", help="device of an earlier study to start from, such as eyeriss")
    parser.add_argument("--warm-trained", type=int, default=100, help="networks that the earlier study trained")
    parser.add_argument(
        "--warm-accuracy", default="cifar100_test_accuracy", help="column of accuracies for the earlier study"
    )
    parser.add_argument("--sources", nargs="+", default=["warm", "negated", "shuffled"], help="kinds of accuracies")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--out", type=Path, help="folder for scores.csv, curves.html and, with matplotlib, curves.svg")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.warm_from and not arguments.table:
        parser.error("--warm-from needs the table with latencies of its device: give --table FILE")
    if not next(problems(arguments), None):
        parser.error("no problems: give --table FILE, --synthetic, or both")
    found_runs = runs(arguments)
    finished = list(written(found_runs, arguments.out / "scores.csv") if arguments.out else found_runs)
    if arguments.out:
        draw(finished, arguments.out)
    found = rows(finished, arguments.marks)
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Rows(*found[0])
    for row in found:
        table.add_row(*(_text(value) for value in row.values()))
    Console(width=160).print(table)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.3f} ± {value[1]:.3f}"
    return f"{value:.1f}" if isinstance(value, float) else "—" if value is None else str(value)


if __name__ == "__main__":
    main()
