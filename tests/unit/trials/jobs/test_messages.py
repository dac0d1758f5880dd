"""The declarations of jobs agree with their functions."""

from __future__ import annotations

from typing import get_type_hints, is_typeddict

import pytest

from nas.registry import load
from trials.jobs import messages
from trials.jobs.messages import OF_KIND, Function

FUNCTIONS = {name: item for name, item in vars(messages).items() if isinstance(item, Function)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_there_and_declares_what_it_is_given(name: str) -> None:
    hints = get_type_hints(load(FUNCTIONS[name].name, "job"))
    assert is_typeddict(hints["payload"])
    assert FUNCTIONS[name].name.rpartition(":")[2] == name.lower()


def test_jobs_of_a_candidate_are_found_by_their_kind() -> None:
    assert {kind: function.name.rpartition(":")[2] for kind, function in OF_KIND.items()} == {k: k for k in OF_KIND}
