"""Questions, annotations and errors of the policy."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from nas.errors import NasError, PlanError, UnknownNameError
from nas.space import POLICIES, Question
from nas.space.chooser import PositionChooser, RandomChooser
from nas.space.sampling import Searched
from nas.space.site import Site
from nas.sparsity.policy import Sparsity
from nas.tasks import make_task
from search_spaces.plain_convnet import PlainConvNet
from search_spaces.sparse_convnet import SparseConvNet

TASK = make_task("digits", image_size=8)
SITES = [Site("weight", "stem.a", (8, 8)), Site("weight", "body.b", (8, 8), active=False)]


def questions(chooser: Any, **parameters: Any) -> dict[str, Question]:
    Sparsity(**parameters).ask(chooser, [*SITES, Site("weight", "body.c", (8, 8), dense=True)])
    return {name: question for name, question in chooser.questions.items()}


def test_choices_with_one_option_are_not_asked() -> None:
    assert questions(PositionChooser(0), densities=[0.5]) == {}
    asked = questions(PositionChooser(0), densities=[0.5, 0.1, 1.0])
    assert asked["sparsity.density"].options == (0.1, 0.5, 1.0)
    assert asked["sparsity.density"].ordered


def test_questions_without_effect_are_inactive() -> None:
    several = {"patterns": ["unstructured", "nm_2_4"], "densities": [0.5, 1.0], "allocation": ["uniform", "erk"]}
    sparse = questions(PositionChooser(0), **several)
    assert all(question.active for question in sparse.values())
    dense = questions(PositionChooser(1), **several)
    assert [name for name, question in dense.items() if question.active] == ["sparsity.density"]
    own = questions(PositionChooser(0), **{**several, "patterns": ["nm_2_4", "unstructured"]})
    assert not own["sparsity.allocation"].active
    alone = questions(PositionChooser(0), **several, scope="site")
    assert not alone["sparsity.allocation.stem.a"].active
    assert not alone["sparsity.density.body.b"].active
    assert "sparsity.density.body.c" not in alone


def test_what_is_chosen_is_noted_and_described() -> None:
    spec = {"name": "sparsity", "patterns": ["nm_1_4"], "densities": [0.5], "schedule": {"name": "one_shot", "at": 1}}
    network = Searched(PlainConvNet(), {"name": "plain_convnet"}, (spec,), TASK).sample(PositionChooser(0.4))
    head = network.model.get_submodule("head.3")
    assert head.policy_annotations["sparsity"] == {  # type: ignore[index,union-attr]
        "pattern": "nm_1_4",
        "density": 0.25,
        "schedule": spec["schedule"],
        "seed": 0,
    }
    facts = network.describe()
    assert facts["head.3"]["pattern"] == "nm_1_4"
    assert facts["head.3"]["sparsity"] == pytest.approx(1 - float(facts["head.3"]["realised_density"]))
    # With one grey input channel there is nothing to choose among.
    assert facts["stage1.conv1.conv"] == {"pattern": "dense", "density": 1.0, "realised_density": 1.0, "sparsity": 0.0}


def test_equal_networks_of_different_choices_have_one_identity() -> None:
    """An N:M pattern has a density of its own, so the densities 0.25 and 0.5 give the same candidate."""
    from nas.graph.identity import graph_identity

    def identity(density: float) -> str:
        spec = {"name": "sparsity", "patterns": ["nm_2_4"], "densities": [density]}
        network = Searched(PlainConvNet(), {"name": "plain_convnet"}, (spec,), TASK).sample(RandomChooser(1))
        return graph_identity(network.model, (1, *TASK.input_shape), {})

    assert identity(0.25) == identity(0.5) != identity(1.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"densities": [0, 0.5]}, "density 0 is a kept fraction, above 0"),
        ({"densities": [1.5]}, "up to 1"),
        ({"densities": [True]}, "kept fraction"),
        ({"densities": []}, "densities is empty"),
        ({"patterns": ["unstructred"]}, "did you mean 'unstructured'"),
        ({"patterns": []}, "at least one"),
        ({"patterns": ["nm_2_4", "nm_2_4"]}, "none of them twice"),
        ({"allocation": "erkk"}, "did you mean 'erk'"),
        ({"schedule": "gradul"}, "did you mean 'gradual'"),
        ({"schedule": {"name": "gradual", "begin": 0.1}}, "has no parameter 'begin'"),
        ({"schedule": {"start": 0.1}}, "has no name"),
        ({"scope": "layer"}, "network, stage, site"),
    ],
)
def test_mistakes(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(NasError) as caught:
        POLICIES.get("sparsity")(**wrong)
    assert isinstance(caught.value, PlanError | UnknownNameError)
    assert message in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_layers_that_mask_themselves_count_as_sparse(seed: int) -> None:
    spec = {"name": "sparsity", "scope": "stage", "densities": [0.5, 1.0]}
    space = {"name": "sparse_convnet", "kept": [0.2]}
    searched = Searched(SparseConvNet(kept=[0.2]), space, (spec,), TASK)
    sampled = searched.sample(RandomChooser(seed))
    network = searched.build(sampled.architecture, seed)
    layers = {
        path: module for path, module in network.model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    network.finalize()
    shipped = {path: getattr(layer, "masked_weight", layer.weight) for path, layer in layers.items()}
    kept = {path: int(weight.count_nonzero()) for path, weight in shipped.items()}
    assert any(kept[path] < weight.numel() for path, weight in shipped.items())
    assert sampled.account()["density"] == sum(kept.values()) / sum(weight.numel() for weight in shipped.values())
    for path, facts in sampled.describe().items():
        assert facts["realised_density"] == kept[path] / shipped[path].numel(), path
