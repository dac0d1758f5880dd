"""How much better is the best network of a search after a final training, with and without a teacher?

    python benchmarks/final_training.py --epochs 40 --seeds 3

Two small searches, of ``examples/digits.yaml`` and of a sparse space on drawn shapes, each with 8 trials that are
trained for a tenth of ``--epochs``. The best network of each is trained finally with several seeds, without a teacher
and with its dense twin as teacher. Scores are those of the deployed files on the validation split; the score of the
search is that of one training and the best of 8, so it is favourably biased.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

import measured_nas as mn

DIGITS = Path(__file__).parents[1] / "examples" / "digits.yaml"
SHAPES: Mapping[str, Any] = {
    "name": "shapes",
    "task": {"name": "shapes", "image_size": 16, "difficulty": 0.1, "num_train": 1000, "num_validation": 2000},
    "space": {"name": "sparse_convnet", "preset": "small"},
    "policies": [
        {"name": "sparsity", "scope": "network", "patterns": ["unstructured"], "densities": [0.25]},
        {"name": "precision", "scope": "network", "options": ["int8"]},
    ],
}
#: Number of trials of each search, and how many times as long the final training is.
TRIALS, LONGER = 8, 10
TEACHERS = (None, "dense")


def plans(epochs: int) -> Iterator[mn.Plan]:
    """Plans of the searches; ``epochs``: number of epochs of a final training."""
    changes = ["executor=local", f"budget.trials={TRIALS}", "budget.measurements=0", "confidence.remeasure=0"]
    yield mn.load_plan(DIGITS, [*changes, f"estimator.epochs={epochs // LONGER}"])
    estimator = {"name": "training", "epochs": epochs // LONGER, "batch_size": 50}
    yield mn.Plan(**SHAPES, estimator=estimator, executor="local", budget={"trials": TRIALS, "measurements": 0})


def rows(storage: str, epochs: int, seeds: int) -> Iterator[dict[str, Any]]:
    """Search, train finally, and yield one row for each teacher."""
    for plan in plans(epochs):
        study = mn.search(plan, storage=storage, progress=False)
        best = study.best()
        searched = best.metrics["accuracy"].value
        for teacher in TEACHERS:
            started = time.monotonic()
            found = [best.train(f"seed={seed}", teacher=teacher).scores["accuracy"].value for seed in range(seeds)]
            yield {
                "study": study.name,
                "trial": best.number,
                "teacher": teacher or "none",
                "search": searched,
                "mean": fmean(found),
                "sd": stdev(found) if seeds > 1 else 0.0,
                "gain": fmean(found) - searched,
                "minutes": (time.monotonic() - started) / 60 / seeds,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40, help="epochs of a final training")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    table = Table("study", "trial", "teacher", "search", "final", "gain", "minutes each", box=None)
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(f"sqlite:///{folder}/nas.db", options.epochs, options.seeds):
            final = f"{row['mean']:.4f} ± {row['sd']:.4f}"
            cells = [row["study"], str(row["trial"]), row["teacher"], f"{row['search']:.4f}", final]
            table.add_row(*cells, f"{row['gain']:+.4f}", f"{row['minutes']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
