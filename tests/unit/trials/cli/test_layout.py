from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from trials.cli.layout import TableLayout

REASON = "latency_ms 1.08 is over the limit 0.5"
TRIALS = [
    {"trial": 0, "state": "complete", "accuracy": 0.957, "latency_ms": None, "macs": 479552, "reason": ""},
    {"trial": 1, "state": "infeasible", "accuracy": None, "latency_ms": 1.08, "macs": 3447664, "reason": REASON},
]


def printed(rows: list[dict[str, Any]], width: int) -> list[str]:
    text = io.StringIO()
    TableLayout(rows, width).print(Console(file=text, width=width, markup=False, highlight=False))
    return text.getvalue().splitlines()


def test_what_fits_stands_side_by_side() -> None:
    assert printed(TRIALS, 120) == [
        "trial  state       accuracy  latency_ms       macs  reason",
        "    0  complete       0.957           –    479,552",
        f"    1  infeasible         –        1.08  3,447,664  {REASON}",
    ]


def test_a_long_text_in_the_last_column_is_wrapped_where_there_is_room() -> None:
    assert printed(TRIALS, 80)[2:] == [
        "    1 infeasible        –       1.08 3,447,664 latency_ms 1.08 is over the limit",
        " " * 47 + "0.5",
    ]


def test_texts_go_beneath_before_numbers_do() -> None:
    assert printed(TRIALS, 50) == [
        "trial  state       accuracy  latency_ms       macs",
        "    0  complete       0.957           –    479,552",
        "    1  infeasible         –        1.08  3,447,664",
        f"    reason: {REASON}",
    ]
    assert printed(TRIALS, 30)[:2] == ["trial  accuracy  latency_ms", "    0     0.957           –"]


@pytest.mark.parametrize("width", [20, 40, 80, 240])
def test_no_number_is_cut_and_no_line_is_wider_than_the_terminal(width: int) -> None:
    rows = [{f"数{place}": value for place, value in enumerate(range(10**6, 10**7, 10**6))} | {"text": "a b " * 40}]
    lines = printed(rows, width)
    assert all(cell_len(line) <= width for line in lines)
    assert all(f"{value:,}" in " ".join(lines) for value in rows[0].values() if isinstance(value, int))


def test_facts_without_heads_have_no_head_line() -> None:
    assert printed([{"": "study", " ": "digits"}, {"": "budget", " ": "30"}], 40) == ["study   digits", "budget  30"]


def test_a_row_may_lack_columns_that_another_has() -> None:
    assert printed([{"network": "original", "accuracy": 0.9}, {"network": "smallest", "macs": 12}], 120) == [
        "network   accuracy  macs",
        "original       0.9     –",
        "smallest         –    12",
    ]
