"""The figure of a network: stages as columns, blocks in them, and operators in these, in the order of execution.

The figure is a graph in the language DOT of Graphviz. Architectures are stored as a list of layers, so an arrow means
"is executed next": skip connections are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from nas.foreign import line
from trials.analysis.network import Block, Operator, Stage, folded, merged, stages_of
from trials.reporting.charts.studies import INK, ORANGE
from trials.reporting.labels import number
from trials.store.read.candidate import CandidateDetail

#: Equal neighbours are folded if there are more operators than this, and then blocks are drawn as one node each.
MAX_NODES = 40
#: Longest name or operator to draw, in letters.
MAX_LETTERS = 28
#: Size of letters to make room for; Streamlit draws all text of a graph in 9.6 points.
FONT_PT = 9.6
#: Bits of the weights, at most → fill colour; the label says the bits, too.
FILLS = {4: "#7fb8e6", 8: "#b5d8f3", 16: "#dcecf8"}
WIDE_FILL = "#f1f2f4"


def network_dot(detail: CandidateDetail, target: str | None = None) -> str:
    """Return a candidate's network as a graph in DOT; empty without layers.

    Every node says its operators, output shape, bits, density if it is sparse, and time if it was profiled. The fill
    shows the bits, a dashed border sparsity, and the width of the border the share of the time.

    Args:
        detail: the candidate.
        target: the target whose profile gives the times; None: no times.
    """
    stages = stages_of(detail, target)
    for shorter in (folded, merged, folded):
        if sum(1 for _ in _all_operators(stages)) > MAX_NODES:
            stages = shorter(stages)
    if not stages:
        return ""
    total_ms = sum(node["time_ms"] for item in detail.profiles if item.target == target for node in item.nodes)
    return "\n".join(["digraph network {", *_style(), *_graph(stages, total_ms), "}"])


def _all_operators(stages: Sequence[Stage]) -> Iterator[Operator]:
    return (operator for stage in stages for block in stage.blocks for operator in block.operators)


def _style() -> list[str]:
    font = f'fontname="Helvetica,Arial,sans-serif", fontsize={FONT_PT}'
    return [
        f'graph [rankdir=TB, newrank=true, bgcolor="transparent", ranksep=0.15, nodesep=0.2, {font}, '
        f'fontcolor="{INK}", color="{INK}", style="rounded", labeljust=l]',
        f'node [shape=box, color="{INK}", fontcolor="#111827", {font}, margin="0.1,0.05"]',
        f'edge [color="{INK}", arrowsize=0.6]',
    ]


def _graph(stages: Sequence[Stage], total_ms: float) -> Iterator[str]:
    """Write the clusters, and an edge from each operator to the next; a stage starts a new column."""
    columns: list[list[str]] = []
    node = 0
    for place, stage in enumerate(stages):
        columns.append([])
        yield f"subgraph cluster_{place} {{ label={_head(stage)}"
        for inner, block in enumerate(stage.blocks):
            if block.name or block.count > 1:
                yield f"subgraph cluster_{place}_{inner} {{ label={_head(block)}"
            for operator in block.operators:
                yield f"n{node} [{_look(operator, total_ms)}]"
                columns[-1].append(f"n{node}")
                node += 1
            if block.name or block.count > 1:
                yield "}"
        yield "}"
    yield from (" -> ".join(column) for column in columns if len(column) > 1)
    yield f"{{ rank=same; {' '.join(column[0] for column in columns)} }}"
    for before, after in pairwise(columns):
        yield f"{before[0]} -> {after[0]} [style=invis]"
        yield f"{before[-1]} -> {after[0]} [constraint=false]"


def _head(group: Stage | Block) -> str:
    times = f" × {group.count}" if group.count > 1 else ""
    return quoted(_short(group.name or "blocks") + times)


def _look(operator: Operator, total_ms: float) -> str:
    rows = [_short(operator.name), *_ops(operator.ops), " × ".join(map(str, operator.shape))]
    sparse = operator.density is not None and operator.density < 1
    facts = [f"{operator.bits} bits"] if operator.macs and operator.bits else []
    rows.append(", ".join([*facts, *([f"density {operator.density:.3g}"] if sparse else [])]))
    share = 0.0
    if operator.time_ms is not None:
        share = operator.time_ms / total_ms if total_ms else 0.0
        rows.append(f"{number('time_us', 1e3 * operator.time_ms)}, {share:.0%} of the time")
    style = "filled,rounded,dashed" if sparse else "filled,rounded"
    border = f', color="{ORANGE}"' if share >= 0.1 else ""
    return (
        f'label={quoted(*filter(None, rows))}, fillcolor="{_fill(operator)}", style="{style}", '
        f"penwidth={1 + 8 * share:.1f}{border}"
    )


def _fill(operator: Operator) -> str:
    if not (isinstance(operator.bits, int) and operator.macs):
        return WIDE_FILL
    return next((fill for most, fill in FILLS.items() if operator.bits <= most), WIDE_FILL)


def _ops(ops: Sequence[str]) -> list[str]:
    """Return a row for each of the first operators, and how many more there are."""
    runs = [(op, len(list(equal))) for op, equal in groupby(ops)]
    rows = [_short(op) + (f" × {count}" if count > 1 else "") for op, count in runs]
    return rows if len(rows) <= 4 else [*rows[:3], f"and {len(rows) - 3} more"]


def _short(text: str) -> str:
    shown = line(text)
    return shown if len(shown) <= MAX_LETTERS else shown[: MAX_LETTERS - 1] + "…"


def quoted(*rows: str) -> str:
    r"""Return rows of text as a string of DOT in which no character has a meaning; ``\n`` separates the rows.

    Graphviz interprets backslashes (``\N`` is the node's name) and HTML's entities (``&amp;``) in strings.
    """
    escaped = (row.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for row in map(line, rows))
    return '"' + "\\n".join(escaped) + '"'
