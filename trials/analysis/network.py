"""A network's layers in groups: stages, blocks in a stage, and operators in a block; equal neighbours are folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

from trials.analysis.profiles import layer_times
from trials.store.read.candidate import CandidateDetail


@dataclass(frozen=True)
class Operator:
    """One or several layers that are drawn as one: a layer that computes, and those without MACs after it."""

    #: Last part of the first layer's path.
    name: str
    ops: tuple[str, ...]
    #: Shape of the last layer's output, without the batch.
    shape: tuple[int, ...]
    parameters: int
    macs: int
    bits: int | None
    #: Share of weights that are not zero; None if no policy recorded it.
    density: float | None
    #: Time in a profiled run, all repetitions together; None without a profile.
    time_ms: float | None


@dataclass(frozen=True)
class Block:
    """Operators whose paths have their second part in common."""

    #: Empty if the layers are directly in the stage.
    name: str
    operators: tuple[Operator, ...]
    #: Number of equal blocks in a row that it stands for.
    count: int = 1


@dataclass(frozen=True)
class Stage:
    """Blocks whose paths have their first part in common."""

    name: str
    blocks: tuple[Block, ...]
    #: Number of equal stages in a row that it stands for.
    count: int = 1


Group = TypeVar("Group", Block, Stage)
Layer = Mapping[str, Any]


def stages_of(detail: CandidateDetail, target: str | None = None) -> list[Stage]:
    """Return the stages of a candidate's network in the order of execution; nothing is folded yet.

    Args:
        detail: the candidate.
        target: the target whose profile gives the times; None: no times.
    """
    nodes = next((profile.nodes for profile in detail.profiles if profile.target == target), ())
    times = {item.layer: item.time_ms for item in layer_times(nodes)}
    densities = _densities(detail)
    read = [(_parts(str(layer.get("name"))), layer) for layer in detail.layers]
    return [
        Stage(
            stage,
            tuple(
                Block(block, tuple(_operators(list(own), densities, times)))
                for block, own in groupby(layers, key=lambda item: item[0][1])
            ),
        )
        for stage, layers in groupby(read, key=lambda item: item[0][0])
    ]


def folded(stages: Iterable[Stage]) -> list[Stage]:
    """Fold equal neighbours into one: blocks in a stage, then stages."""
    return _fold(
        [replace(stage, blocks=tuple(_fold(stage.blocks, _block_kind, _joined_blocks))) for stage in stages],
        lambda stage: tuple((_block_kind(block), block.count) for block in stage.blocks),
        _joined_stages,
    )


def merged(stages: Iterable[Stage]) -> list[Stage]:
    """Merge the operators of each block into one."""
    return [
        replace(stage, blocks=tuple(replace(block, operators=(_sum(block.operators),)) for block in stage.blocks))
        for stage in stages
    ]


def _parts(path: str) -> tuple[str, str, str]:
    """Split a path into stage, block and operator; a number belongs to the word before it: ``blocks.3``."""
    parts: list[str] = []
    for word in path.split("."):
        if word.isdigit() and parts:
            parts[-1] += f".{word}"
        else:
            parts.append(word)
    if len(parts) == 1:
        return parts[0], "", parts[0]
    return (parts[0], "", parts[1]) if len(parts) == 2 else (parts[0], parts[1], ".".join(parts[2:]))


def _densities(detail: CandidateDetail) -> dict[str, float]:
    """Return site → density, from the record of the deployed file."""
    sites: Mapping[str, Layer] = next(
        (item.record["sites"] for item in detail.artifacts if item.record.get("sites")), {}
    )
    found = {path: facts.get("realised_density", facts.get("density")) for path, facts in sites.items()}
    return {path: float(value) for path, value in found.items() if isinstance(value, int | float)}


def _operators(
    layers: Sequence[tuple[tuple[str, str, str], Layer]],
    densities: Mapping[str, float],
    times: Mapping[str | None, float],
) -> list[Operator]:
    found: list[Operator] = []
    for (_, _, name), layer in layers:
        path = str(layer.get("name"))
        shape = tuple(layer.get("output_shape") or ())
        own = Operator(
            name=name,
            ops=(str(layer.get("op")),),
            shape=shape[1:] if shape[:1] == (1,) and len(shape) > 1 else shape,
            parameters=int(layer.get("parameters") or 0),
            macs=int(layer.get("macs") or 0),
            bits=layer.get("bits"),
            density=densities.get(path),
            time_ms=times.get(path, 0.0) if times else None,
        )
        if found and not own.macs:
            found[-1] = _sum((found[-1], own))
        else:
            found.append(own)
    return found


def _sum(operators: Sequence[Operator]) -> Operator:
    """Return operators in a row as one; its name, bits and density are those of the one with the most MACs."""
    main = max(operators, key=lambda item: item.macs)
    return replace(
        main,
        ops=tuple(op for item in operators for op in item.ops),
        shape=operators[-1].shape,
        parameters=sum(item.parameters for item in operators),
        macs=sum(item.macs for item in operators),
        time_ms=_added([item.time_ms for item in operators]),
    )


def _block_kind(block: Block) -> tuple[Any, ...]:
    return tuple(replace(item, time_ms=None) for item in block.operators)


def _fold(groups: Sequence[Group], kind: Callable[[Group], Any], joined: Callable[[list[Group]], Group]) -> list[Group]:
    return [joined(list(equal)) for _, equal in groupby(groups, key=kind)]


def _joined_blocks(equal: list[Block]) -> Block:
    if len(equal) == 1:
        return equal[0]
    operators = zip(*(block.operators for block in equal), strict=True)
    return Block(
        _span(equal[0].name, equal[-1].name),
        tuple(replace(each[0], time_ms=_added([item.time_ms for item in each])) for each in operators),
        sum(block.count for block in equal),
    )


def _joined_stages(equal: list[Stage]) -> Stage:
    if len(equal) == 1:
        return equal[0]
    blocks = [
        replace(_joined_blocks(list(each)), name=each[0].name, count=each[0].count)
        for each in zip(*(stage.blocks for stage in equal), strict=True)
    ]
    return Stage(_span(equal[0].name, equal[-1].name), tuple(blocks), sum(stage.count for stage in equal))


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _added(times: Sequence[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return sum(known) if known else None
