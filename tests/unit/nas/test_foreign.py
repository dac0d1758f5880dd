"""Text from outside, as error messages show it."""

from __future__ import annotations

import pytest

from nas.foreign import last_words


@pytest.mark.parametrize(
    ("text", "shown"),
    [(" all of it \n", "all of it"), ("it was cut in words", "…in words"), ("x" * 20, "…" + "x" * 12)],
)
def test_last_words_begin_with_a_whole_word(text: str, shown: str) -> None:
    assert last_words(text, letters=12) == shown
