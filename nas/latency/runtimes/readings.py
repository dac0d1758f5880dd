"""Reads the times that a benchmark program reports, from its output or from a file that it writes."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import MeasureError, PlanError
from nas.foreign import last_words

#: Unit → nanoseconds.
UNITS = {"s": 1e9, "ms": 1e6, "us": 1e3, "ns": 1.0}
#: Ways to locate the times; a description has exactly one of them.
KINDS = ("pattern", "json_path", "csv_column")


@dataclass(frozen=True)
class Reading:
    """Where a program reports its times, and in which unit.

    Attributes:
        pattern: regular expression with a group ``time``, and a group ``unit`` if the unit varies; it is searched in
            every line of the output.
        json_path: keys and indices into a JSON report; ``*`` stands for every item of a list.
        csv_column: heading of a column of a CSV report.
        delimiter: delimiter of the CSV report.
        unit: ``s``, ``ms``, ``us`` or ``ns``, unless the pattern has a group for it.
        statistic: ``minimum``, ``median`` or ``mean`` if the program reports only that; empty if it reports each run.
    """

    pattern: str = ""
    json_path: tuple[str, ...] = ()
    csv_column: str = ""
    delimiter: str = ","
    unit: str = ""
    statistic: str = ""

    def times_ns(self, output: str, report: Path, runs: int) -> tuple[int, ...]:
        """The time of each run, or the one statistic, nanoseconds.

        Args:
            output: text that the program printed.
            report: file that the program may have written.
            runs: number of runs that were requested.

        Raises:
            MeasureError: no times, too few, or values that are not positive numbers.
        """
        try:
            found = [round(float(time) * UNITS[unit]) for time, unit in self._found(output, report)]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise MeasureError(f"the program's report does not match its description: {error!r}") from error
        if not found or min(found) <= 0:
            raise MeasureError(f"no positive times at {self.place}: {_printed(output)}")
        if self.statistic:
            return (found[-1],)
        if len(found) < runs:
            raise MeasureError(f"only {len(found)} times for {runs} runs at {self.place}: {_printed(output)}")
        return tuple(found[-runs:])  # extra runs come first: they are the warm-up of the program

    @property
    def place(self) -> str:
        """The location of the times, in words."""
        if self.pattern:
            return f"the pattern {self.pattern!r}"
        return f"the report's {'column ' + self.csv_column if self.csv_column else '/'.join(self.json_path)}"

    def _found(self, output: str, report: Path) -> list[tuple[Any, str]]:
        """Pairs of a time and its unit, as the program wrote them."""
        if self.pattern:
            matches = filter(None, (re.search(self.pattern, line) for line in output.splitlines()))
            return [(match["time"], match.groupdict().get("unit") or self.unit) for match in matches]
        text = report.read_text(encoding="utf-8")
        if self.csv_column:
            rows = csv.DictReader(io.StringIO(text), delimiter=self.delimiter)
            return [(row[self.csv_column], self.unit) for row in rows]
        return [(value, self.unit) for value in _descend(json.loads(text), self.json_path)]


def reading_from(name: str, data: Any) -> Reading:
    """Make the reading of the program ``name`` from its description.

    Raises:
        PlanError: a key is unknown or missing, or the pattern is not a valid regular expression.
    """
    if not isinstance(data, Mapping):
        raise PlanError(f"program {name!r}: reading is {data!r}; it must be an object of keys and values")
    try:
        reading = Reading(**{**data, "json_path": tuple(data.get("json_path", ()))})
        groups = re.compile(reading.pattern).groupindex
    except (TypeError, re.error) as error:
        raise PlanError(f"program {name!r}: reading {dict(data)!r}: {error}") from None
    if sum(bool(getattr(reading, kind)) for kind in KINDS) != 1:
        raise PlanError(f"program {name!r}: reading needs exactly one of {', '.join(KINDS)}")
    if reading.pattern and "time" not in groups:
        raise PlanError(f"program {name!r}: the pattern {reading.pattern!r} has no group (?P<time>…)")
    if reading.unit not in UNITS and "unit" not in groups:
        raise PlanError(f"program {name!r}: unit {reading.unit!r}; allowed: {', '.join(UNITS)}, or a group (?P<unit>…)")
    if reading.statistic not in ("", "minimum", "median", "mean"):
        raise PlanError(f"program {name!r}: statistic {reading.statistic!r}; allowed: minimum, median, mean, or none")
    return reading


def _descend(value: Any, path: Sequence[str]) -> list[Any]:
    if not path:
        return value if isinstance(value, list) else [value]
    key, rest = path[0], path[1:]
    if key == "*":
        return [item for inner in value for item in _descend(inner, rest)]
    return _descend(value[int(key)] if isinstance(value, list) else value[key], rest)


def _printed(output: str) -> str:
    return last_words(output) or "the program printed nothing"
