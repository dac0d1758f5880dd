"""Sparse, then quantized, under any policies: patterns persist, phases resume, packed sizes are exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from nas.errors import PlanError
from nas.estimators.distillation import Distillation, feature_loss, layer_errors, soft_loss
from nas.estimators.sparse_then_quantize import SparseThenQuantize
from nas.export.onnx import OnnxExporter
from nas.space import Network
from nas.space.chooser import PositionChooser, RandomChooser
from nas.space.sampling import Searched
from nas.sparsity import PATTERNS
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet

TASK = make_task("digits", image_size=8)
SHAPE = (1, *TASK.input_shape)
TWO_OF_FOUR = {
    "name": "sparsity",
    "patterns": ["nm_2_4"],
    "densities": [0.5],
    "schedule": {"name": "one_shot", "at": 0.0},
}
ROUNDED = {"name": "precision", "options": ["int8"], "quantization_aware": 0.0}


def new_network(*policies: dict[str, Any], position: float = 0.5) -> Network:
    space = Searched(PlainConvNet(), {"name": "plain_convnet"}, policies or (ROUNDED, TWO_OF_FOUR), TASK)
    return space.build(space.sample(PositionChooser(position)).architecture, 0)


def estimator(**parameters: Any) -> SparseThenQuantize:
    short = {"dense_epochs": 1, "sparse_epochs": 1, "quantized_epochs": 1}
    return SparseThenQuantize(**{**short, "training": {"batch_size": 128, "checkpoint_steps": 3}, **parameters})


def layers(network: Network) -> dict[str, nn.Module]:
    return {path: network.model.get_submodule(path) for path in network.bits}


def pruned(network: Network) -> list[str]:
    """Layers that the policy prunes; it skips layers that the pattern can't act on."""
    return [path for path, facts in network.describe().items() if facts["pattern"] == "nm_2_4"]


def sparse_weights(network: Network) -> list[Tensor]:
    return [layers(network)[path].weight.detach() for path in pruned(network)]  # type: ignore[operator, union-attr]


def is_two_of_four(weight: Tensor) -> bool:
    """At most two of every four inputs are non-zero at each position of the kernel; incomplete groups do not count."""
    full = weight.shape[1] // 4 * 4
    groups = weight[:, :full].flatten(2) if weight.dim() > 2 else weight[:, :full].unsqueeze(2)
    kept = (groups != 0).unflatten(1, (-1, 4)).sum(2)
    return bool((kept <= 2).all()) and bool(kept.any())


def test_two_of_four_hold_before_and_after_quantization(tmp_path: Path) -> None:
    """The pattern holds in the masks of the sparse phase, in training under rounding, in the finished network and in
    its integers.
    """
    network = new_network()
    before: list[Tensor] = []
    for epoch in estimator(sparse_epochs=2).fit(network, TASK, seed=0):
        weights = sparse_weights(network)
        if epoch.epoch >= 1:
            assert all(is_two_of_four(weight) for weight in weights)
        else:
            assert not any(is_two_of_four(weight) for weight in weights), "the dense phase is dense"
        if epoch.epoch == 2:
            before = [weight != 0 for weight in weights]
    # Rounding adds zeros and removes none.
    assert all(not ((weight != 0) & ~mask).any() for weight, mask in zip(sparse_weights(network), before, strict=True))
    network.finalize()
    assert all(is_two_of_four(weight) for weight in sparse_weights(network))
    data = TASK.dataset("train")
    calibration = torch.stack([data[index][0] for index in range(64)])
    # The exporter compares the file with the fake-quantized network and refuses it if they differ.
    OnnxExporter().export(network, tmp_path / "x.onnx", input_shape=SHAPE, calibration=calibration)
    constants = {item.name: item for item in onnx.load(str(tmp_path / "x.onnx")).graph.initializer}
    for path in pruned(network):
        integers = torch.tensor(onnx.numpy_helper.to_array(constants[f"{path}/integers"]))
        assert integers.dtype == torch.int8
        assert is_two_of_four(integers)


def test_a_mask_that_is_lost_is_found() -> None:
    network = new_network()
    list(estimator().fit(network, TASK, seed=0))
    weights = sparse_weights(network)
    weights[0] = weights[0] + 0.1
    assert not all(is_two_of_four(weight) for weight in weights)


