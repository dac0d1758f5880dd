"""How many processor seconds does a candidate cost before it is measured or trained, in each search space?

    python benchmarks/candidate_cost.py --candidates 20
    python benchmarks/candidate_cost.py --task shapes --spaces sparse_convnet --json

"sample" chooses a network and computes its shapes and identity, as the coordinator does. "build" builds it with seeded
weights. "deploy" writes and checks its file. The first candidate of each space is not counted, because it includes
imports.
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
STEPS = ("sample", "build", "deploy")


def timed(function: Callable[[], T]) -> tuple[T, float]:
    started = time.process_time()
    return function(), time.process_time() - started


def candidate(searched: Searched, seed: int, folder: Path) -> dict[str, float]:
    """Return step → processor seconds for one candidate."""
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
    """Return the mean processor seconds of each step for a space, with the parameters of the first of its examples."""
    searched = Searched(SPACES.get(name).examples()[0], {"name": name}, (), make_task(task))
    seconds = [candidate(searched, seed, folder) for seed in range(candidates + 1)][1:]
    means = {step: fmean(item[step] for item in seconds) for step in STEPS}
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
    table = Table("space", *STEPS, "all", title=f"processor seconds per candidate, {options.task}")
    for row in rows:
        table.add_row(row["space"], *(f"{row[column]:.3f}" for column in (*STEPS, "all")))
    Console().print(table)


if __name__ == "__main__":
    main()
