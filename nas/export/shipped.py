"""The parameters of a network as they ship: folded into each other, and rounded to the bits of their layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, fx

from nas.export.folding import Folded, fold
from nas.export.onnx_graph import Parameter
from nas.export.quantize import IntegerPlan, halved, plan_integers, quantize_layer, quantize_weight
from nas.export.ranges import ranges
from nas.graph.tracing import TracedGraph
from nas.quantization.scheme import scheme_of
from nas.quantization.steps import Steps, activation_steps


@dataclass(frozen=True)
class Shipped:
    """Everything that a file contains besides the operators of the graph."""

    folded: Folded
    plan: IntegerPlan
    #: Position of a value that is rounded to 8 bits → how it is rounded.
    steps: Mapping[int, Steps]
    #: ``(fx node, parameter name)`` → the parameter that ships in place of the module's own; None if none ships.
    parameters: Mapping[tuple[fx.Node, str], Parameter | None]


def ship(graph: TracedGraph, bits: Mapping[str, int], inputs: Tensor, *, shifts: bool = True) -> Shipped:
    """Fold and round the parameters of a graph.

    Args:
        graph: graph of a finished network in eval mode.
        bits: path of a layer → its bits; 32 for all others.
        inputs: inputs ``(M, C, H, W)`` on which the ranges of 8-bit values are found.
        shifts: whether shifts are folded into the biases of the layers after them.

    Raises:
        ExportError: a value is not finite, or too large for its bits.
    """
    folded = fold(graph, bits, shifts=shifts)
    plan = plan_integers(graph, folded, bits)
    steps = _steps(graph, plan, inputs) if plan.values else {}
    return Shipped(folded, plan, steps, _parameters(graph, bits, folded, plan, steps))


def _steps(graph: TracedGraph, plan: IntegerPlan, inputs: Tensor) -> dict[int, Steps]:
    calibrations = {plan.observed[index]: scheme.new_calibration() for index, scheme in plan.schemes.items()}
    found = ranges(graph, calibrations, inputs)
    steps = {index: activation_steps(*found[plan.observed[index]], item) for index, item in plan.schemes.items()}
    for index in sorted(plan.same_as):
        steps[index] = steps[plan.same_as[index]]
    return steps


def _parameters(
    graph: TracedGraph, bits: Mapping[str, int], folded: Folded, plan: IntegerPlan, steps: Mapping[int, Steps]
) -> dict[tuple[fx.Node, str], Parameter | None]:
    shipped: dict[tuple[fx.Node, str], Parameter | None] = {
        (graph.nodes[index].call.node, "bias"): None for index in folded.shifted
    }
    for index, layer in folded.layers.items():
        node = graph.nodes[index]
        scheme, own = scheme_of(node.call.module), bits.get(node.path, 32)
        weight: Parameter = layer.weight
        bias: Parameter | None = layer.bias
        if index in plan.layers:
            weight, bias = quantize_layer(layer, steps[plan.owner[node.inputs[0]]], scheme)
        elif own == 4:
            weight = quantize_weight(layer, 4, scheme)
        elif own == 16:
            weight = halved(layer.weight, node.name)
        shipped[(node.call.node, "weight")] = weight
        if bias is not None:
            shipped[(node.call.node, "bias")] = bias
    return shipped
