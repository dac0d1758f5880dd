"""How often does a network have the latency that its study recorded, when an export measures it again?

    nas export digits --top 24 --out exported
    python benchmarks/remeasured.py exported

Reads the reports of the exported folders, one row for each target. "within" is the share of networks whose new latency
lies within the recorded 95 % interval. Both measurements have errors, so it would be about 83 % for exact intervals of
equal width, not 95 %. "overlap" is the share of networks whose two intervals overlap.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

Row = Mapping[str, Any]


def rows_of(folder: Path) -> list[Row]:
    """The recorded and the new latencies of all exported networks in a folder."""
    reports = [json.loads(path.read_text()) for path in sorted(folder.glob("*/report.json"))]
    return [row for report in reports for row in report["latency"]]


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Shares of networks, quartiles of the new latency / the recorded one, and half widths of the intervals."""
    recorded, new = (np.array([row[key] for row in rows]) for key in ("recorded_ms", "remeasured_ms"))
    ratios = new[:, 0] / recorded[:, 0]
    return {
        "networks": len(ratios),
        "within": float(np.mean((recorded[:, 1] <= new[:, 0]) & (new[:, 0] <= recorded[:, 2]))),
        "overlap": float(np.mean((recorded[:, 1] <= new[:, 2]) & (new[:, 1] <= recorded[:, 2]))),
        **dict(zip(("low", "median", "high"), np.quantile(ratios, [0.25, 0.5, 0.75]).tolist(), strict=True)),
        "recorded": float(np.median((recorded[:, 2] - recorded[:, 1]) / (2 * recorded[:, 0]))),
        "new": float(np.median((new[:, 2] - new[:, 1]) / (2 * new[:, 0]))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of exported networks, as nas export --top writes it")
    folder = parser.parse_args().folder
    rows = rows_of(folder)
    if not rows:
        parser.error(f"{folder} has no exported networks with latencies; write some with nas export NAME --top 24")
    names = ("target", "networks", "within", "overlap", "new / recorded (quartiles)", "recorded ±", "new ±")
    table = Table(*names, box=None)
    for target in dict.fromkeys(row["target"] for row in rows):
        found = summary([row for row in rows if row["target"] == target])
        table.add_row(
            target,
            str(found["networks"]),
            *(f"{found[key]:.0%}" for key in ("within", "overlap")),
            " ".join(f"{found[key]:.3f}" for key in ("low", "median", "high")),
            *(f"{found[key]:.1%}" for key in ("recorded", "new")),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
