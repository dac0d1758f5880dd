"""Does every schedule follow its formula? Compares the sparsity of a layer with the formula in every step.

No network is trained: the weights of a 64 × 128 layer change randomly in every step.

Example: ``python benchmarks/schedules.py --sparsity 0.9 --plot schedules.html``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from torch import nn

from nas.sparsity import PATTERNS, SCHEDULES, Schedule
from nas.sparsity.mask import put_mask
from nas.sparsity.prunable import PrunableWeight

OUTPUTS, INPUTS = 64, 128
#: About how many rows the table of a schedule has.
ROWS = 10


def follow(schedule: Schedule, pattern: str, density: float, steps: int) -> list[dict[str, float]]:
    """Return one row per step: sparsity of the formula and of the mask, and the share of kept weights that are new."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(INPUTS, OUTPUTS))
    shape = (OUTPUTS, INPUTS)
    mask = schedule.make_mask(shape, torch.device("cpu"))
    put_mask(model[0], mask)
    kept = PATTERNS.get(pattern).own_density or density
    part = PrunableWeight("0", PATTERNS.get(pattern), kept, seed=0, last=False, module=model[0], mask=mask)
    schedule.start(model, [part])
    rows = []
    for step in range(steps):
        before = part.kept().clone()
        schedule.on_step(model, [part], step, steps)
        now = part.kept()
        formula = 1 - schedule.density(part, step, steps)
        rows.append(
            {
                "step": step,
                "formula": formula,
                "realised": 1 - now.float().mean().item(),
                "come": (now & ~before).sum().item() / before.sum().item(),
            }
        )
        model(torch.randn(4, INPUTS, generator=generator)).square().sum().backward()
        for parameter in model.parameters():
            parameter.data += 0.02 * torch.randn(parameter.shape, generator=generator)
    return rows


def print_table(found: dict[str, list[dict[str, float]]]) -> None:
    """Print some steps of every schedule, and its largest difference over all steps."""
    for name, rows in found.items():
        worst = max(abs(row["formula"] - row["realised"]) for row in rows)
        print(
            f"{name}: sparsity differs from the formula by at most {worst:.5f} (a weight is {1 / OUTPUTS / INPUTS:.5f})"
        )
        print(f"{'step':>8}{'formula':>10}{'realised':>10}{'new':>8}")
        for row in rows[:: max(1, len(rows) // ROWS)]:
            print(f"{row['step']:>8}{row['formula']:>10.4f}{row['realised']:>10.4f}{row['come']:>8.3f}")
        print()


def figure(found: dict[str, list[dict[str, float]]]) -> Any:
    """Draw the realised sparsity as lines and the formula as dots."""
    drawn = go.Figure(layout={"xaxis_title": "step", "yaxis_title": "sparsity", "template": "plotly_white"})
    for name, rows in found.items():
        steps = [row["step"] for row in rows]
        line = {"shape": "hv"}
        drawn.add_scatter(x=steps, y=[row["realised"] for row in rows], name=name, mode="lines", line=line)
        dots = rows[:: max(1, len(rows) // 25)]
        drawn.add_scatter(
            x=[row["step"] for row in dots],
            y=[row["formula"] for row in dots],
            name=f"{name}, formula",
            mode="markers",
        )
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sparsity", type=float, default=0.9, help="sparsity at the end (default 0.9)")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default 400)")
    parser.add_argument("--pattern", default="unstructured", choices=PATTERNS.names())
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--plot", type=Path, help="also draw the curves into this HTML file")
    arguments = parser.parse_args()
    if not 0 <= arguments.sparsity < 1 or arguments.steps < 1:
        parser.error(
            f"--sparsity must be 0 to below 1, --steps at least 1; got {arguments.sparsity} and {arguments.steps}"
        )
    schedules = {name: SCHEDULES.get(name)() for name in SCHEDULES.names()}
    pattern = PATTERNS.get(arguments.pattern)
    found = {
        name: follow(schedule, arguments.pattern, 1 - arguments.sparsity, arguments.steps)
        for name, schedule in schedules.items()
        if schedule.allows(pattern)
    }
    if arguments.plot:
        figure(found).write_html(arguments.plot, include_plotlyjs=True)
    if arguments.json:
        print(json.dumps({"sparsity": arguments.sparsity, "pattern": arguments.pattern, "schedules": found}))
    else:
        print_table(found)


if __name__ == "__main__":
    main()
