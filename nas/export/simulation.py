"""Simulates a file with fewer bits: the network in torch, with the rounding of the file at every value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx
from torch.func import functional_call

from nas.export.onnx_graph import Integers, Parameter
from nas.export.ranges import device_of
from nas.export.shipped import Shipped
from nas.graph.tracing import TracedGraph, TracedNode


class Simulation(fx.Interpreter):
    """Runs a network with the weights, scales and zero points of its file.

    Integer kernels add exactly and float additions round, so a value that lies between two steps may be rounded
    differently.

    Args:
        graph: graph of the finished network in eval mode.
        fewer: positions of the layers with fewer than 32 bits; all others are unchanged.
        shipped: the parameters of the file, and how values are rounded.
    """

    def __init__(self, graph: TracedGraph, fewer: Collection[int], shipped: Shipped) -> None:
        super().__init__(graph.model, graph=graph.nodes[0].call.node.graph)
        self._device = device_of(graph.model)
        nodes = [node.call.node for node in graph.nodes]
        self._steps = {nodes[shipped.plan.observed[index]]: item for index, item in shipped.steps.items()}
        self._gone = {
            nodes[place]: nodes[graph.nodes[place].inputs[0]]
            for place, index in shipped.folded.norms.items()
            if index in fewer
        }
        self._layers = {nodes[index]: _Layer(graph.nodes[index], shipped.parameters, self._device) for index in fewer}

    def __call__(self, inputs: Tensor) -> Tensor:
        """Inputs ``(N, C, H, W)`` → the outputs of the file."""
        with torch.no_grad():
            return cast(Tensor, self.run(inputs.to(self._device)))

    def run_node(self, n: fx.Node) -> Any:
        """The value that the node has in the file."""
        if n in self._gone:
            value = self.env[self._gone[n]]
        elif n in self._layers:
            value = self._layers[n](*self.fetch_args_kwargs_from_env(n)[0])
        else:
            value = super().run_node(n)
        return self._steps[n].fake_quantize(value) if n in self._steps else value


def can_simulate(node: TracedNode) -> bool:
    """Whether the weight that the layer computes with can be replaced by another one."""
    module = node.call.module
    return module is not None and ("weight" in dict(module.named_parameters()) or hasattr(module, "deployed"))


class _Layer:
    """A layer that computes with the weights that ship."""

    def __init__(
        self, node: TracedNode, shipped: Mapping[tuple[fx.Node, str], Parameter | None], device: torch.device
    ) -> None:
        def tensor(name: str) -> Tensor | None:
            value = shipped.get((node.call.node, name))
            return None if value is None else torch.from_numpy(_values(value)).to(device)

        assert node.call.module is not None
        assert node.op is not None
        weights = node.op.weights(node.call)
        assert weights is not None
        self._module = node.call.module
        self._tensors = {"weight": cast(Tensor, tensor("weight"))}
        if weights.bias is not None:
            self._tensors["bias"] = torch.zeros_like(weights.bias)
        bias = tensor("bias")
        dimensions = len(node.call.output_shape)
        self._bias = None if bias is None else bias.reshape(-1, *[1] * (dimensions - weights.axis % dimensions - 1))

    def __call__(self, *inputs: Any) -> Tensor:
        found = self._without_bias(*inputs)
        return found if self._bias is None else found + self._bias

    def _without_bias(self, *inputs: Any) -> Tensor:
        deployed: Callable[..., Tensor] | None = getattr(self._module, "deployed", None)
        if deployed is not None:
            return deployed(*inputs, self._tensors["weight"])
        return cast(Tensor, functional_call(self._module, self._tensors, inputs))


def _values(parameter: Parameter) -> np.ndarray:
    return parameter.dequantized if isinstance(parameter, Integers) else parameter.astype(np.float32)
