"""What a study asked for trial 3 of ``digits``, so that its answers can be changed."""

from __future__ import annotations

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from trials.store.models import Candidate, Study, SuggestionRow

OPTIONS = {"stem.width": [4, 8, 44], "stage1.kernel": [3, 5], "precision": ["fp32", "int8"]}


def seed_variant(engine: Engine) -> None:
    """Add the suggestion of trial 3."""
    with Session(engine) as session:
        named = select(Candidate).join(Study).where(Study.name == "digits", Candidate.number == 3)
        trial = session.scalars(named).one()
        choices = trial.architecture.definition["choices"]
        session.add(
            SuggestionRow(
                study_id=trial.study_id,
                candidate_id=trial.id,
                number=3,
                duplicate=False,
                questions=[[name, OPTIONS[name], False, True, ""] for name in choices],
                answers=choices,
                sampler_state={},
            )
        )
        session.commit()
