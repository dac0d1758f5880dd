"""Read rechecks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from trials.store.models import RecheckRow
from trials.store.read.session import Source, find_study, reading


def rechecks(source: Source, name: str) -> list[Mapping[str, Any]]:
    """Results of a study's rechecks as JSON values, oldest first.

    Raises:
        UnknownNameError: the study does not exist.
    """
    with reading(source) as session:
        study = find_study(session, name)
        query = select(RecheckRow.result).where(RecheckRow.study_id == study.id).order_by(RecheckRow.id)
        return list(session.scalars(query))
