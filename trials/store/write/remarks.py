"""Write the notes and tags that people give to studies and candidates."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Connection, func, null, select, update

from nas.errors import PlanError, UnknownNameError
from trials.store.dialect import table, text_of
from trials.store.models import Candidate, Study
from trials.store.read.rows import study_row
from trials.store.records import Remark

MAX_NOTE, MAX_TAGS = 10_000, 20
_TAG = re.compile(r"[\w.+:/-]{1,40}")


def write_remark(
    connection: Connection,
    study: str,
    number: int | None = None,
    *,
    note: str | None = None,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
) -> Remark:
    """Change the note and the tags of a study, or of its candidate ``number``, and return the new ones.

    Args:
        connection: a writing transaction.
        study: name of the study.
        number: number of a candidate.
        note: the new note; empty to remove it, None to leave it as it is.
        add: tags to add.
        remove: tags to remove; those that it does not have are ignored.

    Raises:
        UnknownNameError: the study or the candidate does not exist.
        PlanError: the note is too long, there are too many tags, or a tag can't be one.
    """
    row = study_row(connection, study)
    rows = table(Study) if number is None else table(Candidate)
    of_study = rows.c.study_id == row.id if number is not None else rows.c.id == row.id
    where = (of_study,) if number is None else (of_study, rows.c.number == number)
    old = connection.execute(select(rows.c.note, rows.c.tags).where(*where).with_for_update()).one_or_none()
    if old is None:
        last = connection.execute(select(func.max(rows.c.number)).where(of_study)).scalar_one()
        allowed = "it has no trials yet" if last is None else f"its trials are 0 to {last}"
        raise UnknownNameError(f"study {study!r} has no trial {number}; {allowed}")
    kept = [tag for tag in old.tags or () if tag not in remove]
    new = Remark(_checked_note((old.note or "") if note is None else note), _checked_tags([*kept, *add]))
    values = {"note": text_of(new.note) or null(), "tags": list(new.tags) or null()}
    connection.execute(update(rows).where(*where).values(**values))
    return new


def _checked_note(text: str) -> str:
    if len(text) > MAX_NOTE:
        raise PlanError(f"the note has {len(text):,} characters; {MAX_NOTE:,} are allowed")
    return text.strip()


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise PlanError(
                f"{tag[:80]!r} can't be a tag; a tag has 1 to 40 letters, digits or _ . + : / - and no spaces"
            )
    found = tuple(sorted(set(tags)))
    if len(found) > MAX_TAGS:
        raise PlanError(f"{len(found)} tags are too many; {MAX_TAGS} are allowed, so remove some with --untag")
    return found
