from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import PlanError
from nas.graph.identity import count_parameters, graph_identity
from nas.space import Architecture
from nas.space.chooser import FixedVectorChooser, PositionChooser, RandomChooser
from nas.space.sampling import Searched
from nas.tasks.classification import Classification
from search_spaces.plain_convnet import PUBLISHED, PlainConvNet


class Images(Classification):
    """A task's shapes without its data."""

    num_outputs = 10

    def __init__(self, size: int, channels: int = 3) -> None:
        self.input_shape = (channels, size, size)

    def dataset(self, split, *, augment=False):
        raise AssertionError("a space reads no data")

    def fingerprint(self) -> str:
        return "none"


def searched(size: int, preset: str = "small", channels: int = 3) -> Searched:
    return Searched(PlainConvNet(preset), {"name": "plain_convnet", "preset": preset}, (), Images(size, channels))


@pytest.mark.parametrize("parameters", list(PUBLISHED))
def test_published_parameter_counts(parameters: int) -> None:
    space = searched(32, "paper")
    network = space.build(Architecture(space.space_spec, (), PUBLISHED[parameters]), seed=0)
    assert count_parameters(network.model) == parameters
    assert network.model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    size=st.sampled_from([8, 9, 16, 24, 31, 32]),
    channels=st.sampled_from([1, 3]),
)
def test_every_candidate_runs_on_every_input_size(seed: int, size: int, channels: int) -> None:
    space = searched(size, channels=channels)
    sampled = space.sample(RandomChooser(seed))
    network = space.build(sampled.architecture, seed=0)
    network.model.eval()
    assert network.model(torch.zeros(1, channels, size, size)).shape == (1, 10)


def test_the_last_map_keeps_at_least_two_pixels_a_side() -> None:
    for size in (8, 16, 32):
        for position in (0.0, 0.5, 1.0):
            model = searched(size).build(searched(size).sample(PositionChooser(position)).architecture, 0).model
            features = torch.nn.Sequential(*list(model.children())[:-1])(torch.zeros(1, 3, size, size))
            assert min(features.shape[2:]) >= 2


def test_the_vector_of_questions_is_the_same_for_every_candidate() -> None:
    asked = set()
    for seed in range(30):
        chooser = RandomChooser(seed)
        searched(16).sample(chooser)
        asked.add(tuple((question.name, question.options) for question in chooser.questions.values()))
    assert len(asked) == 1


def test_a_skipped_slot_keeps_the_other_slots_keys() -> None:
    space = searched(16)
    answers = {"stage1.depth": 1, "stage2.depth": 2}
    short = space.sample(FixedVectorChooser(answers)).model.state_dict()
    long = space.sample(FixedVectorChooser({**answers, "stage1.depth": 2})).model.state_dict()
    assert set(short) < set(long)
    assert all(key.startswith("stage1.conv2") for key in set(long) - set(short))


def test_kernels_that_could_only_touch_padding_are_one_network() -> None:
    # The last map has 2×2 pixels: taps beyond 3×3 see only padding.
    space = searched(16)
    identities = {
        graph_identity(network.model, (1, 3, 16, 16), {})
        for kernel in (3, 5, 7)
        for network in [space.sample(FixedVectorChooser({"stride_mode": "pool", "stage4.conv1.kernel": kernel}))]
    }
    assert len(identities) == 1


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(PlanError, match=r"'huge'; allowed: small, paper"):
        PlainConvNet("huge")
