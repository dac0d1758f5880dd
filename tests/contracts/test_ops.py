"""The contract of every registered op, checked on every example that the op gives."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import nas.ops
from nas.errors import ExportError
from nas.export.formats.openers.torch import load
from nas.export.onnx import OnnxExporter
from nas.export.plain.network import plain_network
from nas.graph.identity import count_macs, graph_identity, trace
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.ops import OPS, Call, Example, op_name
from nas.ops.activation import ActivationOp
from nas.ops.conv import Conv2dOp
from nas.ops.pool import PoolOp
from nas.space import Architecture, Network


def examples_of(name: str) -> list[Example]:
    torch.manual_seed(0)
    return list(OPS.get(name)().examples())


EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{example.name}") for name in OPS.names() for example in examples_of(name)
]


def random_input(example: Example, seed: int = 1) -> torch.Tensor:
    return torch.randn(example.input_shape, generator=torch.Generator().manual_seed(seed))


def torch_output(model: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(inputs).numpy()


def check_plain_source(example: Example, folder: Path) -> None:
    network = Network(Architecture({"name": "example"}, (), {}), example.model.eval())
    plain = plain_network(network, example.input_shape, random_input(example), "weights.safetensors")
    save_file(dict(plain.tensors), folder / "weights.safetensors")
    (folder / "model.py").write_text(plain.source)
    expected = torch_output(example.model, random_input(example))
    found = torch_output(load(folder), random_input(example))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(expected.std(), 1e-9))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_op_can_be_written_in_plain_pytorch(name: str, example: Example, tmp_path: Path) -> None:
    check_plain_source(example, tmp_path)


def check_covered(name: str, example: Example) -> None:
    graph = trace(example.model, example.input_shape)
    used = {op_name(node.op) for node in graph.nodes if node.op is not None}
    assert name in used, f"the example uses {used}"
    assert graph.uncovered == []


def check_emission(example: Example, path: Path) -> None:
    network = Network(Architecture({"name": "example"}, (), {}), example.model)
    artifact = OnnxExporter().export(network, path, input_shape=example.input_shape)
    assert artifact.route == "fx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = random_input(example)
    (found,) = session.run(None, {"input": inputs.numpy()})
    expected = torch_output(example.model, inputs)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.std())


def check_translation(example: Example, path: Path) -> None:
    """The emitted file computes the same in the torch runtime."""
    inputs = random_input(example)
    expected = torch_output(example.model, inputs)
    with closing(RUNTIMES.get("torch")().open(path, SessionOptions())) as session:
        np.testing.assert_allclose(session.run(inputs.numpy()), expected, rtol=1e-4, atol=1e-4 * expected.std())


def check_shape(example: Example) -> None:
    graph = trace(example.model, example.input_shape)
    traced = graph.nodes[graph.outputs[0]].call.output_shape
    assert traced == torch_output(example.model, random_input(example)).shape


def check_macs(example: Example) -> None:
    with FlopCounterMode(display=False) as counter:
        torch_output(example.model, random_input(example))
    assert count_macs(example.model, example.input_shape) == counter.get_total_flops() // 2


def check_identity(example: Example) -> None:
    def identity(model: nn.Module) -> str:
        return graph_identity(model, example.input_shape, {})

    expected = identity(example.model.eval())
    assert identity(example.model.train()) == expected
    assert identity(copy.deepcopy(example.model).to("meta")) == expected
    assert identity(nn.Sequential(nn.Identity(), example.model, nn.Identity())) == expected
    other_size = (*example.input_shape[:-1], example.input_shape[-1] * 2)
    if not any(isinstance(module, nn.Linear | nn.BatchNorm1d) for module in example.model.modules()):
        assert graph_identity(example.model, other_size, {}) != expected


def check_identities_tell_apart(examples: Sequence[Example]) -> None:
    """If two examples have one identity, the second with the weights of the first computes what the first does."""
    identities = [graph_identity(example.model, example.input_shape, {}) for example in examples]
    for (first, identity), (second, other) in itertools.combinations(zip(examples, identities, strict=True), 2):
        if identity != other:
            continue
        taught = copy.deepcopy(second.model)
        for old, new in zip(taught.state_dict().values(), first.model.state_dict().values(), strict=True):
            old.copy_(new)
        inputs = random_input(first)
        np.testing.assert_allclose(torch_output(taught, inputs), torch_output(first.model, inputs), rtol=1e-5)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_examples_are_covered_by_the_op(name: str, example: Example) -> None:
    check_covered(name, example)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_the_emitted_file_computes_what_torch_computes(name: str, example: Example, tmp_path: Path) -> None:
    check_emission(example, tmp_path / "example.onnx")
    check_translation(example, tmp_path / "example.onnx")


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_traced_shapes_are_torchs(name: str, example: Example) -> None:
    check_shape(example)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_macs_equal_torchs_count_of_what_ran(name: str, example: Example) -> None:
    check_macs(example)


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_identity_depends_on_the_network_alone(name: str, example: Example) -> None:
    check_identity(example)


@pytest.mark.parametrize("name", OPS.names())
def test_equal_identity_means_equal_computation(name: str) -> None:
    check_identities_tell_apart(examples_of(name))


class IgnoresGroups(Conv2dOp):
    """Planted: an emitter that loses every group but the first."""

    def emit(self, graph: Any, call: Call, inputs: Sequence[str]) -> str:
        value = super().emit(graph, call, inputs)
        if call.module.groups > 1:
            for attribute in graph._nodes[-1].attribute:
                if attribute.name == "group":
                    attribute.i = 1
        return value


class IgnoresStride(PoolOp):
    """Planted: an emitter that always writes a stride of 3."""

    def emit(self, graph: Any, call: Call, inputs: Sequence[str]) -> str:
        value = super().emit(graph, call, inputs)
        for attribute in graph._nodes[-1].attribute:
            if attribute.name == "strides":
                attribute.ints[:] = [3, 3]
        return value


class CountsOneMore(Conv2dOp):
    def macs(self, call: Call) -> int:
        return super().macs(call) + 1


class WrongShape(PoolOp):
    def shape(self, call: Call) -> tuple[int, ...] | None:
        return call.input_shapes[0]


class ForgetsTheSlope(ActivationOp):
    def attributes(self, call: Call) -> dict[str, Any]:
        attributes = super().attributes(call)
        return {"kind": attributes["kind"]} if attributes["kind"] == "leaky_relu" else attributes

    def emit(self, graph: Any, call: Call, inputs: Sequence[str]) -> str:
        return graph.node("LeakyRelu", inputs, alpha=0.01)


class NamesItself(ActivationOp):
    """Planted: an identity that contains the name of a slot."""

    def attributes(self, call: Call) -> dict[str, Any]:
        return {**super().attributes(call), "slot": str(call.node.target)}


def plant(monkeypatch: pytest.MonkeyPatch, op: nas.ops.Op, name: str) -> None:
    table = nas.ops._table()
    monkeypatch.setitem(table.names, op, name)
    for target in op.targets:
        by = table.by_type if isinstance(target, type) else table.by_target
        monkeypatch.setitem(by, target, op)


def example_of(name: str, which: str) -> Example:
    return next(example for example in examples_of(name) if example.name == which)


FAILS = (AssertionError, ExportError)


def test_a_lost_group_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch, IgnoresGroups(), "conv2d")
    check_emission(example_of("conv2d", "plain"), tmp_path / "plain.onnx")
    with pytest.raises(FAILS):
        check_emission(example_of("conv2d", "grouped"), tmp_path / "grouped.onnx")


def test_a_wrong_stride_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch, IgnoresStride(), "pool")
    with pytest.raises(FAILS):
        check_emission(example_of("pool", "max_overlapping"), tmp_path / "pool.onnx")


def test_macs_off_by_one_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, CountsOneMore(), "conv2d")
    with pytest.raises(AssertionError):
        check_macs(example_of("conv2d", "plain"))


def test_a_wrong_shape_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, WrongShape(), "pool")
    with pytest.raises(AssertionError):
        check_shape(example_of("pool", "max"))


def test_a_forgotten_attribute_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, ForgetsTheSlope(), "activation")
    slopes = [Example(str(slope), nn.Sequential(nn.LeakyReLU(slope)), (2, 3, 4, 5)) for slope in (0.01, 0.2)]
    with pytest.raises(AssertionError):
        check_identities_tell_apart(slopes)


def test_a_name_in_the_identity_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, NamesItself(), "activation")
    with pytest.raises(AssertionError):
        check_identity(example_of("activation", "relu"))
