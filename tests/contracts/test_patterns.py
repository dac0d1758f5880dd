"""The contract of every registered sparsity pattern."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import nas.sparsity.masked
import nas.sparsity.prunable
from nas.errors import SpaceError
from nas.export.onnx import OnnxExporter
from nas.export.seeding import seed_weights
from nas.space import Network
from nas.space.chooser import RandomChooser
from nas.space.sampling import Searched
from nas.sparsity import ALLOCATIONS, PATTERNS, Pattern
from nas.sparsity.mask import Mask, original
from nas.sparsity.masked import Masked
from nas.sparsity.patterns.nm import NM
from tests.contracts.sparse_networks import SHAPE, TASK, build, dense, prune, searched, weighted

SHAPES = [(8, 16), (10, 7), (6, 5, 3, 3), (16, 32, 1, 1), (5, 1, 3, 3)]


def output(model: nn.Module) -> Tensor:
    inputs = torch.rand(4, *TASK.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.eval()(inputs)  # type: ignore[no-any-return]


def check_structure(name: str, mask: Tensor) -> None:
    """The mask, checked element by element, has the structure that the pattern's name promises."""
    weight = mask.reshape(*mask.shape[:2], -1)
    outputs, inputs, taps = weight.shape
    words = name.split("_")
    if words[0] == "nm":
        n, m, block = int(words[1]), int(words[2]), int(words[4]) if len(words) > 3 else 1
        for first in range(0, outputs, block):
            rows = weight[first : first + block]
            assert (rows == rows[:1]).all()
            for tap in range(taps):
                for start in range(0, inputs, m):
                    size = min(m, inputs - start)
                    assert int(rows[0, start : start + size, tap].sum()) == math.ceil(n * size / m)
    if words[0] == "block":
        block = int(words[1].partition("x")[0])
        for first in range(0, outputs, block):
            assert (weight[first : first + block] == weight[first : first + 1]).all()
    if words[0] == "channels":
        assert (weight == weight[:, :1, :1]).all()


def check_density(pattern: Pattern, name: str) -> None:
    """Each group keeps the requested number within one atom, and never none; the count is known without weights."""
    for shape in SHAPES:
        scores = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        for density in (0.01, 0.3, 0.77) if pattern.own_density is None else (pattern.own_density,):
            mask = pattern.mask(scores, density)
            atoms = sum(pool.shape[0] * pool.shape[2] for pool in pattern.pools(scores))
            assert 0 < int(mask.sum()) == pattern.count(shape, density)
            assert abs(int(mask.sum()) - density * scores.numel()) <= atoms
            check_structure(name, mask)
        assert pattern.mask(scores, 1.0).all()


def check_masked_dense(network: Network) -> None:
    """The network under masks computes what the dense network does with its weights multiplied by the masks."""
    expected = dense()
    for path, module in weighted(network.model).items():
        masks: Any = module.parametrizations["weight"] if parametrize.is_parametrized(module) else []
        product = original(module).clone()
        for mask in masks:
            product *= mask.kept
        with torch.no_grad():
            expected.model.get_submodule(path).weight.copy_(product)  # type: ignore[operator,union-attr]
    assert torch.equal(output(network.model), output(expected.model))
    assert not torch.allclose(output(network.model), output(dense().model))


