"""Fixtures for jobs that run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.trials.in_process import InProcess


@pytest.fixture(scope="session")
def _measuring() -> Iterator[None]:
    """End the measuring process of this process's jobs after the last test."""
    yield
    from trials.jobs import target

    while target._measurers:
        target._measurers.popitem()[1].close()


@pytest.fixture
def in_process(calibrated: dict[str, Any], _measuring: None) -> InProcess:
    """Workers in this process that know the target ``local``."""
    return InProcess(targets={"local": calibrated})
