from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import PlanError
from nas.graph.identity import count_parameters, graph_identity, trace
from nas.layers.sparse import SparseConv2d, num_kept
from nas.layers.ulsam import Ulsam
from nas.space import Site
from nas.space.chooser import FixedVectorChooser, RandomChooser, ReplayChooser
from nas.space.sampling import Searched
from nas.tasks.classification import Classification
from search_spaces.sparse_convnet import PUBLISHED, SparseConvNet

SHAPE = (1, 3, 16, 16)
PLACES = [f"stage{stage}.block{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
#: A network that uses every part: two residual blocks per stage, with squeeze-and-excitation and attention.
FULL = {
    **{f"stage{stage}.{what}": value for stage in (1, 2, 3) for what, value in (("depth", 3), ("ulsam", 4))},
    "stage1.depth": 2,
    **{f"{place}.{what}": value for place in PLACES for what, value in (("expansion", 2), ("se", True))},
}


class Images(Classification):
    """A task's shapes without its data."""

    def __init__(self, size: int, classes: int = 10, channels: int = 3) -> None:
        self.input_shape = (channels, size, size)
        self.num_outputs = classes

    def dataset(self, split, *, augment=False):
        raise AssertionError("a space reads no data")

    def fingerprint(self) -> str:
        return "none"


def searched(size: int = 16, classes: int = 10, channels: int = 3, **parameters: Any) -> Searched:
    spec = {"name": "sparse_convnet", **parameters}
    return Searched(SparseConvNet(**parameters), spec, (), Images(size, classes, channels))


def build(answers: Mapping[str, Any], **parameters: Any) -> torch.nn.Module:
    space = searched(**parameters)
    return space.build(space.sample(FixedVectorChooser(answers)).architecture, seed=0).model


@pytest.mark.parametrize("parameters", list(PUBLISHED))
def test_published_parameter_counts(parameters: int) -> None:
    chooser = ReplayChooser(PUBLISHED[parameters])
    network = searched(224, classes=1000, preset="mobile").sample(chooser)
    chooser.finish()
    assert count_parameters(network.model) == parameters
    graph = trace(network.model, (1, 3, 224, 224))
    assert graph.nodes[graph.outputs[0]].call.output_shape == (1, 1000)
    last = next(node for node in graph.nodes if node.path == "last.conv")
    assert last.call.output_shape == (1, 1280, 7, 7)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([8, 9, 16, 31, 32]),
    preset=st.sampled_from(["small", "wide", "mobile"]),
    kept=st.sampled_from([(1.0,), (0.1, 0.5, 1.0)]),
)
def test_every_candidate_runs_and_is_written_from_its_graph(
    seed: int, size: int, preset: str, kept: tuple[float, ...]
) -> None:
    space = searched(size, channels=1, preset=preset, kept=kept)
    graph = trace(space.sample(RandomChooser(seed)).model, (2, 1, size, size))
    assert graph.uncovered == []
    assert graph.nodes[graph.outputs[0]].call.output_shape == (2, 10)
    maps = [node.call.output_shape[2:] for node in graph.nodes if node.path.startswith(("stage", "last"))]
    assert min(min(pixels) for pixels in maps if pixels not in ((), (1, 1))) >= 2


def weights(sites: list[Site]) -> dict[str, bool]:
    return {site.module: site.dense for site in sites if site.kind == "weight" and site.active}


def test_sparsity_may_act_on_pointwise_convolutions_alone() -> None:
    model = build(FULL)
    dense = weights(SparseConvNet().sites(model))
    modules = dict(model.named_modules())
    pointwise = {path for path in dense if path.split(".")[-2:-1] in (["expand"], ["project"])} | {"last.conv"}
    assert {path for path, value in dense.items() if not value} == pointwise
    assert all(modules[path].kernel_size == (1, 1) and modules[path].groups == 1 for path in pointwise)
    assert {"stem.conv", "head.3", "stage2.block1.depthwise.conv", "stage2.block1.se.fc1"} < dense.keys()