def check_deployed(network: Network, folder: Path) -> None:
    """With masks applied and channels removed, the file gives the same values and differs in structure from the dense
    file.
    """
    seed_weights(network, SHAPE, "seed")
    before = output(prune(network).model)
    network.finalize()
    assert not any(parametrize.is_parametrized(module) for module in network.model.modules())
    assert torch.allclose(output(network.model), before, atol=1e-5)
    plain = dense()
    seed_weights(plain, SHAPE, "seed")
    files = [
        OnnxExporter().export(item, folder / f"{number}.onnx", input_shape=SHAPE)
        for number, item in enumerate((network, plain))
    ]
    assert files[0].route == "fx"
    assert files[0].structure_hash != files[1].structure_hash
    inputs = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    session = onnxruntime.InferenceSession(str(files[0].path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": inputs})
    expected = network.model(torch.from_numpy(inputs)).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4 * expected.std())


def check_accounting(space: Searched, seed: int) -> None:
    """The density computed from shapes equals the density counted in the finished weights."""
    sampled = space.sample(RandomChooser(seed))
    declared, described = sampled.account(), sampled.describe()
    sampled.finalize()
    assert sampled.account() == declared
    network = space.build(sampled.architecture, seed=0)
    sizes = {path: original(module).numel() for path, module in weighted(network.model).items()}
    network.finalize()
    left = {path: int(module.weight.count_nonzero()) for path, module in weighted(network.model).items()}  # type: ignore[operator,union-attr]
    assert declared["density"] == pytest.approx(sum(left.values()) / sum(sizes.values()))
    assert network.account() == pytest.approx(declared)
    for path, facts in described.items():
        assert facts["realised_density"] == pytest.approx(left[path] / sizes[path]), path
        assert network.describe()[path] == pytest.approx(facts)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_pattern_keeps_what_it_says(name: str) -> None:
    check_density(PATTERNS.get(name), name)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_masked_network_is_the_dense_one_with_masked_weights(name: str) -> None:
    check_masked_dense(prune(build(patterns=[name])))


@pytest.mark.parametrize("name", PATTERNS.names())
def test_a_deployed_network_computes_what_the_masked_one_does(name: str, tmp_path: Path) -> None:
    check_deployed(build(patterns=[name]), tmp_path)


@pytest.mark.parametrize("name", PATTERNS.names())
def test_only_structured_patterns_take_channels_out(name: str) -> None:
    network, plain = build(patterns=[name]), dense()
    network.finalize()
    smaller = [
        len(module.weight) < len(plain.model.get_submodule(path).weight)  # type: ignore[arg-type]
        for path, module in weighted(network.model).items()
    ]
    assert smaller == [PATTERNS.get(name).structure == "structured"] * (len(smaller) - 1) + [False]


MIXED = {
    "scope": "site",
    "patterns": ["unstructured", "channels", "block_4x1", "nm_2_4", "nm_1_8_by_4"],
    "densities": [0.07, 0.2, 0.5, 1.0],
}


@pytest.mark.parametrize("part", range(4))
def test_accounting_of_random_candidates(part: int) -> None:
    scopes = searched(**MIXED), searched(**{**MIXED, "scope": "stage", "allocation": ALLOCATIONS.names()})
    for seed in range(50 * part, 50 * part + 50):
        check_accounting(scopes[seed % 2], seed)


# -- planted mistakes


def test_a_mask_that_is_ignored_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Mask, "forward", lambda self, weight: weight)
    with pytest.raises(AssertionError):
        check_masked_dense(prune(build()))
    with pytest.raises((AssertionError, SpaceError)):
        check_deployed(build(), tmp_path)


def test_a_mask_that_is_taken_off_without_a_trace_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def forgetful(module: nn.Module) -> None:
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=False)

    monkeypatch.setattr(nas.sparsity.masked, "bake_mask", forgetful)
    with pytest.raises((AssertionError, SpaceError)):
        check_accounting(searched(densities=[0.3]), 0)
    with pytest.raises((AssertionError, SpaceError)):
        check_deployed(build(), tmp_path)


def test_a_group_that_is_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = NM.pools
    monkeypatch.setattr(NM, "pools", lambda self, weight: pools(self, weight.roll(1, 1)))
    with pytest.raises(AssertionError):
        check_density(PATTERNS.get("nm_2_4"), "nm_2_4")


def test_a_pattern_count_off_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Pattern.count
    monkeypatch.setattr(Pattern, "count", lambda self, shape, density: count(self, shape, density) - 1)
    with pytest.raises(AssertionError):
        check_accounting(searched(densities=[0.3]), 0)


def test_a_layer_that_reads_other_channels_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Planted: readers keep the channels that precede the kept ones."""
    narrow = Masked._narrow

    def shifted(self: Masked, path: str, outputs: Tensor | None, inputs: Tensor | None) -> None:
        reads_only = inputs is not None and outputs is None
        narrow(self, path, outputs, (inputs - 1).clamp(min=0) if reads_only else inputs)  # type: ignore[operator]

    monkeypatch.setattr(Masked, "_narrow", shifted)
    with pytest.raises((AssertionError, SpaceError)):
        check_deployed(build(patterns=["channels"]), tmp_path)
