"""Continue studies that an earlier run of the same command started, perhaps on a cluster that is gone."""

from __future__ import annotations

import io
import logging
import os
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.errors import PlanError, StudyError
from trials.coordinator.coordinator import LEASE_S
from trials.executors.cluster.code import python_files
from trials.plans.plan import Plan, make_plan
from trials.plans.studies import StudySpec
from trials.store.models import Study
from trials.store.read.rows import find_study, study_row
from trials.store.records import ENDED
from trials.store.store import Store
from trials.store.write.leases import is_held

log = logging.getLogger(__name__)

#: Seconds beyond a lease to wait for the end of an earlier coordinator.
MARGIN_S = 10.0
#: Largest size of a study's own code that the database keeps.
MAX_CODE_BYTES = 20 * 1024**2


def stored_specs(store: Store, specs: Sequence[StudySpec]) -> list[StudySpec]:
    """Return those of the studies that are stored, each with its stored plan and the present folders of its code.

    Raises:
        StudyError: only some of them are stored, or a stored one has another plan.
    """
    rows = {spec.name: store.read(find_study, spec.name) for spec in specs}
    stored = [name for name, row in rows.items() if row is not None]
    if stored and len(stored) < len(specs):
        absent = next(spec.name for spec in specs if spec.name not in stored)
        raise StudyError(
            f"study {stored[0]!r} exists, but {absent!r}, which this command would start with it, does not; give "
            "another --name, or delete the study"
        )
    return [_with_stored_plan(spec, row) for spec in specs if (row := rows[spec.name]) is not None]


def unfinished(store: Store, specs: Sequence[StudySpec]) -> list[StudySpec]:
    """Return the studies that have not ended."""
    return [spec for spec in specs if store.read(study_row, spec.name).state not in ENDED]


def wait_for_lease(store: Store, names: Sequence[str]) -> None:
    """Wait until no coordinator runs one of the studies: one that died elsewhere holds its lease for up to a minute.

    Raises:
        StudyError: a coordinator is still alive.
    """
    deadline = time.monotonic() + LEASE_S + MARGIN_S
    for name in names:
        told = False
        while store.read(is_held, (row := store.read(study_row, name)).id):
            if time.monotonic() > deadline:
                raise StudyError(f"study {name!r} is being run by {row.lease_owner}; this command leaves it alone")
            if not told:
                log.warning("%s runs study %s, or died a moment ago; waiting for it to end", row.lease_owner, name)
                told = True
            time.sleep(1.0)


def with_code(plan: Plan, code: Sequence[str]) -> Plan:
    """Return a plan whose own code is in other folders; they may be relative to the current folder.

    Raises:
        PlanError: one of them is not a folder.
    """
    for folder in code:
        if not Path(folder).is_dir():
            raise PlanError(f"code: {folder} is not a folder")
    return make_plan({**plan.to_json(), "code": [os.path.abspath(folder) for folder in code]})


def pack_code(code: Sequence[str]) -> bytes:
    """Return a zip archive of the Python files of folders: ``code0/…``, ``code1/…``.

    Raises:
        PlanError: they are too large.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in python_files(code):
            archive.write(file, name)
    if packed.tell() > MAX_CODE_BYTES:
        raise PlanError(
            f"code: the Python files of {', '.join(code)} take {packed.tell() / 1e6:.0f} MB when packed, and a "
            f"database keeps at most {MAX_CODE_BYTES / 1e6:.0f}; put the plan and its code into a folder of their own"
        )
    return packed.getvalue()


def _with_stored_plan(spec: StudySpec, row: Study) -> StudySpec:
    given, stored = _comparable(spec.plan.to_json()), make_plan(row.plan)
    before = [_comparable(make_plan(each["plan"]).to_json()) for each in row.history or []]
    if given not in [_comparable(stored.to_json()), *before]:
        different = ", ".join(_differences(given, _comparable(stored.to_json()))[:8])
        raise StudyError(
            f"study {spec.name!r} exists with another plan, which differs in {different}; give another --name, or "
            f"change the study with nas extend {spec.name}"
        )
    return replace(spec, plan=make_plan({**row.plan, "code": spec.plan.to_json()["code"]}))


def _comparable(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan without the folders of its code, which differ between clusters."""
    return {key: value for key, value in plan.items() if key != "code"}


def _differences(one: Any, other: Any, key: str = "") -> list[str]:
    """Return the dotted keys whose values differ."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return [] if one == other else [key]
    names = dict.fromkeys([*one, *other])
    return [
        found for name in names for found in _differences(one.get(name), other.get(name), f"{key}.{name}".strip("."))
    ]
