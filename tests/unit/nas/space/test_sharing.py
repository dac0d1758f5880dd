"""One parameter is one site, however many names it has."""

from __future__ import annotations

import pytest
from torch import nn

from nas.space import Network
from nas.space.chooser import ReplayChooser
from nas.space.sampling import Searched
from nas.space.site import find_sites
from nas.sparsity.masked import Masked
from nas.tasks import make_task
from search_spaces.module import Module, _warn_once
from tests.contracts.habits import HABITS, IMAGE_SIZE, factory_name

SPARSITY = {"name": "sparsity", "scope": "site", "densities": [0.3, 0.5, 1.0], "schedule": "static_random"}
PRECISION = {"name": "precision", "scope": "site", "options": ["int8", "fp32"], "quantization_aware": 0.0}


def sampled(habit: str, policy: dict[str, object], choices: dict[str, object]) -> Network:
    space = Module(factory_name(habit))
    task = make_task("digits", image_size=IMAGE_SIZE)
    return Searched(space, {"name": "module"}, (policy,), task).sample(ReplayChooser(choices))  # type: ignore[arg-type]


def test_layers_with_one_weight_have_one_active_site() -> None:
    sites = {site.module: site for site in find_sites(HABITS["sharing.TiedModules"](), "weight")}
    assert sites["a"].shared == ("b",)
    assert sites["a"].active
    assert not sites["b"].active


def test_they_have_one_precision() -> None:
    choices = {"precision.stem": "fp32", "precision.a": "int8", "precision.head": "fp32"}
    network = sampled("sharing.TiedModules", PRECISION, choices)
    assert network.bits == {"stem": 32, "a": 8, "b": 8, "head": 32}
    network.finalize()
    assert network.model.a.weight is network.model.b.weight
    shared = 8 * 8 * 9
    assert network.account()["weight_bits"] == pytest.approx((32 * (72 + 80) + 8 * shared) / (72 + 80 + shared))


def test_they_have_one_mask_that_counts_once() -> None:
    choices = {f"sparsity.density.{name}": value for name, value in (("stem", 1.0), ("a", 0.5), ("head", 1.0))}
    network = sampled("sharing.TiedModules", SPARSITY, choices)
    shared = 8 * 8 * 9
    assert network.account()["density"] == pytest.approx((72 + 80 + shared / 2) / (72 + 80 + shared))
    described = network.describe()
    assert described["a"] == described["b"]


def test_a_weight_that_is_read_past_its_layer_keeps_its_bits() -> None:
    network = sampled("sharing.TiedTranspose", PRECISION, {"precision.head": "int8"})
    assert network.bits == {"encoder": 32, "head": 8}


@pytest.mark.parametrize("habit", ["OwnParametrization", "TiedParameterAlias", "WeightStandardization", "WeightNorm"])
def test_a_weight_that_is_computed_or_not_only_a_layers_is_dense_and_said(
    habit: str, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_once.cache_clear()
    space = Module(factory_name(f"sharing.{habit}"))
    model = space.build(ReplayChooser({}), make_task("digits", image_size=IMAGE_SIZE))
    sites = {site.module: site for site in space.sites(model) if site.kind == "weight"}
    assert sites["mix" if "mix" in sites else "second"].dense
    assert not sites["head"].dense
    assert f"{habit}: the weight of" in caplog.text
    assert "stays dense" in caplog.text


def test_masks_are_shared_whatever_the_space_says() -> None:
    from nas.sparsity import PATTERNS
    from nas.sparsity.mask import Mask
    from nas.sparsity.masked import Choice

    model: nn.Module = HABITS["sharing.TiedModules"]()
    masked = Masked.of(model, 0)
    for path in ("a", "b"):
        masked.mask_weight(path, Choice("unstructured", PATTERNS.get("unstructured"), 0.5), Mask, last=False)
    assert len(masked.parts) == 1
