"""Measure the front of a study in another environment of this machine, alternating with this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.errors import MeasureError, StudyError
from nas.export.node_layers import node_layers
from nas.latency.agent.bundle import write_bundle
from nas.latency.process.versus import Environment, ratio
from nas.latency.targets import Target, TargetSpec
from nas.scratch import Scratch
from trials.analysis.membership import SURE, membership_of
from trials.analysis.rechecks import Recheck, Rechecked, changed_front, slower_layers
from trials.store.read.candidate import ArtifactInfo, CandidateDetail, candidate_detail
from trials.store.read.metric_names import split_name
from trials.store.read.points import Points, points
from trials.store.read.rows import find_target
from trials.store.read.studies import study_summary
from trials.store.store import Store
from trials.store.write.rechecks import add_recheck
from trials.targets.profiling import chosen_target, fetched

#: Called with what is being done.
Says = Callable[[str], None]


def recheck(
    store: Store, study: str, python: Path, *, target: str | None = None, says: Says = lambda text: None
) -> Recheck:
    """Measure the networks that are, or may be, on the front in another environment, and store the result.

    Args:
        store: the database.
        study: name of the study.
        python: interpreter of the other environment, which has numpy and the target's runtime.
        target: a target of the study on this machine; by default the first.
        says: see ``Says``.

    Raises:
        PlanError: the study has no such target.
        StudyError: no network of the front has its file, or the target is another device.
        MeasureError: the other environment can't run the networks.
    """
    store.check_writable()
    targets = study_summary(store, study).targets
    name = chosen_target(targets, study, target)
    stored = store.read(find_target, name)
    assert stored is not None
    spec = Target.from_json(stored.description).spec
    if spec.address is not None:
        raise StudyError(f"target {name!r} is another device; nas recheck compares environments of this machine")
    found = points(store, study)
    details = [candidate_detail(store, study, number) for number in _numbers(found)]
    details = [item for item in details if any(_is_kept(file) for file in item.artifacts)]
    if not details:
        raise StudyError(f"no network on the front of {study!r} has its file; artifacts.retention: front keeps them")
    with Scratch("nas-recheck-") as folder:
        code = Path(folder) / "code.pyz"
        write_bundle(code)
        with Environment(spec) as present, Environment(spec, python=str(python), code=code) as other:
            trials = []
            for item in details:
                says(f"measuring trial {item.row.number} in both environments")
                trials.append(_rechecked(item, present, other, spec, Path(folder)))
            here, there = (f"{spec.runtime} {environment.version}" for environment in (present, other))
    columns = _latencies(found, name, is_first=name == targets[0])
    entered, left = changed_front(found, columns, {item.trial: item.ratio for item in trials})
    result = Recheck(name, here, there, str(python), trials, entered, left, is_objective=bool(columns))
    store.write(add_recheck, study, result.to_json())
    return result


def _is_kept(file: ArtifactInfo) -> bool:
    """Whether it is a network's deployed file, which retention has not removed."""
    return file.kind != "weights" and file.deleted_at is None


def _numbers(found: Points) -> list[int]:
    """Trials that are on the front, or may be, given the intervals."""
    shares = membership_of(found)
    on_front = {int(number) for number in found.numbers[found.on_front]}
    return sorted(on_front | {number for number, share in shares.items() if share > 1 - SURE})


def _latencies(found: Points, target: str, *, is_first: bool) -> list[int]:
    """Indices of the objectives that are latencies on a target; a name without a target means the first one."""
    split = [split_name(metric) for metric in found.metrics]
    names = ("", target) if is_first else (target,)
    return [place for place, (name, at) in enumerate(split) if name.startswith("latency") and at in names]


def _rechecked(
    item: CandidateDetail, present: Environment, other: Environment, spec: TargetSpec, folder: Path
) -> Rechecked:
    path = fetched(item, folder)
    recorded = item.row.metrics.get(f"latency_ms@{spec.name}") or item.row.metrics["latency_ms"]
    measured = ratio(path, present, other, spec, recorded.value)
    found = Rechecked(item.row.number, *measured)
    if found.change != "slower":
        return found
    try:
        nodes = [_nodes(path, environment) for environment in (present, other)]
    except MeasureError:  # the runtime has no profiler
        return found
    return Rechecked(item.row.number, *measured, slower_layers(*nodes))


def _nodes(path: Path, environment: Environment) -> Sequence[Mapping[str, Any]]:
    profile = environment.profile(path)
    layers = node_layers(path, [(node.name, node.op) for node in profile.nodes])
    return [{**asdict(node), "layer": layer} for node, layer in zip(profile.nodes, layers, strict=True)]