@pytest.mark.parametrize("bits", ["int8", "int4", "fp16"])
def test_weight_bits_equal_their_packed_size(bits: str) -> None:
    """Values at their bits plus 2 index bits each, counted one by one in the finished weights."""
    network = new_network(TWO_OF_FOUR, {"name": "precision", "options": [bits]})
    declared = network.account()["weight_bytes"]
    network.finalize()
    assert network.account()["weight_bytes"] == declared
    counted = 0
    for path, module in layers(network).items():
        weight, width = module.weight, network.bits[path]  # type: ignore[union-attr]
        assert isinstance(weight, Tensor)
        sparse = network.describe()[path]["pattern"] == "nm_2_4"
        counted += int(weight.count_nonzero()) * (width + 2) if sparse else weight.numel() * width
    assert declared == counted / 8
    plain = new_network({"name": "precision", "options": [bits]})
    assert plain.account()["weight_bytes"] == sum(m.weight.numel() for m in layers(plain).values()) * width / 8  # type: ignore[operator, union-attr]


def test_packed_bits_of_full_2_4_groups() -> None:
    from nas.sparsity.packed import packed_bits

    layer: Any = nn.Conv2d(16, 8, 3)
    layer.policy_annotations = {"sparsity": {"pattern": "nm_2_4"}}
    assert packed_bits(layer, (8, 16, 3, 3), 8) == 8 * 16 * 9 * (8 // 2 + 1)
    layer.policy_annotations = {"sparsity": {"pattern": "nm_2_4_by_4"}}
    assert packed_bits(layer, (8, 16, 3, 3), 8) == 8 * 16 * 9 * 8 // 2 + 8 * 16 * 9 // 4
    layer.policy_annotations = {"sparsity": {"pattern": "unstructured"}}
    assert packed_bits(layer, (8, 16, 3, 3), 8) == 8 * 16 * 9 * 8


def states(network: Network) -> dict[str, Tensor]:
    return dict(network.model.state_dict())


@pytest.mark.parametrize("stop_after", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_phase_resumes(stop_after: int, tmp_path: Path) -> None:
    whole, first, continued = new_network(), new_network(), new_network()
    list(estimator().fit(whole, TASK, seed=3))
    run = estimator().fit(first, TASK, seed=3, checkpoint=tmp_path)
    for _ in range(stop_after):
        next(run)
    run.close()
    assert [epoch.epoch for epoch in estimator().fit(continued, TASK, seed=3, checkpoint=tmp_path)] == [0, 1, 2]
    expected, found = states(whole), states(continued)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_phase_interrupted_within_an_epoch_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, first, continued = new_network(), new_network(), new_network()
    list(estimator().fit(whole, TASK, seed=3))
    calls = 0
    original = Distillation.__call__

    def dying(self: Distillation, *arguments: Any) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 13:  # 8 steps a phase: this is the fifth step of the last phase
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Distillation, "__call__", dying)
    with pytest.raises(KeyboardInterrupt):
        list(estimator().fit(first, TASK, seed=3, checkpoint=tmp_path))
    assert (tmp_path / "quantized" / "training.json").exists()
    list(estimator().fit(continued, TASK, seed=3, checkpoint=tmp_path))
    expected, found = states(whole), states(continued)
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_policies_see_their_own_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    network = new_network()
    seen: dict[str, list[tuple[int, int]]] = {"weights": [], "precision": []}
    for policy in network.policies:
        steps = seen[next(iter(policy.claims))]
        monkeypatch.setattr(policy, "on_step", lambda _, step, total, steps=steps: steps.append((step, total)))
    list(estimator(sparse_epochs=2).fit(network, TASK, seed=0))
    assert seen["weights"] == [(step, 16) for step in range(17)]
    assert seen["precision"] == [(step, 8) for step in range(8)]


@pytest.mark.parametrize(
    "schedule",
    [
        {"name": "one_shot", "at": 1.0},
        {"name": "gradual", "end": 1.0, "every": 2},
        {"name": "lottery_ticket", "rounds": 1},
        "static_random",
        {"name": "prune_and_grow", "every": 2},
    ],
)
def test_every_schedule_ends_before_rounding_starts(schedule: Any) -> None:
    network = new_network({"name": "sparsity", "densities": [0.25], "schedule": schedule}, ROUNDED)
    epochs = estimator(quantized_epochs=2).fit(network, TASK, seed=0)
    next(epochs), next(epochs), next(epochs)
    masks = kept(network)
    list(epochs)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(masks, kept(network), strict=True))
    network.finalize()
    # Rounding made some kept weights zero; the unrounded weights are non-zero.
    assert network.account()["density"] == pytest.approx(0.25, abs=0.02)


