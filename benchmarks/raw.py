"""Options and raw samples of benchmarks of the measuring protocol; tables can be computed again from kept samples."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from surroundings import COLUMNS, DEPTH, write_nets

Row = dict[str, Any]


def parser_of(doc: str | None, nets: int) -> argparse.ArgumentParser:
    """A parser with the options that these benchmarks share; ``nets`` is the default number of networks."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=nets, help=f"networks, up to {len(COLUMNS)} (default {nets})")
    parser.add_argument("--depth", type=int, default=DEPTH, help=f"layers of a network (default {DEPTH}, about 1 ms)")
    parser.add_argument("--runtime", default="onnxruntime", help="runtime that measures (default onnxruntime)")
    parser.add_argument("--raw", type=Path, help="folder for the raw samples")
    parser.add_argument("--from", type=Path, dest="recorded", help="folder of raw samples to use, without measuring")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


def parsed(parser: argparse.ArgumentParser, *, nets: int, **least: int) -> argparse.Namespace:
    """Parse the options; exit with an error for fewer than ``nets`` networks or an option below ``least``."""
    options = parser.parse_args()
    if not nets <= options.nets <= len(COLUMNS) or any(getattr(options, name) < few for name, few in least.items()):
        others = "".join(f", --{name} at least {few}" for name, few in least.items())
        parser.error(f"--nets must be {nets} to {len(COLUMNS)}{others}")
    return options


def rows_of(
    options: argparse.Namespace, measure_all: Callable[[argparse.Namespace, Sequence[Path]], Iterable[Row]]
) -> list[Row]:
    """Load the rows from ``--from``, or measure them and save them to ``--raw`` if it is given."""
    if options.recorded:
        return load(options.recorded)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measure_all(options, write_nets(Path(folder), options.nets, options.depth)))
    if options.raw:
        save(rows, options.raw)
    return rows


def show(options: argparse.Namespace, found: dict[str, Any], print_table: Callable[[], None]) -> None:
    """Print the results as JSON, or as a table."""
    if options.json:
        print(json.dumps(found))
    else:
        print_table()


def save(rows: Sequence[Row], folder: Path) -> None:
    """Write a file of samples for each measurement of the protocol, and everything else to ``rows.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for number, row in enumerate(rows):
        kept.append(dict(row))
        if "samples" in row:
            kept[-1]["samples"] = f"{number}.npz"
            (folder / f"{number}.npz").write_bytes(row["samples"])
    (folder / "rows.json").write_text(json.dumps(kept))


def load(folder: Path) -> list[Row]:
    """Load the rows that ``save`` has written."""
    rows: list[Row] = json.loads((folder / "rows.json").read_text())
    for row in rows:
        if "samples" in row:
            row["samples"] = (folder / row["samples"]).read_bytes()
    return rows
