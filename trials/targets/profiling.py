"""Profile a candidate on a target, assign the times to its layers, and store them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nas.errors import ExportError, PlanError, StudyError
from nas.export.node_layers import node_layers
from nas.latency.agent.remote import open_measurer
from nas.latency.targets import Target
from nas.registry import nearest
from nas.scratch import Scratch
from trials.store.artifacts import ArtifactStore
from trials.store.read.candidate import CandidateDetail, candidate_detail
from trials.store.read.rows import find_target
from trials.store.read.studies import study_summary
from trials.store.records import ProfileValue
from trials.store.store import Store
from trials.store.write.outcomes import add_profile


def profile_candidate(store: Store, name: str, number: int, target: str | None = None) -> str:
    """Profile a trained candidate's file on a target of its study, by default the first; return the target's name.

    Raises:
        PlanError: the study does not have this target.
        StudyError: the candidate was not trained.
        ExportError: the candidate's file was not kept.
        MeasureError: the target's runtime has no profiler.
        UnreachableError: the target's agent does not answer.
    """
    wanted = chosen_target(study_summary(store, name).targets, name, target)
    stored = store.read(find_target, wanted)
    assert stored is not None
    place = Target.from_json(stored.description)
    with Scratch("nas-profile-") as folder:
        path = fetched(candidate_detail(store, name, number), Path(folder))
        with open_measurer(place.spec) as measurer:
            found, version = measurer.profile(path, place)
        layers = node_layers(path, [(node.name, node.op) for node in found.nodes])
    nodes = [{**asdict(node), "layer": layer} for node, layer in zip(found.nodes, layers, strict=True)]
    store.write(add_profile, name, number, ProfileValue(wanted, found.run_ms, found.runs, version, nodes))
    return wanted


def chosen_target(targets: Sequence[str], study: str, wanted: str | None) -> str:
    """Return one of a study's targets, by default the first; PlanError if it has no such target."""
    if wanted is not None and wanted not in targets:
        hint = nearest(wanted, targets, f"it has {', '.join(targets)}")
        raise PlanError(f"study {study!r} has no target {wanted!r}{hint}")
    return wanted or targets[0]


def fetched(detail: CandidateDetail, folder: Path) -> Path:
    """Fetch the candidate's deployed file into ``folder``."""
    number, study = detail.row.number, detail.study
    file = next((item for item in detail.artifacts if item.kind != "weights"), None)
    if file is None:
        raise StudyError(f"trial {number} of {study!r} is {detail.row.state}: it has no file to profile")
    if file.deleted_at is not None:
        raise ExportError(
            f"the file of trial {number} was not kept, because artifacts.retention does not keep it; profile a trial "
            "of the front, or search again with artifacts.retention: all"
        )
    path = folder / "candidate"
    ArtifactStore("").fetch(file.uri, file.sha256, path)
    return path
