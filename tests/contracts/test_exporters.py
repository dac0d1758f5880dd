"""The contract of every registered exporter; also that both ways to write ONNX, and all integers, agree."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import nas.export.shipped
from nas.errors import ExportError
from nas.export import EXPORTERS, Artifact, Exporter
from nas.export.checking.expected import expect
from nas.export.job import ExportJob
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.export.torch_route import export_with_torch
from nas.latency.runtimes import RUNTIMES
from nas.ops.activation import ActivationOp
from nas.ops.conv import Conv2dOp
from nas.quantization.min_max import MinMax
from nas.quantization.scheme import Scheme
from nas.quantization.steps import Steps
from nas.space import Architecture, Network
from tests.runtimes_here import or_skipped

SHAPE = (1, 3, 12, 12)


#: Exporters that compute with integers and report what they found.
INTEGER_RUNTIMES = [
    name for name in RUNTIMES.names() if RUNTIMES.get(name).answers and "int8" in RUNTIMES.get(name).precisions
]


def plain() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, padding=1, bias=False),
            norm1=nn.BatchNorm2d(8),
            activation1=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            norm2=nn.BatchNorm2d(16),
            activation2=nn.ReLU6(),
            dropout=nn.Dropout(0.2),
            average=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(16, 10),
        )
    )


class Residual(nn.Module):
    """Sum, product, concatenation, depthwise convolution, other activations, and a norm that can't be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False), nn.BatchNorm2d(8))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Sigmoid())
        self.before = nn.BatchNorm2d(16)
        self.last = nn.Conv2d(16, 12, 3, stride=2, padding=1)
        self.head = nn.Linear(12, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        stem = self.stem(inputs)
        branch = self.depthwise(stem)
        total = torch.relu(branch + stem)
        gated = total * self.gate(total)
        last = torch.relu(self.last(self.before(torch.cat([gated, stem], dim=1))))
        return self.head(last.mean((2, 3)))


class Branches(nn.Module):
    """A chain of sums of branches, which each runtime rounds at different positions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)) for _ in range(4)
        )
        self.head = nn.Linear(8, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        value = torch.relu(self.stem(inputs))
        for block in self.blocks:
            value = torch.relu(value + block(value))
        return self.head(value.mean((2, 3)))


def segmentation() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, stride=2, padding=1),
            activation=nn.SiLU(),
            conv2=nn.Conv2d(8, 4, 1),
            resize=nn.Upsample((12, 12), mode="bilinear"),
        )
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "residual": Residual,
    "branches": Branches,
    "segmentation": segmentation,
}


def make_network(name: str, bits: int = 32, seed: str = "seed") -> Network:
    model = NETWORKS[name]()
    sites = [path for path, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    network = Network(Architecture({"name": name}, (), {}), model, bits=dict.fromkeys(sites, bits))
    seed_weights(network, SHAPE, seed)
    return network


def images(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, *SHAPE[1:], generator=torch.Generator().manual_seed(seed))


def run_file(path: Path, inputs: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": part.numpy()})[0] for part in inputs.split(1)])


def check_artifact(artifact: Artifact, path: Path) -> None:
    content = path.read_bytes()
    assert artifact.path == path
    assert artifact.sha256 == hashlib.sha256(content).hexdigest()
    assert artifact.size_bytes == len(content)
    assert artifact.input_shape == SHAPE
    assert len(artifact.structure_hash) == 64


@pytest.fixture(params=EXPORTERS.names())
def exporter(request: pytest.FixtureRequest) -> Exporter:
    return EXPORTERS.get(request.param)()


@pytest.mark.parametrize("bits", [32, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_record_describes_the_file(exporter: Exporter, name: str, bits: int, tmp_path: Path) -> None:
    path = tmp_path / f"network{exporter.suffix}"
    artifact = exporter.export(make_network(name, bits), path, input_shape=SHAPE, calibration=images(16))
    check_artifact(artifact, path)
    assert artifact.format == exporter.format
    assert artifact.relative_error < (1e-4 if bits == 32 else 0.5)


@pytest.mark.parametrize("bits", [32, 8])
def test_exporting_is_deterministic(exporter: Exporter, bits: int, tmp_path: Path) -> None:
    hashes = set()
    for index in range(2):
        path = tmp_path / f"network{index}{exporter.suffix}"
        hashes.add(exporter.export(make_network("residual", bits), path, input_shape=SHAPE).sha256)
    assert len(hashes) == 1


@pytest.mark.parametrize("bits", [32, 8])
def test_the_structure_hash_ignores_only_weights_and_ranges(exporter: Exporter, bits: int, tmp_path: Path) -> None:
    def structure(network: Network, shape: tuple[int, ...] = SHAPE, calibration: Tensor | None = None) -> str:
        path = tmp_path / f"network{exporter.suffix}"
        return exporter.export(network, path, input_shape=shape, calibration=calibration).structure_hash

    expected = structure(make_network("plain", bits))
    assert structure(make_network("plain", bits, seed="other"), calibration=images(8)) == expected
    pruned = make_network("plain", bits)
    with torch.no_grad():
        pruned.model.conv2.weight[3, :2] = 0.0  # type: ignore[union-attr, index, operator]
    other_bits = make_network("plain", 40 - bits)
    assert expected not in {
        structure(pruned),
        structure(other_bits),
        structure(make_network("plain", bits), (2, *SHAPE[1:])),
    }


def test_a_dead_network_is_refused(exporter: Exporter, tmp_path: Path) -> None:
    network = make_network("plain")
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter.zero_()
    with pytest.raises(ExportError, match="whatever the input"):
        exporter.export(network, tmp_path / f"dead{exporter.suffix}", input_shape=SHAPE)


def test_weights_that_are_not_finite_are_refused(exporter: Exporter, tmp_path: Path) -> None:
    network = make_network("plain")
    with torch.no_grad():
        network.model.head.weight[0, 0] = float("nan")  # type: ignore[union-attr, index, operator]
    with pytest.raises(ExportError, match="finite"):
        exporter.export(network, tmp_path / f"nan{exporter.suffix}", input_shape=SHAPE)


class WrongSlope(ActivationOp):
    """Planted: an emitter that computes something else than its op."""

    def emit(self, graph, call, inputs):  # type: ignore[no-untyped-def]
        return graph.node("LeakyRelu", inputs, alpha=0.1)


def test_an_emitter_that_computes_something_else_is_found(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ActivationOp, "emit", WrongSlope.emit)
    with pytest.raises(ExportError, match="differs from the network"):
        exporter.export(make_network("plain"), tmp_path / f"wrong{exporter.suffix}", input_shape=SHAPE)


def check_routes_agree(name: str, bits: int, tolerance: float, folder: Path) -> None:
    network, inputs = make_network(name, bits), images(8, seed=1)
    ours = OnnxExporter().export(network, folder / "fx.onnx", input_shape=SHAPE, calibration=images(64))
    assert ours.route == "fx"
    expected = expect(network.model, images(8), 1)
    export_with_torch(ExportJob(network, folder / "torch.onnx", SHAPE, images(64), expected, "onnxruntime"))
    first, second = run_file(folder / "fx.onnx", inputs), run_file(folder / "torch.onnx", inputs)
    assert np.abs(first - second).max() <= tolerance * second.std()


@pytest.mark.parametrize("name", NETWORKS)
def test_op_emitters_and_torchs_exporter_agree(name: str, tmp_path: Path) -> None:
    check_routes_agree(name, 32, 1e-4, tmp_path)


@pytest.mark.parametrize("name", ["plain", "segmentation"])
def test_integers_of_this_project_and_of_onnxruntime_agree(name: str, tmp_path: Path) -> None:
    check_routes_agree(name, 8, 0.15, tmp_path)


def test_an_exporter_that_loses_a_bias_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv2dOp, "emit", _without_bias(Conv2dOp.emit))
    with pytest.raises((AssertionError, ExportError)):
        check_routes_agree("plain", 8, 0.15, tmp_path)


def _without_bias(emit):  # type: ignore[no-untyped-def]
    def planted(self, graph, call, inputs):  # type: ignore[no-untyped-def]
        name = emit(self, graph, call, inputs)
        del graph._nodes[-1].input[2:]
        return name

    return planted


def fake_quantized(model: nn.Module, calibration: Tensor, inputs: Tensor) -> Tensor:
    """``plain`` in torch's own simulation of u8 activations and 7-bit weights per channel."""

    def rounded(value: Tensor, observed: Tensor) -> Tensor:
        low, high = min(float(observed.min()), 0.0), max(float(observed.max()), 0.0)
        scale = (high - low) / 255
        return torch.fake_quantize_per_tensor_affine(value, scale, round(-low / scale), 0, 255)

    def weighted(layer: nn.Module, low: Tensor, high: Tensor) -> nn.Module:
        weight = layer.weight.detach()
        scale = weight.flatten(1).abs().amax(1) / 64
        zeros = torch.zeros(len(scale), dtype=torch.int32)
        layer.weight.data = torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -64, 64)
        step = scale * (high.clamp(min=0) - low.clamp(max=0)) / 255
        layer.bias.data = torch.round(layer.bias.detach() / step) * step
        return layer

    conv1 = fuse_conv_bn_eval(model.conv1, model.norm1)
    conv2 = fuse_conv_bn_eval(model.conv2, model.norm2)
    seen1 = model.pool(model.activation1(conv1(calibration)))
    before = model.activation1(conv1(calibration))
    seen2 = model.activation2(conv2(seen1))
    seen3 = model.average(seen2)
    conv1 = weighted(conv1, calibration.min(), calibration.max())
    conv2 = weighted(conv2, before.min(), before.max())
    head = weighted(model.head, seen3.min(), seen3.max())
    value = rounded(inputs, calibration)
    value = model.pool(rounded(model.activation1(conv1(value)), before))
    value = rounded(model.activation2(conv2(value)), seen2)
    return head(model.flatten(rounded(model.average(value), seen3)))


