"""Which layer of a network a runtime's node belongs to, read off the names in the exported file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx

#: What runtimes add between layers, to turn tensors into another layout.
OWN_OPS = ("reorder", "transpose")
#: Nodes that are fused into one, at most.
LONGEST_FUSION = 4
_SCOPES = "pkg.torch.onnx.name_scopes"


def node_layers(path: Path, nodes: Sequence[tuple[str, str]]) -> list[str | None]:
    """Path of the module each executed node computes, None for what is the runtime's own.

    Our exporter calls a node ``path/OpType``; torch's notes the path beside it. Runtimes name what they execute after
    one of the nodes they fused, with endings of their own. A node that computes several is that of the first of
    them which is of the executed kind: a convolution named after its activation is the convolution.

    Args:
        path: the ONNX file.
        nodes: (name, op) of each executed node.
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
    """The node and those before it, along first inputs."""
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
