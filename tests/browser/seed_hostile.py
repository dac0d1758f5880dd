"""A study in which all text is hostile: markup of all kinds, terminal escapes, unpaired surrogates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from tests.browser.seed import START, Kind, seed_study
from trials.store.models import ArtifactRow, Candidate, EpochRow, JobRow, Measurement, Metric, Study, Target

#: The address from which injected markup would load a picture or a script; nothing listens there.
LURE = "http://127.0.0.1:9/lure"
MARKUP = (
    f"[/x] [red]r[/red] <script src={LURE}.js></script> <img src={LURE}.png onerror=alert(1)> ![i]({LURE}.png) "
    f"**b** _u_ `c` $x^2$ :red[r] :smile: :material/home: <b>h</b> &amp; %{{x}} # | -- -> >= https://a.example"
)
#: ``MARKUP`` as it is stored; it is displayed with replacement characters and blanks.
HOSTILE = MARKUP + " \x1b[31m\u202e\x07 a\nb\r\n c"
#: A shorter hostile text, for names.
NAME = f"**n** <img src={LURE}.png> $y$ :red[n] [/n]"
METRIC = "accu**racy** <b>%{x}</b> $m$"
PASSWORD = "open-sesame"


def seed_hostile(engine: Engine) -> str:
    """Write the study and return its name."""
    with Session(engine) as session:
        target = Target(
            name=NAME, description={"runtime": HOSTILE}, references={"0": 0.05, "1": 0.4, "2": 1.7}, created_at=START
        )
        session.add(target)
        session.flush()
        kind = Kind(NAME, "search", 5, "interrupted", 34, 0.9)
        study = seed_study(session, target, kind, group=NAME, created_at=START + timedelta(hours=3))
        study.error = HOSTILE
        study.objectives = {METRIC: "maximize", f"latency_ms@{NAME}": "minimize"}
        study.limits = {f"latency_ms@{NAME}": {"max": 0.5, "min": None}}
        study.environment = {HOSTILE: HOSTILE, "storage": f"postgresql://me:{PASSWORD}@host/nas"}
        study.plan = _plan(study.plan)
        flag_modified(study, "plan")
        session.flush()
        _spoil(session, study)
        session.commit()
    return NAME


def _plan(plan: dict[str, Any]) -> dict[str, Any]:
    spec = {"name": HOSTILE, HOSTILE: HOSTILE}
    return {
        **plan,
        **{"name": NAME, "task": spec, "space": spec, "strategy": spec},
        "targets": [{"name": NAME, "runtime": HOSTILE}],
        "artifacts": {"root": f"sftp://me:{PASSWORD}@host/artifacts"},
    }


def _spoil(session: Session, study: Study) -> None:
    ours = select(Candidate.id).where(Candidate.study_id == study.id)

    def rows(model: Any) -> Any:
        return session.scalars(select(model).where(model.candidate_id.in_(ours)))

    for metric in rows(Metric):
        metric.name = METRIC if metric.name == "accuracy" else metric.name
        metric.target = NAME if metric.target else ""
    for job in rows(JobRow):
        job.target, job.error = (NAME if job.target else ""), HOSTILE
    for epoch in rows(EpochRow):
        epoch.values = {METRIC: 0.5, NAME: 1.0}
    for measured in rows(Measurement):
        measured.conditions = {**measured.conditions, HOSTILE: HOSTILE, "disturbed_by": [HOSTILE]}
        measured.conditions["health"] = {"rung": HOSTILE, "drift": 0.2, "warnings": [HOSTILE, NAME]}
    for kept in rows(ArtifactRow):
        kept.uri = f"sftp://me:{PASSWORD}@host/{HOSTILE}"
        kept.record = {"sites": {NAME: {HOSTILE: HOSTILE}}}
    for place, candidate in enumerate(session.scalars(select(Candidate).where(Candidate.study_id == study.id))):
        candidate.reason = candidate.traceback = HOSTILE
        architecture = candidate.architecture
        architecture.space = NAME
        choices = {HOSTILE: (HOSTILE, NAME)[place % 2], NAME: (NAME, HOSTILE)[place % 3 // 2]}
        architecture.definition = {**architecture.definition, "choices": choices}
        architecture.layers = [{**layer, "name": HOSTILE, "op": NAME} for layer in architecture.layers]
