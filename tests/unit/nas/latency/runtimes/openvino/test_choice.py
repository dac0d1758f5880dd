import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import MeasureError
from nas.kernels import build
from nas.kernels.library import Library
from nas.latency.runtimes import SessionOptions
from nas.latency.runtimes.openvino import choice
from nas.latency.runtimes.openvino.choice import KernelChooser
from nas.latency.runtimes.openvino.choice_cache import ChoiceCache
from nas.latency.runtimes.openvino.fastest import fastest
from nas.latency.runtimes.openvino.graph_pass import KernelLayer, Setting, kernel_layers
from nas.latency.runtimes.openvino.quiet import openvino
from nas.latency.runtimes.openvino.race import Race
from nas.latency.runtimes.openvino.session import settings_of

ops = openvino.opset13
OPTIONS = SessionOptions()
SETTING = Setting(rows=2)


@pytest.fixture
def chooser(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelChooser:
    """A chooser with its own cache, and with time for few runs."""
    own = Path(shutil.copy(library, tmp_path))
    monkeypatch.setattr(build, "library", lambda: own)
    monkeypatch.setattr(choice, "_BUDGET_NS", 0)
    return KernelChooser(openvino.Core())


def graph(kept: float = 0.25, size: int = 12, names: str = "ab") -> openvino.Model:
    """A sparse and a depthwise convolution."""
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 16, 1, 1)) * (random.random((4, 16)) < kept).repeat(4, 0)[:, :, None, None]
    x = ops.parameter((1, 16, size, size), np.float32)
    first = ops.convolution(x, weight.astype(np.float32), [1, 1], [0, 0], [0, 0], [1, 1])
    kernels = random.normal(size=(16, 1, 1, 3, 3)).astype(np.float32)
    second = ops.group_convolution(ops.relu(first), kernels, [1, 1], [1, 1], [1, 1], [1, 1])
    for node, name in zip((first, second), names, strict=True):
        node.set_friendly_name(name)
    second.output(0).set_names({"answer"})
    return openvino.Model([second], [x])


def inputs_of(model: openvino.Model) -> list[np.ndarray]:
    return [np.random.default_rng(1).normal(size=tuple(model.inputs[0].get_shape())).astype(np.float32)]


def answers(chooser: KernelChooser, model: openvino.Model, threads: int = 1) -> np.ndarray:
    compiled = chooser.core.compile_model(model, "CPU", settings_of(SessionOptions(threads=threads)))
    return np.array(compiled(inputs_of(model))["answer"])


def forced(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, Setting]) -> list[Any]:
    """Replaces timing by a fixed result, and records the graphs that would be timed."""
    timed: list[Any] = []
    monkeypatch.setattr(KernelChooser, "_timed", lambda self, model, *rest: (timed.append(model), settings)[1])
    return timed


def test_what_timing_chooses_computes_the_same(chooser: KernelChooser) -> None:
    model = graph()
    settings = chooser.choose(model, inputs_of(model), OPTIONS)
    assert settings.keys() <= {"a", "b"}
    assert chooser.choose(model, inputs_of(model), OPTIONS) == settings
    np.testing.assert_allclose(answers(chooser, chooser.replaced(model, settings)), answers(chooser, model), atol=1e-5)


def test_kernels_that_answer_something_else_are_refused(
    chooser: KernelChooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KernelChooser, "_dense_ms", lambda self, *rest: {})
    monkeypatch.setattr(Race, "winner", lambda self, starts, flips: frozenset("b"))
    monkeypatch.setattr(KernelLayer, "constants", lambda self, setting: [1.1 * self.weight, self.bias])
    model = graph()
    for _ in range(2):
        with pytest.raises(MeasureError, match="computes wrong outputs on this processor"):
            chooser.choose(model, inputs_of(model), OPTIONS)


@pytest.mark.parametrize("chosen", ["", "a", "b", "ab"])
def test_every_choice_computes_the_same_on_one_thread_and_on_two(chosen: str, chooser: KernelChooser) -> None:
    model = graph()
    expected = answers(chooser, model)
    replaced = chooser.replaced(model, dict.fromkeys(chosen, SETTING))
    assert (replaced is model) == (not chosen)
    for threads in (1, 2):
        np.testing.assert_allclose(answers(chooser, replaced, threads), expected, atol=1e-5 * expected.std())


def test_the_choice_is_remembered_for_graphs_alike(chooser: KernelChooser, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = forced(monkeypatch, {"a": SETTING})
    model = graph()
    assert chooser.choose(model, inputs_of(model), OPTIONS) == {"a": SETTING}
    other = graph(names="xy")
    assert KernelChooser(openvino.Core()).choose(other, inputs_of(other), OPTIONS) == {"x": SETTING}
    assert len(timed) == 1


@pytest.mark.parametrize("change", [{"kept": 0.5}, {"size": 14}, {"threads": 2}])
def test_other_zeros_sizes_and_threads_are_timed_again(
    change: dict[str, Any], chooser: KernelChooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = forced(monkeypatch, {})
    options = SessionOptions(threads=change.pop("threads", 1))
    for model, setting in ((graph(), OPTIONS), (graph(**change), options)):
        assert chooser.choose(model, inputs_of(model), setting) == {}
    assert len(timed) == 2


def test_a_graph_without_candidates_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "library", lambda: pytest.fail("built"))
    x = ops.parameter((1, 4), np.float32)
    model = openvino.Model([ops.relu(x)], [x])
    assert KernelChooser(openvino.Core()).choose(model, inputs_of(model), OPTIONS) == {}


def test_settings_of_layers_are_ones_that_the_library_has_and_are_remembered(library: Path, tmp_path: Path) -> None:
    cache, found = ChoiceCache(tmp_path / "layers.json"), Library(library)
    for layer in kernel_layers(graph()):
        timed = fastest(layer, found, cache)
        assert timed.time_ms > 0
        assert fastest(layer, found, cache) == timed
        if layer.kind == "sparse":
            assert timed.setting.width in found.widths(timed.setting.instruction_set, timed.setting.rows)
