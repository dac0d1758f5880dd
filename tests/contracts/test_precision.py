"""Precision from the choice to the file: bits, schemes, the integers in the file, and the values they compute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from nas.errors import ExportError, PlanError
from nas.export import Artifact
from nas.export.checking.evaluate import run_batches
from nas.export.onnx import OnnxExporter
from nas.export.onnx_graph import OnnxGraph
from nas.export.seeding import seed_weights
from nas.graph.identity import graph_identity
from nas.latency.runtimes import RUNTIMES, SessionOptions
from nas.quantization.precision import BITS, Precision
from nas.quantization.scheme import Scheme
from nas.quantization.steps import fake_quantize_weight
from nas.space import Architecture, Network
from nas.space.chooser import PositionChooser, RandomChooser
from nas.space.sampling import Searched
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)
#: Every number format that a file can hold, and how its integers are made.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "int8": {"options": ["int8"]},
    "int8_full": {"options": ["int8"], "full_range": True},
    "int8_symmetric": {"options": ["int8"], "activations": "symmetric"},
    "int8_asymmetric_weights": {"options": ["int8"], "weights": "asymmetric"},
    "int8_entropy": {"options": ["int8"], "calibration": {"name": "entropy", "num_bins": 512}},
    "int8_percentile": {"options": ["int8"], "calibration": "percentile"},
    "int4": {"options": ["int4"]},
    "int4_blocks": {"options": ["int4"], "block_size": 16, "weights": "asymmetric"},
    "fp16": {"options": ["fp16"]},
    "mixed": {"options": list(BITS), "scope": "site", "weights": ["symmetric", "asymmetric"]},
}


def searched(**parameters: Any) -> Searched:
    return Searched(PlainConvNet(), {"name": "plain_convnet"}, ({"name": "precision", **parameters},), TASK)


def finished(space: Searched, seed: int) -> Network:
    network = space.build(space.sample(RandomChooser(seed)).architecture, seed)
    seed_weights(network, SHAPE, str(seed))
    network.finalize()
    return network


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, *SHAPE[1:], generator=torch.Generator().manual_seed(seed))


def exported(network: Network, folder: Path, runtime: str = "onnxruntime") -> Artifact:
    path = folder / "network.onnx"
    return OnnxExporter().export(network, path, input_shape=SHAPE, calibration=images(64), runtime=runtime)


def answers(path: Path, runtime: str) -> np.ndarray:
    session = RUNTIMES.get(runtime)().open(path, SessionOptions())
    try:
        return run_batches(session, images(8, seed=1).numpy())
    finally:
        session.close()


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_file_computes_what_fake_quantization_computes(setting: str, tmp_path: Path) -> None:
    """The exporter compares every file with its simulation. Networks are random; six have mixed precisions."""
    for seed in range(6 if setting == "mixed" else 1):
        exported(finished(searched(**SETTINGS[setting]), seed), tmp_path)


@pytest.mark.parametrize("setting", SETTINGS)
def test_runtimes_give_the_same_answers(setting: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    artifact = exported(finished(searched(**SETTINGS[setting]), 3), tmp_path)
    if "enclosed_by_integers" in artifact.record:
        return
    first, second = (answers(artifact.path, runtime) for runtime in ("onnxruntime", "openvino"))
    assert np.abs(first - second).max() <= 3 * np.ptp(first) / 255


def test_an_activation_zero_point_off_by_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(graph: OnnxGraph, value: str, scale: np.float32, zero_point: np.uint8) -> str:
        down, up = (graph.constant(item) for item in (zero_point, np.uint8(zero_point + 1)))
        integers = graph.node("QuantizeLinear", [value, graph.constant(scale), down])
        return graph.node("DequantizeLinear", [integers, graph.constant(scale), up])

    monkeypatch.setattr(OnnxGraph, "quantized", planted)
    with pytest.raises(ExportError, match="torch with the same roundings"):
        exported(finished(searched(options=["int8"]), 0), tmp_path)


def test_a_weight_zero_point_off_by_one_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = OnnxGraph._dequantized
    monkeypatch.setattr(
        OnnxGraph,
        "_dequantized",
        lambda graph, item: written(graph, replace(item, zero_point=item.zero_point + 1) if item.bits < 32 else item),
    )
    for setting in ("int8_asymmetric_weights", "int4_blocks"):
        with pytest.raises(ExportError, match="torch with the same roundings"):
            exported(finished(searched(**SETTINGS[setting]), 0), tmp_path)


@pytest.mark.parametrize("setting", ["int8", "int8_full", "int8_asymmetric_weights", "int4", "int4_blocks"])
def test_the_integers_are_those_of_fake_quantization(setting: str, tmp_path: Path) -> None:
    """The integers in the file stand for the same weights that quantization-aware training computes with."""
    network = finished(searched(**SETTINGS[setting]), 1)
    head = next(module for module in network.model.modules() if isinstance(module, nn.Linear))
    scheme = next(iter(network.policies[0]._schemes.values()))  # type: ignore[attr-defined]
    bits = next(iter(network.bits.values()))
    graph = onnx.load(str(exported(network, tmp_path).path)).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    node = [item for item in graph.node if item.op_type == "DequantizeLinear" and "integers" in item.input[0]]
    found = [
        constants[name].astype(np.float32) for name in next(n for n in node if n.input[0].startswith("head")).input
    ]
    rows = [item.reshape(len(item), -1) for item in found[1:]]
    scale, zero_point = (np.repeat(item, found[0].shape[1] // item.shape[1], axis=1) for item in rows)
    stands_for = (found[0] - zero_point) * scale
    expected = fake_quantize_weight(head.weight.detach(), bits, scheme).numpy()
    assert np.allclose(stands_for, expected, atol=1e-6)


def test_bits_round_trip_and_equal_networks_are_one(tmp_path: Path) -> None:
    """Bits survive the architecture's JSON, equal networks have one identity, ``size_bytes`` is the file's size."""
    space = searched(options=list(BITS), scope="site", weights=["symmetric", "asymmetric"])
    for seed in range(5):
        sampled = space.sample(RandomChooser(seed))
        record = json.loads(json.dumps(sampled.architecture.to_json()))
        built = space.build(Architecture.from_json(record), seed=0)
        assert built.bits == sampled.bits
        assert built.describe() == sampled.describe()
        assert graph_identity(built.model, SHAPE, built.bits) == graph_identity(sampled.model, SHAPE, sampled.bits)
    artifact = exported(finished(space, 0), tmp_path)
    assert artifact.size_bytes == artifact.path.stat().st_size
    # A scheme has no effect on a network without integers.
    plain = searched(options=["fp32"], weights="asymmetric", quantization_aware=0.5).sample(PositionChooser(1.0))
    dense = Searched(PlainConvNet(), {"name": "plain_convnet"}, (), TASK).sample(PositionChooser(1.0))
    assert graph_identity(plain.model, SHAPE, plain.bits) == graph_identity(dense.model, SHAPE, dense.bits)


def test_schemes_that_differ_are_different_networks() -> None:
    def identity(**parameters: Any) -> str:
        network = searched(options=["int8"], **parameters).sample(PositionChooser(0.0))
        return graph_identity(network.model, SHAPE, network.bits)

    ways: list[dict[str, Any]] = [
        {},
        {"weights": "asymmetric"},
        {"activations": "symmetric"},
        {"calibration": "entropy"},
        {"full_range": True},
        {"quantization_aware": 0.5},
    ]
    assert len({identity(**way) for way in ways}) == len(ways)
    assert identity(block_size=16) == identity(), "only 4-bit weights have blocks"


@pytest.mark.parametrize("scope", ["network", "stage", "site"])
def test_listed_symmetries_are_searched_and_matter_to_integers_only(scope: str) -> None:
    space = searched(options=["int8", "fp32"], scope=scope, weights=["symmetric", "asymmetric"])
    asked = set()
    for seed in range(8):
        chooser = RandomChooser(seed)
        network = space.sample(chooser)
        asked.add(tuple((item.name, item.options) for item in chooser.questions.values()))
        for path, facts in network.describe().items():
            assert ("weights" in facts) == (network.bits[path] == 8)
        for name, question in chooser.questions.items():
            if name.startswith("precision_weights"):
                group = question.site
                in_integers = [
                    bits == 8
                    for path, bits in network.bits.items()
                    if scope == "network" or path == group or path.split(".")[0] == group
                ]
                assert question.active == any(in_integers)
    assert len(asked) == 1


def test_fewer_bits_make_smaller_files(tmp_path: Path) -> None:
    sizes = []
    for option in BITS:
        space = searched(options=[option])
        network = space.build(space.sample(PositionChooser(1.0)).architecture, 0)
        seed_weights(network, SHAPE, "seed")
        sizes.append(exported(network, tmp_path).size_bytes)
    assert sizes == sorted(sizes)
    weights = sum(module.weight.numel() for module in network.model.modules() if isinstance(module, nn.Conv2d))
    # One weight less saves half a byte, one byte, two bytes.
    for smaller, larger, gained in zip(sizes[:-1], sizes[1:], (0.5, 1.0, 2.0), strict=True):
        assert larger - smaller == pytest.approx(gained * weights, rel=0.1)


def test_weights_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    network = finished(searched(options=["fp16"]), 0)
    with torch.no_grad():
        next(iter(network.model.parameters())).mul_(1e7)
    with pytest.raises(ExportError, match="65504"):
        exported(network, tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"options": ["int2"]}, "int2"),
        ({"options": []}, "at least one"),
        ({"weights": "skewed"}, "skewed"),
        ({"activations": []}, "allowed: symmetric"),
        ({"block_size": 24}, "24"),
        ({"quantization_aware": 1.0}, r"1\.0"),
        ({"calibration": "guess"}, "guess"),
        ({"calibration": {"name": "percentile", "percent": 3}}, "percent"),
        ({"scope": "layer"}, "layer"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises((PlanError, LookupError), match=message):
        Precision(**parameters)


def test_a_module_carries_its_scheme_through_json() -> None:
    from nas.quantization.scheme import scheme_of

    module = nn.Conv2d(1, 1, 1)
    scheme = Scheme("asymmetric", "symmetric", {"name": "percentile", "percentile": 99.0}, True, None, 0.25)
    scheme.annotate(module)
    assert json.loads(json.dumps(module.policy_annotations)) == module.policy_annotations
    assert scheme_of(module) == scheme
