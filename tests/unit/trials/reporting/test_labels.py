from __future__ import annotations

import pytest

from trials.reporting.labels import number


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("latency_ms", 1500.0, "1,500 ms"),
        ("latency_ms", 1500.5, "1500 ms"),
        ("time_us", 2048.0, "2,048 µs"),
        ("parameters", 37322.0, "37,322"),
        ("accuracy", 0.95, "0.95"),
        ("size_bytes", 51500.0, "50.3 KiB"),
        ("accuracy", float("nan"), "—"),
    ],
)
def test_a_value_has_few_digits_and_its_unit(metric: str, value: float, text: str) -> None:
    assert number(metric, value) == text
