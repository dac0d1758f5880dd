"""Files that an agent must refuse: they are not models, or they refer to other files."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from nas.latency.protobuf import encode


def hostile_files(good: bytes) -> dict[bytes, str]:
    """Content → text in the refusal; ``good`` is a valid model."""
    hidden = helper.make_node("Constant", [], ["w"], value=external())
    add = helper.make_node("Add", ["x", "w"], ["y"])
    branch = helper.make_graph([hidden], "b", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 4])])
    nested = graph_of(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))
    deep = b""
    for _ in range(50):
        deep = encode((1, encode((5, encode((6, deep))))))
    return {
        b"garbage" * 99: "not an ONNX file",
        good[: len(good) // 2]: "not an ONNX file",
        b"": "Content-Length",
        b"\x00" * 5000: "not an ONNX file",
        b"\xff" * 5000: "not an ONNX file",
        b"\x08\x01" * 100_000: "no version or no graph",
        encode((1, 8), (7, deep)): "levels",
        graph_of(add, weights=(external(),)).SerializeToString(): "in other files",
        graph_of(hidden, add).SerializeToString(): "in other files",
        nested.SerializeToString(): "in other files",
    }


def graph_of(*nodes: onnx.NodeProto, weights: tuple[onnx.TensorProto, ...] = ()) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def external() -> onnx.TensorProto:
    tensor = numpy_helper.from_array(numpy_helper.np.zeros((1, 4), "float32"), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return tensor
