from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from nas.errors import PlanError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.graph.identity import count_macs, trace
from nas.layers.dilated_reparam import DilatedReparam
from nas.layers.global_response_norm import GlobalResponseNorm
from nas.layers.ls_conv import LSConv
from nas.layers.spartan import SpartanBlock
from nas.space import Architecture
from nas.space.chooser import FixedVectorChooser, RandomChooser, ReplayChooser
from nas.space.sampling import Searched
from nas.tasks.classification import Classification
from search_spaces.large_kernel import KERNELS, LARGE, PUBLISHED, LargeKernel, UniRepLKNetBlock


class Images(Classification):
    """A task's shapes without its data."""

    def __init__(self, size: int, channels: int = 3, num_outputs: int = 10) -> None:
        self.input_shape = (channels, size, size)
        self.num_outputs = num_outputs

    def dataset(self, split, *, augment=False):
        raise AssertionError("a space reads no data")

    def fingerprint(self) -> str:
        return "none"


def searched(size: int, preset: str = "small", kernels: Sequence[int] | None = None, num_outputs: int = 10) -> Searched:
    spec = {"name": "large_kernel", "preset": preset, "kernels": kernels}
    return Searched(LargeKernel(preset, kernels), spec, (), Images(size, num_outputs=num_outputs))


def published(name: str) -> nn.Module:
    """A published network on the meta device."""
    chooser = ReplayChooser(PUBLISHED[name])
    with torch.device("meta"):
        model = LargeKernel("paper").build(chooser, Images(224, num_outputs=1000))
    chooser.finish()
    return model


#: Name → width of the first stage, units per stage, 3×3 blocks per unit of the third stage; published millions of
#: parameters.
PAPER = {
    "A": (40, (2, 2, 6, 2), 0, 4.4),
    "F": (48, (2, 2, 6, 2), 0, 6.2),
    "P": (64, (2, 2, 6, 2), 0, 10.7),
    "N": (80, (2, 2, 8, 2), 0, 18.3),
    "T": (80, (3, 3, 9, 3), 1, 31.0),
    "S": (96, (3, 3, 9, 3), 2, 55.6),
}
#: Number of taps in all branches of a 13×13 kernel, and number of branches.
TAPS_13, BRANCHES_13 = 13 * 13 + 5 * 5 + 7 * 7 + 3 * 3 * 3, 6


def by_hand(name: str, *, deployed: bool) -> int:
    """Parameters by the official definition: as trained, or with batch norms, scales and branches merged."""
    base, units, small, _ = PAPER[name]
    dims = [base << index for index in range(4)]
    half = base // 2
    total = 27 * half + half + 2 * half + 9 * half * base + base + 2 * base
    total += sum(9 * inputs * outputs + 3 * outputs for inputs, outputs in itertools.pairwise(dims))
    for index, (dim, count) in enumerate(zip(dims, units, strict=True)):
        kernels = ([13] if index else [3]) * count + [3] * (small * count if index == 2 else 0)
        total += sum(_block(dim, kernel, deployed=deployed) for kernel in kernels)
    return total + 2 * dims[-1] + 1000 * dims[-1] + 1000


