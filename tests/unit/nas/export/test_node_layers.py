from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from nas.export.node_layers import node_layers


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions with activations, a linear layer whose output has the name of the file's output."""
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["a.conv/Conv"], name="a.conv/Conv"),
        helper.make_node("Relu", ["a.conv/Conv"], ["a.act/Relu"], name="a.act/Relu"),
        helper.make_node("Conv", ["a.act/Relu", "w"], ["a.conv2/Conv"], name="a.conv2/Conv"),
        helper.make_node("Gemm", ["a.conv2/Conv", "w"], ["output"], name="head/Gemm"),
    ]
    nodes[3].metadata_props.add(key="unrelated", value="[]")
    torch = helper.make_node("Mul", ["output", "output"], ["mul"], name="node_mul_3")
    torch.metadata_props.add(key="pkg.torch.onnx.name_scopes", value="['', 'scale', 'scale.gate', 'mul']")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [*nodes, torch], "g", [value("input", TensorProto.FLOAT, [1])], [value("output", TensorProto.FLOAT, [1])]
    )
    path = tmp_path_factory.mktemp("layers") / "model.onnx"
    onnx.save(helper.make_model(graph), str(path))
    return path


@pytest.mark.parametrize(
    ("name", "op", "layer"),
    [
        ("a.conv/Conv", "Conv", "a.conv"),
        ("a.act/Relu_nchwc", "Conv", "a.conv"),  # fused, and named after the last
        ("a.act/Relu", "Relu", "a.act"),
        ("a.conv2/Conv_token_7", "QLinearConv", "a.conv2"),
        ("a.conv2/Conv/WithoutBiases", "Convolution", "a.conv2"),
        ("output", "FullyConnected", "head"),
        ("node_mul_3", "Mul", "scale.gate"),  # torch's exporter
        ("ReorderOutput_token_9", "ReorderOutput", None),
        ("a.conv2/Conv/WithoutBiases_acdb_abcd_head", "Reorder", None),
        ("Convert_69", "Subgraph", None),
    ],
)
def test_what_a_runtime_executed_is_a_layer_of_the_network(path: Path, name: str, op: str, layer: str | None) -> None:
    assert node_layers(path, [(name, op)]) == [layer]
