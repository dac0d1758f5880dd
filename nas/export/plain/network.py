"""A network as a Python file that needs only torch and safetensors, and its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nas.errors import ExportError
from nas.export.plain.chains import simplified
from nas.export.plain.lines import shortened
from nas.export.plain.reading import read_network
from nas.export.plain.source import written
from nas.export.plain.tree import state
from nas.export.shipped import ship
from nas.graph.tracing import trace
from nas.space import Network
from nas.space.name_patterns import some

_HEAD = '''"""A network in plain PyTorch, generated from the graph of the trained network by measured-nas.

    network = load()            # with the weights in the file beside this one
    outputs = network(inputs)   # inputs: float32 {shape}, prepared as for training

Batch norms after convolutions are part of their weights.{rounded}
"""

from pathlib import Path
{typing}
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
{functional}

'''
_TAIL = '''


def load(path: Path = Path(__file__).with_name("{weights}")) -> Network:
    """Return the network with its trained weights, in evaluation mode."""
    network = Network()
    network.load_state_dict(load_file(path))
    return network.eval()
'''


@dataclass(frozen=True)
class PlainNetwork:
    """The source of a network, and what its ``state_dict`` contains."""

    source: str
    tensors: Mapping[str, Tensor]


def plain_network(network: Network, input_shape: tuple[int, ...], calibration: Tensor, weights: str) -> PlainNetwork:
    """Write a finished network in plain PyTorch.

    Args:
        network: the network; it is in eval mode afterwards.
        input_shape: ``(N, C, H, W)``; the source takes any N if the network's own ``forward`` does.
        calibration: inputs ``(M, C, H, W)`` on which the ranges of 8-bit values are found.
        weights: name of the file that will contain the tensors.

    Raises:
        ExportError: a part of the network can't be written in functions and modules of torch, or has bits that PyTorch
            has no type for.
    """
    network.model.eval()
    graph = trace(network.model, input_shape)
    fewer = {path: bits for path, bits in network.bits.items() if bits < 32}
    if graph.uncovered and fewer:
        names = sorted({node.op_name for node in graph.uncovered})
        raise ExportError(
            f"no op covers {some(names)}, so ONNX Runtime's quantizer chose the integers of this network, and they "
            "can't be written as source"
        )
    root = simplified(read_network(graph, ship(graph, network.bits, calibration, shifts=False)))
    shortened(root)
    text = written(root)
    used = "from torch.nn import functional as F\n" if "F." in text else ""
    rounded = "\nLayers with fewer than 32 bits have classes of their own here." if fewer else ""
    shape = f"(N, {', '.join(map(str, input_shape[1:]))})"
    typing = "from typing import Any\n" if "Any" in text else ""
    head = _HEAD.format(shape=shape, functional=used, rounded=rounded, typing=typing)
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state(root)}
    return PlainNetwork(head + text + _TAIL.format(weights=weights), tensors)
