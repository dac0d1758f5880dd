"""Resizing feature maps, and sampling them between pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value

#: ONNX's name of an interpolation mode → torch's name; the first three are names of opset 20.
_READING = {
    "linear": "bilinear",
    "nearest": "nearest",
    "cubic": "bicubic",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
}
#: Name of a coordinate mode → function ``(place, size, new size, factor)`` from a place in the new map to the old map.
_COORDINATES: dict[str, Callable[[int, int, int, float], float]] = {
    "align_corners": lambda place, size, new, factor: place * (size - 1) / (new - 1) if new > 1 else 0.0,
    "asymmetric": lambda place, size, new, factor: place / factor,
    "half_pixel": lambda place, size, new, factor: (place + 0.5) / factor - 0.5,
    "pytorch_half_pixel": lambda place, size, new, factor: (place + 0.5) / factor - 0.5 if new > 1 else 0.0,
}
#: Name of a rounding mode → function that rounds a place between two pixels to one of them.
_ROUNDING: dict[str, Callable[[float], int]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round_prefer_ceil": lambda place: math.floor(place + 0.5),
    "round_prefer_floor": lambda place: math.ceil(place - 0.5),
}


def _resize(
    graph: TorchGraph,
    attributes: Attributes,
    value: Value,
    region: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
) -> Any:
    for key, known in (("antialias", 0), ("keep_aspect_ratio_policy", "stretch")):
        if attributes.get(key, known) != known:
            raise ValueError(f"{key} {attributes[key]!r} is not supported")
    mode, coordinates = (
        attributes.get("mode", "nearest"),
        attributes.get("coordinate_transformation_mode", "half_pixel"),
    )
    new, factors = _new_sizes(graph, attributes, value, scales, sizes)
    if mode == "nearest":
        return _nearest(graph, value, new, factors, coordinates, attributes.get("nearest_mode", "round_prefer_floor"))
    shape = graph.shape(value)
    exact = _is_exact(shape, new, factors)
    known = {"half_pixel": True, "align_corners": exact, "pytorch_half_pixel": 1 not in new[2:]}.get(coordinates, False)
    kernel = {3: {"linear": "linear"}, 4: {"linear": "bilinear", "cubic": "bicubic"}}.get(len(shape), {}).get(mode)
    ordinary = attributes.get("cubic_coeff_a", -0.75) == -0.75 and not attributes.get("exclude_outside", 0)
    if kernel is None or new[:2] != list(shape[:2]) or not known or not ordinary:
        raise ValueError(f"{list(shape)} to {new} in mode {mode!r} with coordinates {coordinates!r} is not supported")
    by = {"size": new[2:]} if exact else {"scale_factor": factors[2:], "recompute_scale_factor": False}
    return graph.call(F.interpolate, value, mode=kernel, align_corners=coordinates == "align_corners", **by)


def _new_sizes(
    graph: TorchGraph, attributes: Attributes, value: Value, scales: Value | None, sizes: Value | None
) -> tuple[list[int], list[float]]:
    """The new shape, and the factor of each dimension that converts coordinates."""
    new, shape = list(graph.shape(value)), graph.shape(value)
    factors = [1.0] * len(new)
    axes = attributes.get("axes") or list(range(len(new)))
    wanted = graph.numbers(sizes)
    for place, axis in enumerate(axes):
        factors[axis] = wanted[place] / shape[axis] if wanted else graph.numbers(scales)[place]
        new[axis] = wanted[place] if wanted else math.floor(shape[axis] * factors[axis])
    return new, factors


def _is_exact(shape: Sequence[int], new: Sequence[int], factors: Sequence[float]) -> bool:
    """Whether the new sizes are the old ones times the factors, without rounding."""
    return [size * factor for size, factor in zip(shape, factors, strict=True)] == list(new)


def _nearest(
    graph: TorchGraph, value: Value, new: list[int], factors: Sequence[float], coordinates: str, rounding: str
) -> Any:
    shape = graph.shape(value)
    if (
        _is_exact(shape, new, factors)
        and new[:2] == list(shape[:2])
        and (coordinates, rounding) == ("asymmetric", "floor")
    ):
        return graph.call(F.interpolate, value, size=new[2:], mode="nearest")
    found, rounded = _COORDINATES[coordinates], _ROUNDING[rounding]
    for axis, (size, factor) in enumerate(zip(shape, factors, strict=True)):
        if new[axis] != size:
            places = [rounded(found(place, size, new[axis], factor)) for place in range(new[axis])]
            index = torch.tensor([min(max(place, 0), size - 1) for place in places])
            value = graph.call(torch.index_select, value, axis, index)
    return value


def _grid_sample(graph: TorchGraph, attributes: Attributes, value: Value, grid: Value) -> Any:
    mode, outside = _READING[attributes.get("mode", "linear")], attributes.get("padding_mode", "zeros")
    return graph.call(F.grid_sample, value, grid, mode, outside, bool(attributes.get("align_corners", 0)))


RESAMPLING: dict[str, Translation] = {"GridSample": _grid_sample, "Resize": _resize}