def check_integers(folder: Path) -> None:
    calibration, inputs = images(64), images(16, seed=1)
    network = make_network("plain", 8)
    OnnxExporter().export(network, folder / "integers.onnx", input_shape=SHAPE, calibration=calibration)
    with torch.no_grad():
        expected = fake_quantized(network.model, calibration, inputs).numpy()
    found = run_file(folder / "integers.onnx", inputs)
    # Integer and float rounding differ at ties, by one step of 255.
    assert np.abs(found - expected).max() <= 0.02 * expected.std()


def test_integers_compute_what_torchs_simulation_computes(tmp_path: Path) -> None:
    check_integers(tmp_path)


def test_a_zero_point_that_is_off_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = nas.export.shipped.activation_steps

    def off(low: float, high: float, scheme: Scheme) -> Steps:
        steps = planted(low, high, scheme)
        return replace(steps, zero_point=steps.zero_point + 64)

    monkeypatch.setattr(nas.export.shipped, "activation_steps", off)
    with pytest.raises(ExportError, match="rounding explains at most"):
        check_integers(tmp_path)


def test_a_calibration_that_onnxruntime_lacks_needs_an_op_for_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network("plain", 8)
    expected = expect(network.model, images(8), 1)
    job = ExportJob(network, tmp_path / "x.onnx", SHAPE, images(16), expected, "onnxruntime", ("normalize (head)",))
    monkeypatch.setattr(MinMax, "onnxruntime_method", None)
    message = r"'min_max' needs an op .* none for normalize \(head\); choose entropy, percentile"
    with pytest.raises(ExportError, match=message):
        export_with_torch(job)


@pytest.mark.parametrize("runtime", or_skipped(INTEGER_RUNTIMES))
@pytest.mark.parametrize("name", ["plain", "branches"])
def test_integers_are_checked_in_the_runtime_they_are_for(
    exporter: Exporter, name: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each runtime rounds sums and branches at different positions: the check accepts that, and finds a lost bias."""

    def export() -> Artifact:
        network, path = make_network(name, 8), tmp_path / f"integers{exporter.suffix}"
        return exporter.export(network, path, input_shape=SHAPE, calibration=images(64), runtime=runtime)

    assert export().relative_error < 0.5
    monkeypatch.setattr(Conv2dOp, "emit", _without_bias(Conv2dOp.emit))
    with pytest.raises(ExportError, match=f"differs from the network .* in {runtime}"):
        export()


def test_weights_of_all_eight_bits_may_be_asked_for(tmp_path: Path) -> None:
    network = make_network("plain", 8)
    for module in network.model.modules():
        Scheme(full_range=True).annotate(module)
    path = tmp_path / "full.onnx"
    artifact = OnnxExporter().export(network, path, input_shape=SHAPE, calibration=images(16))
    check_artifact(artifact, path)
