"""Read what a coordinator needs to continue a study: jobs, suggestions and files."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Text, cast, or_, select

from nas.strategies import FEATURES, EarlierStudy, Observation, Suggestion
from trials.store.dialect import table
from trials.store.models import Architecture, ArtifactRow, Candidate, JobRow, Metric, Study, SuggestionRow
from trials.store.records import KeptArtifact, MetricValue, OpenJob, Step, StoredSuggestion

if TYPE_CHECKING:
    from nas.space.chooser import Question

Metrics = dict[tuple[str, str], MetricValue]
JOBS, CANDIDATES, ARCHITECTURES = table(JobRow), table(Candidate), table(Architecture)
SUGGESTIONS, METRICS, FILES, STUDIES = table(SuggestionRow), table(Metric), table(ArtifactRow), table(Study)
T = TypeVar("T")
#: Number of suggestions that are read at once.
AT_ONCE = 1000
#: Kinds of repeats; the kind of a job has a number too, such as ``retrain-2``.
REPEATED = ("remeasure", "retrain")
#: Kinds of jobs that are a part of a candidate's own training; the row of a rung says up to which epoch, ``rung-9``.
TRAININGS = ("rung", "train")


def open_jobs(connection: Connection, study_id: int) -> list[OpenJob]:
    """Queued jobs of unfinished candidates, and repeats of complete ones, with results and metrics so far."""
    rows = connection.execute(
        select(
            JOBS.c.id.label("job_id"),
            JOBS.c.attempt,
            JOBS.c.kind,
            JOBS.c.target,
            CANDIDATES.c.id.label("candidate_id"),
            CANDIDATES.c.number,
            CANDIDATES.c.state,
            ARCHITECTURES.c.identity,
            ARCHITECTURES.c.definition.label("architecture"),
        )
        .join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
        .join(ARCHITECTURES, ARCHITECTURES.c.id == CANDIDATES.c.architecture_id)
        .where(
            CANDIDATES.c.study_id == study_id,
            JOBS.c.state == "queued",
            CANDIDATES.c.state.in_(("queued", "running", "complete")),
        )
        .order_by(CANDIDATES.c.number, JOBS.c.id)
    ).all()
    candidates = sorted({row.candidate_id for row in rows})
    results = _results(connection, candidates)
    metrics = _metrics(connection, METRICS.c.candidate_id.in_(candidates))
    return [
        OpenJob(**row._mapping, results=results[row.candidate_id], metrics=metrics.get(row.candidate_id, {}))
        for row in rows
    ]


def stored_suggestions(connection: Connection, study_id: int) -> list[StoredSuggestion]:
    """All suggestions in order, with the state and metrics of their candidates."""
    return list(_suggestions(connection, study_id))


def pass_suggestions(connection: Connection, study_id: int, take: Callable[[Iterator[StoredSuggestion]], T]) -> T:
    """Pass ``stored_suggestions`` to a function one by one, so that they are never in memory all at once."""
    return take(_suggestions(connection, study_id))


def _suggestions(connection: Connection, study_id: int) -> Iterator[StoredSuggestion]:
    interned: dict[str, tuple[Question, ...]] = {}
    trained = select(JOBS.c.id).where(JOBS.c.candidate_id == SUGGESTIONS.c.candidate_id, is_training())
    query = (
        select(
            SUGGESTIONS.c.number,
            cast(SUGGESTIONS.c.questions, Text).label("questions"),
            SUGGESTIONS.c.answers,
            SUGGESTIONS.c.sampler_state,
            SUGGESTIONS.c.enqueued,
            SUGGESTIONS.c.duplicate,
            SUGGESTIONS.c.candidate_id,
            CANDIDATES.c.number.label("candidate"),
            CANDIDATES.c.state,
            trained.exists().label("trained"),
            ARCHITECTURES.c.identity,
        )
        .join(CANDIDATES, CANDIDATES.c.id == SUGGESTIONS.c.candidate_id)
        .join(ARCHITECTURES, ARCHITECTURES.c.id == CANDIDATES.c.architecture_id)
        .where(SUGGESTIONS.c.study_id == study_id)
        .order_by(SUGGESTIONS.c.number)
    )
    for rows in connection.execute(query.execution_options(yield_per=AT_ONCE)).partitions():
        metrics = _metrics(connection, METRICS.c.candidate_id.in_({row.candidate_id for row in rows}))
        for row in rows:
            questions, answers = _questions(row.questions, interned), _interned(row.answers)
            yield StoredSuggestion(
                Suggestion(row.number, questions, answers, row.sampler_state, row.enqueued),
                row.duplicate,
                row.candidate,
                row.state,
                metrics.get(row.candidate_id, {}),
                row.trained,
                row.identity,
            )


def enqueued_candidates(connection: Connection, study_id: int) -> list[Mapping[str, Any]]:
    """Answers of all candidates that were enqueued by hand in a study, in their order."""
    return connection.execute(select(STUDIES.c.enqueued).where(STUDIES.c.id == study_id)).scalar_one() or []


def is_training() -> ColumnElement[bool]:
    """Condition of jobs that are a part of a candidate's own training."""
    rung, train = TRAININGS
    return or_(JOBS.c.kind == train, JOBS.c.kind.startswith(f"{rung}-"))