def test_layers_with_masks_of_their_own_take_no_second_one() -> None:
    space = SparseConvNet(kept=(0.2, 1.0))
    for answer in (0.2, 1.0):
        kept = {f"{name}.kept": answer for name in ("stage1", "stage2", "stage3", "last")}
        sites = space.sites(build({**FULL, **kept}, kept=(0.2, 1.0)))
        assert all(weights(sites).values())


def test_kept_decides_the_non_zeros_of_pointwise_convolutions() -> None:
    kept = {"stage1.kept": 0.1, "stage2.kept": 0.5, "stage3.kept": 1.0, "last.kept": 0.1}
    model = build({**FULL, **kept}, kept=(0.1, 0.5, 1.0))
    masked = {path: module for path, module in model.named_modules() if isinstance(module, SparseConv2d)}
    assert {path.split(".")[0] for path in masked} == {"stage1", "stage2", "last"}
    assert len(masked) == (2 + 3) * 2 + 1
    for path, module in masked.items():
        expected = num_kept(kept[f"{path.split('.')[0]}.kept"], module.weight.numel())
        assert int(module.masked_weight.count_nonzero()) == expected
        # Scores follow the initial weights.
        assert torch.equal(module.scores.abs().argmax(), module.weight.abs().argmax())


def test_everything_kept_is_the_network_without_masks() -> None:
    everything = build({**FULL, "stage1.kept": 1.0}, kept=(1.0,))
    chosen = build({**FULL, **{f"{n}.kept": 1.0 for n in ("stage1", "stage2", "stage3", "last")}}, kept=(0.1, 1.0))
    assert graph_identity(everything, SHAPE, {}) == graph_identity(chosen, SHAPE, {})


def test_fractions_are_asked_only_where_there_are_several() -> None:
    for kept, asked in (((1.0,), 0), ((0.2,), 0), ((0.2, 1.0), 4)):
        chooser = RandomChooser(0)
        searched(kept=kept).sample(chooser)
        assert sum(name.endswith(".kept") for name in chooser.questions) == asked


def test_attention_stands_behind_its_stage_and_fits_it() -> None:
    model = build({**FULL, "stage1.ulsam": 16, "stage1.width": 8, "stage2.ulsam": 0})
    groups = {path: module.groups for path, module in model.named_modules() if isinstance(module, Ulsam)}
    assert groups == {"stage1.ulsam": 8, "stage3.ulsam": 4}


def test_a_layout_matters_from_two_residual_blocks_on() -> None:
    for depth, active in ((2, False), (3, True)):
        chooser = FixedVectorChooser({**FULL, "stage2.depth": depth, "stage2.layout": "parallel"})
        searched().sample(chooser)
        assert chooser.questions["stage2.layout"].active is active
    serial, parallel = (build({**FULL, "stage2.layout": layout}) for layout in ("serial", "parallel"))
    assert serial.state_dict().keys() == parallel.state_dict().keys()
    assert graph_identity(serial, SHAPE, {}) != graph_identity(parallel, SHAPE, {})


def test_a_skipped_slot_keeps_the_other_slots_keys() -> None:
    long, short = build(FULL).state_dict(), build({**FULL, "stage2.depth": 2}).state_dict()
    assert set(short) < set(long)
    assert all(key.startswith("stage2.residual.block3.") for key in set(long) - set(short))


def test_kernels_that_could_only_touch_padding_are_one_network() -> None:
    # The last map has 2×2 pixels: taps beyond 3×3 see only padding.
    answers = [{**FULL, "stage3.block2.kernel": kernel} for kernel in (3, 5)]
    assert len({graph_identity(build(item), SHAPE, {}) for item in answers}) == 1
    assert len({graph_identity(build(item, size=64), (1, 3, 64, 64), {}) for item in answers}) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "huge"}, r"'huge'; allowed: small, wide, mobile"),
        ({"kept": []}, r"kept \[\]; allowed: distinct fractions above 0, up to 1"),
        ({"kept": [0.5, 0.5]}, "allowed: distinct fractions"),
        ({"kept": [0.0, 1.0]}, "above 0"),
    ],
)
def test_wrong_parameters_are_refused_with_what_is_allowed(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        SparseConvNet(**parameters)
