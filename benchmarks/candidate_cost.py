"""Processor seconds a candidate costs before anything is measured or trained, of every registered search space.

    python benchmarks/candidate_cost.py --candidates 20
    python benchmarks/candidate_cost.py --task shapes --spaces sparse_convnet --json

Sample: questions, shapes and identity, in the coordinator. Build: the network with weights, seeded. Deploy: the file,
written and checked. The first candidate of a space pays for imports and is left out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.identity import graph_identity
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces import SPACES

T = TypeVar("T")
VERBS = ("sample", "build", "deploy")


def timed(function: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    return function(), time.process_time() - started


def candidate(searched: Searched, seed: int, folder: Path) -> dict[str, float]:
    """Seconds of each verb."""
    shape = (1, *searched.task.input_shape)

    def sample() -> tuple[Any, str]:
        network = searched.sample(RandomChooser(seed))
        return network.architecture, graph_identity(network.model, shape, network.bits)

    def build() -> Any:
        network = searched.build(architecture, seed)
        seed_weights(network, shape, identity)
        return network

    (architecture, identity), sampling = timed(sample)
    network, building = timed(build)
    _, deploying = timed(lambda: OnnxExporter().export(network, folder / "candidate.onnx", input_shape=shape))
    return {"sample": sampling, "build": building, "deploy": deploying}


def costs(name: str, task: str, candidates: int, folder: Path) -> dict[str, Any]:
    """Mean seconds of one space, its first example: the default parameters where there are defaults."""
    searched = Searched(SPACES.get(name).examples()[0], {"name": name}, (), make_task(task))
    seconds = [candidate(searched, seed, folder) for seed in range(candidates + 1)][1:]
    means = {verb: fmean(item[verb] for item in seconds) for verb in VERBS}
    return {"space": name, "candidates": candidates, **means, "all": sum(means.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--task", default="digits")
    parser.add_argument("--spaces", nargs="+", default=SPACES.names())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [costs(name, options.task, options.candidates, Path(folder)) for name in options.spaces]
    if options.json:
        print(json.dumps(rows))
        return
    table = Table("space", *VERBS, "all", title=f"processor seconds a candidate, {options.task}")
    for row in rows:
        table.add_row(row["space"], *(f"{row[column]:.3f}" for column in (*VERBS, "all")))
    Console().print(table)


if __name__ == "__main__":
    main()