def _block(dim: int, kernel: int, *, deployed: bool) -> int:
    squeeze = 2 * dim * (dim // 4) + dim // 4 + dim
    feed_forward = 2 * 4 * dim * dim + 4 * dim
    if deployed:
        return kernel**2 * dim + dim + squeeze + feed_forward + 4 * dim + dim
    mixer = 9 * dim if kernel == 3 else (TAPS_13 + 2 * BRANCHES_13) * dim
    return mixer + 2 * dim + squeeze + feed_forward + 2 * 4 * dim + 2 * dim + dim


@pytest.mark.parametrize("name", PAPER)
def test_published_networks_have_the_official_definitions_parameters(name: str) -> None:
    model = published(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == by_hand(name, deployed=False)
    # The published numbers describe the deployed form and are truncated, not rounded.
    assert by_hand(name, deployed=True) / 1e6 == pytest.approx(PAPER[name][3], abs=0.1)


def test_the_file_of_a_published_network_has_everything_merged(tmp_path: Path) -> None:
    space = searched(224, "paper", num_outputs=1000)
    network = space.build(Architecture(space.space_spec, (), PUBLISHED["A"]), seed=0)
    seed_weights(network, (1, 3, 224, 224), "seed")
    generator = torch.Generator().manual_seed(0)
    for parameter in network.model.parameters():
        # Equal constants would be stored only once.
        parameter.data *= 1 + 0.1 * torch.rand(parameter.shape, generator=generator)
        parameter.data += 1e-3 * torch.rand(parameter.shape, generator=generator)
    path = tmp_path / "x.onnx"
    OnnxExporter().export(network, path, input_shape=(1, 3, 224, 224))
    model = onnx.load(str(path))
    floats = [math.prod(item.dims) for item in model.graph.initializer if item.data_type == onnx.TensorProto.FLOAT]
    # Scalars belong to GELU and norms.
    assert sum(size for size in floats if size > 1) == by_hand("A", deployed=True)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_published_networks_cost_what_is_published() -> None:
    assert count_macs(published("A"), (1, 3, 224, 224)) / 1e9 == pytest.approx(0.6, abs=0.05)
    assert count_macs(published("T"), (1, 3, 224, 224)) / 1e9 == pytest.approx(4.9, abs=0.05)


def blocks_of(model: nn.Module, stage: str) -> list[nn.Module]:
    kinds = (UniRepLKNetBlock, SpartanBlock)
    return [module for module in model.get_submodule(stage).modules() if isinstance(module, kinds)]


def kernel_of(block: nn.Module) -> int:
    """Kernel size of its depthwise convolution or its LS convolution's perception; 3 for SpaRTAN, 0 for neither."""
    if isinstance(block, SpartanBlock):
        return 3
    if isinstance(block.ls_conv, LSConv):
        return block.ls_conv.perception[3].kernel_size[0]
    conv = block.depthwise[0]
    if isinstance(conv, DilatedReparam):
        return conv.kernel
    return conv.kernel_size[0] if isinstance(conv, nn.Conv2d) else 0


@pytest.mark.parametrize(("size", "preset"), [(8, "small"), (16, "small"), (64, "small"), (224, "paper")])
def test_sampled_networks_keep_the_rules(size: int, preset: str) -> None:
    space = searched(size, preset)
    for seed in range(6):
        sampled = space.sample(RandomChooser(seed))
        model, choices = sampled.model, sampled.architecture.choices
        for number in range(1, len(space.space.preset.stages) + 1):
            name = f"stage{number}"
            blocks = blocks_of(model, name)
            kernels = [kernel_of(block) for block in blocks]
            # Large kernels occur in middle and late stages only.
            assert number > 1 or max(kernels) < LARGE
            # Every large kernel has dilated branches during training.
            modules = dict(model.get_submodule(name).named_modules())
            merged = tuple(f"{path}." for path, module in modules.items() if isinstance(module, DilatedReparam))
            for path, module in modules.items():
                if is_depthwise(module) and module.kernel_size[0] >= LARGE:
                    assert path.startswith(merged) or ".perception." in path
            # The 3×3 blocks add depth: only the first block of a unit chooses its mixer.
            per_unit = 1 + choices.get(f"{name}.small_blocks", 0)
            assert len(blocks) == per_unit * choices.get(f"{name}.units", 1)
            assert {kernel for index, kernel in enumerate(kernels) if index % per_unit} <= {3}
            # Squeeze-and-excitation is present where it was chosen.
            gates = {not isinstance(block.se, nn.Identity) for block in blocks if isinstance(block, UniRepLKNetBlock)}
            assert gates <= {choices.get(f"{name}.se")}


def is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels


@pytest.mark.parametrize(("size", "preset"), [(8, "small"), (16, "small"), (32, "small"), (224, "paper")])
def test_every_tap_offered_can_touch_the_map(size: int, preset: str) -> None:
    space = searched(size, preset)
    chooser = RandomChooser(0)
    network = space.sample(chooser)
    graph = trace(network.model, (1, 3, size, size))
    for node in graph.nodes:
        kernel = getattr(node.call.module, "kernel", 0)
        if isinstance(kernel, int) and kernel:
            assert kernel <= 2 * min(node.call.output_shape[2:]) - 1
    for question in chooser.questions.values():
        if question.name.endswith(".kernel"):
            assert set(question.options) <= set(KERNELS)


def test_kernels_that_fit_nowhere_are_refused_with_what_fits() -> None:
    with pytest.raises(PlanError, match=r"kernels \[63\] on maps of at most 8 pixels.*up to 15"):
        searched(16, kernels=[3, 63]).sample(RandomChooser(0))
    searched(512, "paper", kernels=[3, 63]).sample(RandomChooser(0))


@pytest.mark.parametrize("kernels", [[], [4], [7, 7], [1], [True], [-3]])
def test_kernels_that_are_none_are_refused(kernels: list[int]) -> None:
    with pytest.raises(PlanError, match="allowed: distinct odd numbers"):
        LargeKernel(kernels=kernels)


@pytest.mark.parametrize("mixers", [[], ["depthwise", "depthwise"], ["attention"]])
def test_mixers_that_are_none_are_refused(mixers: list[str]) -> None:
    with pytest.raises(PlanError, match="allowed: distinct ones of depthwise, ls_conv, spartan"):
        LargeKernel(mixers=mixers)


@pytest.mark.parametrize(
    ("mixers", "asked"),
    [(["depthwise"], {"kernel"}), (["spartan", "ls_conv"], {"mixer", "perception", "dilation"})],
)
def test_only_the_mixers_of_a_choice_are_asked_for(mixers: list[str], asked: set[str]) -> None:
    chooser = RandomChooser(0)
    model = LargeKernel(mixers=mixers).build(chooser, Images(32))
    of_units = [name for name in chooser.questions if name.startswith(("stage2.unit1.", "stage3.unit1."))]
    assert {name.rpartition(".")[2] for name in of_units} == asked
    others = tuple({"ls_conv": LSConv, "spartan": SpartanBlock}[mixer] for mixer in {"ls_conv", "spartan"} - {*mixers})
    assert not any(isinstance(module, others) for module in model.modules())


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(PlanError, match=r"'huge'; allowed: small, paper"):
        LargeKernel("huge")


def test_policies_see_the_same_sites_whatever_is_chosen() -> None:
    space = searched(16)
    seen = set()
    for seed in range(12):
        sites = space.space.sites(space.sample(RandomChooser(seed)).model)
        seen.add(tuple((site.kind, site.module, site.dense) for site in sites))
        pruned = [site for site in sites if site.kind == "weight" and not site.dense]
        assert all(site.shape[2:] == (1, 1) for site in pruned)
    assert len(seen) == 1


def field_of_view(answers: dict[str, object]) -> float:
    """Mean distance, in pixels, of the pixels that the centre of the untrained second stage depends on."""
    space = searched(256, "paper", kernels=(3, 7, 13))
    network = space.build(space.sample(FixedVectorChooser(answers)).architecture, seed=0)
    seed_weights(network, (1, 3, 256, 256), "seed")
    for module in network.model.modules():
        if isinstance(module, GlobalResponseNorm):
            # An initialised network looks at the whole map, whatever the kernels.
            nn.init.zeros_(module.weight)
    inputs = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)).requires_grad_()
    features = nn.Sequential(*list(network.model.children())[:2])(inputs)
    centre = features.shape[-1] // 2
    features[:, :, centre, centre].sum().backward()
    assert inputs.grad is not None
    return _mean_distance(inputs.grad.abs().sum((0, 1)))


def _mean_distance(weights: Tensor) -> float:
    weights = weights / weights.sum()
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in weights.shape)
    middle = ((weights.sum(1) * rows).sum(), (weights.sum(0) * columns).sum())
    squares = (rows[:, None] - middle[0]) ** 2 + (columns[None] - middle[1]) ** 2
    return math.sqrt(float((weights * squares).sum()))


def test_the_receptive_field_grows_with_the_kernel_more_than_with_depth() -> None:
    fields = [field_of_view({"stage2.unit1.kernel": kernel}) for kernel in (3, 7, 13)]
    deeper = field_of_view({"stage2.units": 3, **{f"stage2.unit{unit}.kernel": 3 for unit in (1, 2, 3)}})
    assert fields[0] * 1.1 < fields[1]
    assert fields[1] * 1.1 < fields[2]
    assert deeper < fields[2]