def kept(network: Network) -> list[Tensor]:
    return [module.kept.clone() for module in network.model.modules() if hasattr(module, "kept")]


def test_it_learns_and_the_teacher_is_the_dense_network() -> None:
    network = new_network(position=0.6)
    curve = list(estimator(dense_epochs=4, sparse_epochs=2, quantized_epochs=1).fit(network, TASK, seed=0))
    scores = [epoch.values["accuracy"] for epoch in curve]
    assert scores[3] > 0.7
    assert scores[-1] > scores[3] - 0.05


def test_soft_loss_is_torchs_divergence() -> None:
    outputs, answers = torch.randn(6, 10), torch.randn(6, 10)
    expected = F.kl_div(
        F.log_softmax(outputs / 3, 1), F.log_softmax(answers / 3, 1), reduction="batchmean", log_target=True
    )
    assert soft_loss(outputs, answers, 3.0) == pytest.approx(float(9 * expected), rel=1e-4)
    assert float(soft_loss(answers, answers, 3.0)) == pytest.approx(0.0, abs=1e-6)


def test_layers_that_change_more_weigh_more() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))

    class Half(nn.Module):
        def __init__(self, kept: float) -> None:
            super().__init__()
            self.kept = kept

        def forward(self, weight: Tensor) -> Tensor:
            return weight * self.kept

    parametrize.register_parametrization(model[1], "weight", Half(0.9))
    parametrize.register_parametrization(model[2], "weight", Half(0.5))
    errors = layer_errors(model, ["0", "1", "2"])
    assert errors.tolist() == pytest.approx([0.0, 0.1, 0.5], abs=1e-6)
    ones, zeros = [torch.ones(2, 3)] * 3, [torch.zeros(2, 3)] * 3
    assert float(feature_loss(zeros, ones, errors)) == pytest.approx(1.0)
    mixed = [torch.ones(2, 3), torch.ones(2, 3), torch.zeros(2, 3)]
    assert float(feature_loss(mixed, ones, errors)) == pytest.approx(0.5 / 0.6)
    assert float(feature_loss(mixed, ones, torch.zeros(3))) == pytest.approx(1 / 3)


def test_without_labels_targets_have_no_effect() -> None:
    network, teacher = new_network(), new_network()
    settings = {"temperature": 2.0, "soft": 1.0, "features": 1.0}
    inputs, targets = torch.rand(8, *SHAPE[1:]), torch.zeros(8, dtype=torch.long)
    network.model.eval()
    loss = Distillation(TASK, teacher.model, hard=0.0, **settings)
    assert loss(network.model, inputs, targets, 0.0) == loss(network.model, inputs, targets + 1, 0.0)
    loss = Distillation(TASK, teacher.model, hard=1.0, **settings)
    assert loss(network.model, inputs, targets, 0.0) != loss(network.model, inputs, targets + 1, 0.0)
    assert not any(module._forward_hooks for module in network.model.modules())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"training": {"epochs": 3}}, "dense_epochs"),
        ({"training": {"optimiser": "sgd"}}, "optimizer"),
        ({"dense_epochs": 0}, "epochs"),
        ({"temperature": 0.0}, "temperature"),
        ({"soft_weight": -1.0}, "soft_weight"),
        ({"hard_weight": 0, "soft_weight": 0, "feature_weight": 0}, "all 0"),
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        SparseThenQuantize(**parameters)


def test_other_networks_of_the_space_can_be_trained() -> None:
    policies = ({"name": "sparsity", "patterns": list(PATTERNS.names())[:3], "scope": "stage"}, {"name": "precision"})
    space = Searched(PlainConvNet(), {"name": "plain_convnet"}, policies, TASK)
    network = space.build(space.sample(RandomChooser(1)).architecture, 0)
    assert len(list(estimator().fit(network, TASK, seed=0))) == 3