def earlier_studies(connection: Connection, study_id: int) -> list[EarlierStudy]:
    """Results of the earlier studies that a study starts from, as they were when it was created."""
    stored = connection.execute(select(STUDIES.c.earlier).where(STUDIES.c.id == study_id)).scalar_one() or []
    return [
        EarlierStudy(study["study"], tuple(_earlier_result(study["questions"], result) for result in study["results"]))
        for study in stored
    ]


def _earlier_result(questions: Sequence[Sequence[Any]], result: Mapping[str, Any]) -> Observation:
    from nas.space.chooser import Question  # here, because it imports torch

    asked = tuple(
        Question(name, tuple(options), ordered, active, site)
        for (name, options, ordered, site), active in zip(questions, result["active"], strict=True)
    )
    suggestion = Suggestion(result["number"], asked, result["answers"], {FEATURES: result["features"]})
    return Observation(suggestion, "complete", result["values"], {}, result["spreads"])


def twin_latencies(connection: Connection, study_id: int) -> dict[tuple[str, str], Mapping[str, float]]:
    """(identity of a dense twin, target) → its latency, for every dense twin that the study has measured."""
    rows = connection.execute(
        select(JOBS.c.target, JOBS.c.result)
        .join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
        .where(CANDIDATES.c.study_id == study_id, JOBS.c.kind == "twin", JOBS.c.state == "done")
    )
    return {(result["twin"], target): result["latency"] for target, result in rows if "latency" in result}


def repeat_counts(connection: Connection, study_id: int) -> Counter[tuple[int, str, str]]:
    """(number of a candidate, kind, target) → how many repeats it has, in any state."""
    repeated = or_(*(JOBS.c.kind.startswith(f"{kind}-") for kind in REPEATED))
    query = select(CANDIDATES.c.number, JOBS.c.kind, JOBS.c.target)
    query = query.join(CANDIDATES, CANDIDATES.c.id == JOBS.c.candidate_id)
    rows = connection.execute(query.where(CANDIDATES.c.study_id == study_id, repeated))
    return Counter((number, kind.partition("-")[0], target) for number, kind, target in rows)


def kept_artifacts(connection: Connection, name: str) -> list[KeptArtifact]:
    """Files of a study that were not deleted."""
    rows = connection.execute(
        select(FILES.c.id, CANDIDATES.c.number, FILES.c.kind, FILES.c.uri, FILES.c.sha256, FILES.c.size_bytes)
        .join(CANDIDATES, CANDIDATES.c.id == FILES.c.candidate_id)
        .join(STUDIES, STUDIES.c.id == CANDIDATES.c.study_id)
        .where(STUDIES.c.name == name, FILES.c.deleted_at.is_(None))
        .order_by(FILES.c.id)
    )
    return [KeptArtifact(*row) for row in rows]


def _questions(stored: str, interned: dict[str, tuple[Question, ...]]) -> tuple[Question, ...]:
    """Decode a list of questions, each different list once; even 25,000 suggestions have few different lists."""
    # Imported here, because it imports torch, which most readers of a store do not need.
    from nas.space.chooser import Question

    if stored not in interned:
        interned[stored] = tuple(
            Question(name, tuple(options), ordered, active, site)
            for name, options, ordered, active, site in json.loads(stored)
        )
    return interned[stored]


def _interned(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers with interned names, because every suggestion has the same names."""
    return {sys.intern(name): answer for name, answer in answers.items()}


def _metrics(connection: Connection, which: ColumnElement[bool]) -> Mapping[int, Metrics]:
    found: dict[int, Metrics] = defaultdict(dict)
    columns = [METRICS.c[name] for name in ("candidate_id", "name", "target", "value", "low", "high")]
    for candidate_id, name, target, value, low, high in connection.execute(select(*columns).where(which)):
        found[candidate_id][name, target] = MetricValue(name, target, value, low, high)
    return found


def _results(connection: Connection, candidates: Sequence[int]) -> dict[int, dict[Step, Mapping[str, Any]]]:
    found: dict[int, dict[Step, Mapping[str, Any]]] = defaultdict(dict)
    rows = connection.execute(
        select(JOBS.c.candidate_id, JOBS.c.kind, JOBS.c.target, JOBS.c.result).where(
            JOBS.c.candidate_id.in_(candidates), JOBS.c.state == "done"
        )
    )
    for candidate_id, kind, target, result in rows:
        found[candidate_id][kind, target] = result
    return found
