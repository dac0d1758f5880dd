"""Jobs of a network that the user imports beside a study: one writes, counts and scores its file, others measure it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch.utils.data import Subset

from nas.errors import ExportError
from nas.export.checking.evaluate import deployed_outputs
from nas.export.checking.recount import recount
from nas.export.foreign_onnx import foreign_model
from nas.export.seeding import seed_weights
from nas.scratch import Scratch
from nas.space import Network
from search_spaces.answers import wanted_answer
from trials.jobs.candidate import Scored, check_data, deploy, measure_stored, scored
from trials.jobs.messages import ImportPayload, ImportResult, LatencyResult, MeasureFilePayload, ValueAndInterval
from trials.plans.imported import ImportSource
from trials.plans.problem import Problem, open_problem_json
from trials.store.artifacts import ArtifactStore

#: The runtime that scores ONNX files of the user.
RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class _File:
    """The file of an imported network."""

    path: Path
    #: What was counted.
    counts: dict[str, float]
    #: The runtime that scores it; None if it is not scored.
    runtime: str | None
    #: What was left out, and why.
    notes: list[str]


def imported(payload: ImportPayload) -> Iterator[ImportResult]:
    """Write the file of a network of the user, count it, score it on the validation and test images, and store it."""
    problem = open_problem_json(payload["plan"])
    check_data(problem, payload["data"])
    source = ImportSource.from_json(payload["source"])
    with Scratch("nas-import-") as folder:
        path = Path(folder) / f"network{problem.exporter.suffix}"
        made = _taken(problem, source, path) if source.kind == "onnx" else _deployed(problem, source, path)
        scores: dict[str, ValueAndInterval] = {}
        tests: dict[str, ValueAndInterval] = {}
        if made.runtime is not None:
            scores = _with_intervals(scored(problem, path, "validation", made.runtime))
            tests = _with_intervals(scored(problem, path, "test", made.runtime))
        counts: dict[str, ValueAndInterval] = {name: (value, None, None) for name, value in made.counts.items()}
        stored = ArtifactStore(payload["artifacts"]).put(path, f"imported-{payload['name']}", problem.exporter.format)
        yield {
            "metrics": {**scores, **counts},
            "test_scores": tests,
            "notes": made.notes,
            "file": {
                "kind": problem.exporter.format,
                "uri": stored.uri,
                "sha256": stored.sha256,
                "size_bytes": stored.size_bytes,
                "record": {},
            },
        }


def measure_file(payload: MeasureFilePayload) -> Iterator[LatencyResult]:
    """Measure the latency of a stored file."""
    yield measure_stored(payload)


def _taken(problem: Problem, source: ImportSource, path: Path) -> _File:
    """Take an ONNX file of the user, with the sizes of the study's inputs."""
    onnx.save(foreign_model(Path(source.place), problem.input_shape()), str(path))
    counts, notes = dict[str, float](), list[str]()
    try:
        found = recount(path)
        counts = {
            "parameters": found.parameters,
            "nonzero_parameters": found.parameters - found.zeros,
            "macs": found.macs,
        }
    except ExportError as error:
        notes.append(f"not counted: {error}")
    first = Subset(problem.task.dataset("validation"), [0])
    given = deployed_outputs(path, first, runtime=RUNTIME)[0].shape
    wanted = wanted_answer(problem.task)
    if given != wanted:
        notes.append(f"not scored: the file returns {given} for one input, the task needs {wanted}")
    return _File(path, counts | {"size_bytes": path.stat().st_size}, RUNTIME if given == wanted else None, notes)


def _deployed(problem: Problem, source: ImportSource, path: Path) -> _File:
    """Make a module or a model of timm, and deploy it as candidates are."""
    searched = source.searched(problem.task)
    sampled = searched.untouched()
    assert sampled is not None
    network = searched.build(sampled.architecture, 0)
    trained = searched.space.trained(network.model) or _same(network, searched.build(sampled.architecture, 1))
    notes = []
    if not trained:
        seed_weights(network, problem.input_shape(), source.place)
        notes.append("not scored: its weights are random, at least some of them; give a file with all of its weights")
    network.finalize()
    artifact = deploy(problem, network, path)
    counts = {**problem.static_metrics(network), "size_bytes": artifact.size_bytes}
    return _File(path, counts, problem.runtime if trained else None, notes)


def _same(first: Network, second: Network) -> bool:
    """Whether two networks, made with different seeds, have equal tensors, because their factory gives them weights."""
    others = second.model.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in first.model.state_dict().items())


def _with_intervals(found: Scored) -> dict[str, ValueAndInterval]:
    return {name: (value, *found.intervals.get(name, (None, None))) for name, value in found.metrics.items()}
