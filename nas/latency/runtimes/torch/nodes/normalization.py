"""Normalization layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from nas.latency.runtimes.torch.nodes.translation import Attributes, Translation

if TYPE_CHECKING:
    from nas.latency.runtimes.torch.graph import TorchGraph, Value


def _batch_norm(graph: TorchGraph, attributes: Attributes, *values: Value) -> Any:
    if attributes.get("training_mode", 0):
        raise ValueError("batch statistics are not supported")
    value, weight, bias, mean, variance = values
    return graph.call(F.batch_norm, value, mean, variance, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _instance_norm(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value) -> Any:
    return graph.call(F.instance_norm, value, None, None, weight, bias, eps=attributes.get("epsilon", 1e-5))


def _group_norm(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value) -> Any:
    groups, channels = attributes["num_groups"], graph.shape(value)[1]
    if graph.shape(weight) != (channels,):  # before opset 21: one factor and one bias for each group
        weight, bias = (graph.call(torch.repeat_interleave, item, channels // groups) for item in (weight, bias))
    return graph.call(F.group_norm, value, groups, weight, bias, attributes.get("epsilon", 1e-5))


def _layer_norm(
    graph: TorchGraph, attributes: Attributes, value: Value, weight: Value, bias: Value | None = None
) -> Any:
    sizes = _normalized(graph, attributes, value)
    return graph.call(F.layer_norm, value, sizes, weight, bias, attributes.get("epsilon", 1e-5))


def _rms_norm(graph: TorchGraph, attributes: Attributes, value: Value, weight: Value) -> Any:
    sizes = _normalized(graph, attributes, value)
    return graph.call(F.rms_norm, value, sizes, weight, attributes.get("epsilon", 1e-5))


def _normalized(graph: TorchGraph, attributes: Attributes, value: Value) -> list[int]:
    """The sizes of the dimensions from ``axis`` on."""
    shape = graph.shape(value)
    return list(shape[attributes.get("axis", -1) % len(shape) :])


def _local_response_norm(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    if attributes["size"] % 2 == 0:
        raise ValueError("windows with an even number of channels are not supported")
    settings = [attributes.get(key, default) for key, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))]
    return graph.call(F.local_response_norm, value, attributes["size"], *settings)


def _lp_normalization(graph: TorchGraph, attributes: Attributes, value: Value) -> Any:
    return graph.call(F.normalize, value, float(attributes.get("p", 2)), attributes.get("axis", -1))


NORMALIZATION: dict[str, Translation] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_normalization,
    "RMSNormalization": _rms_norm,
}
