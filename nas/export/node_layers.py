"""Finds the layer that a node of a runtime belongs to, by the names in the exported file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx

#: Nodes that runtimes insert between layers to convert tensors to another memory format.
OWN_OPS = ("reorder", "transpose")
#: Largest number of nodes that a runtime fuses into one.
LONGEST_FUSION = 4
_SCOPES = "pkg.torch.onnx.name_scopes"


def node_layers(path: Path, nodes: Sequence[tuple[str, str]]) -> list[str | None]:
    """For each executed node, the path of its module, or None for a node that the runtime inserted.

    Our exporter names a node ``path/OpType``; torch's exporter stores the path in the node's metadata. A runtime names
    an executed node after one of the nodes that it fused, with an ending of its own. A fused node is assigned to the
    first of its parts that has the executed kind: a convolution that is named after its activation is the convolution.

    Args:
        path: the ONNX file.
        nodes: name and kind of each executed node.
    """
    graph = onnx.load(str(path), load_external_data=False).graph
    known = {name: node for node in graph.node for name in (*node.output, node.name) if name}
    return [_layer(known, name, op) for name, op in nodes]


def _layer(known: dict[str, onnx.NodeProto], name: str, op: str) -> str | None:
    found = [original for original in known if name.startswith(original)]
    if not found or (op.lower().startswith(OWN_OPS) and name not in known):
        return None
    node = known[max(found, key=len)]
    alike = (item for item in _chain(known, node) if item.op_type.lower() in op.lower())
    return _path(next(alike, node)) or None


def _chain(known: dict[str, onnx.NodeProto], node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The node and the nodes before it, following first inputs."""
    for _ in range(LONGEST_FUSION):
        yield node
        if not node.input or node.input[0] not in known:
            return
        node = known[node.input[0]]


def _path(node: onnx.NodeProto) -> str:
    scopes = next((item.value for item in node.metadata_props if item.key == _SCOPES), None)
    if scopes is not None:
        return str(ast.literal_eval(scopes)[-2])
    return str(node.name.rpartition("/")[0])
