from __future__ import annotations

import sys

import pytest

from nas.errors import JobError
from trials.executors.cluster.connection import connect


def test_a_path_that_ray_can_t_start_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/ada/my projects/.venv/bin/python")
    with pytest.raises(JobError, match="path contains a space; use `executor: local`"):
        connect([], [], None)
