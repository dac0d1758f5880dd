"""Translated nodes against the test cases that ONNX ships for every node of its standard."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import defs, numpy_helper

from nas.errors import MeasureError
from nas.latency.runtimes.torch import OLDEST_OPSET
from nas.latency.runtimes.torch.graph import TorchGraph
from nas.latency.runtimes.torch.nodes import TRANSLATIONS

#: Nodes that are translated by way of the nodes they are defined by.
DEFINED = ("CenterCropPad", "MeanVarianceNormalization", "SpaceToDepth", "SwiGLU", "Swish")
#: Element types that torch computes with.
TYPES = {"float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool"}


@pytest.fixture(scope="module")
def cases() -> Mapping[str, Sequence[Any]]:
    """Node → the ONNX cases with this node alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its reference implementation computes 0 / 0 on purpose
        from onnx.backend.test.case.node import collect_testcases

        collected = collect_testcases(None)
    found = defaultdict(list)
    for case in collected:
        nodes = case.model.graph.node
        if len(nodes) == 1 and not nodes[0].domain and is_known_since(case.model, OLDEST_OPSET):
            found[nodes[0].op_type].append(case)
    return found


def is_known_since(model: onnx.ModelProto, opset: int) -> bool:
    """Whether the model's only node means the same in this opset, or was defined after it."""
    (own,) = (item.version for item in model.opset_import if not item.domain)
    kind = model.graph.node[0].op_type
    return own >= opset or defs.get_schema(kind, opset).since_version <= own


def arrays(items: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(numpy_helper.to_array(item) if isinstance(item, onnx.TensorProto) else item) for item in items]


def answers(model: onnx.ModelProto, inputs: Sequence[np.ndarray], num_computed: int) -> list[np.ndarray]:
    """Outputs of a model. Its first ``num_computed`` inputs are given in each run; the others are constants of the
    file.
    """
    graph = onnx.ModelProto.FromString(model.SerializeToString())
    given = {}
    for index, (item, array) in enumerate(zip(list(graph.graph.input), inputs, strict=True)):
        if index < num_computed:
            given[item.name] = torch.from_numpy(array.copy())
        else:
            graph.graph.initializer.append(numpy_helper.from_array(array, item.name))
    return [value.numpy() for value in TorchGraph(graph, given).module()(*given.values())]


def translated(case: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The answers with as many computed inputs as torch accepts, for as many outputs; None if the node is refused."""
    single = onnx.ModelProto.FromString(case.model.SerializeToString())
    del single.graph.node[0].output[1:]
    del single.graph.output[1:]
    for model in (case.model, single):
        for num_computed in (len(inputs), 1, 0):
            try:
                return answers(model, inputs, num_computed)
            except MeasureError:
                continue
    return None


def check_cases(cases: Sequence[Any]) -> None:
    """A node either computes what ONNX says or is refused; at least one case is computed."""
    computed = 0
    for case in cases:
        for inputs, outputs in case.data_sets:
            if any(isinstance(item, list) for item in (*inputs, *outputs)):
                continue
            given, wanted = arrays(inputs), arrays(outputs)
            if not {str(array.dtype) for array in (*given, *wanted)} <= TYPES:
                continue
            for answer, expected in zip(translated(case, given) or [], wanted, strict=False):
                tolerance = 1e-2 if expected.dtype == np.float16 else 1e-4
                assert answer.dtype == expected.dtype, case.name
                np.testing.assert_allclose(answer, expected, tolerance, tolerance, err_msg=case.name)
                computed += 1
    assert computed


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*TRANSLATIONS, *DEFINED}))
def test_a_node_computes_what_onnx_says(name: str, cases: Mapping[str, Sequence[Any]]) -> None:
    check_cases(cases[name])


@pytest.mark.slow
def test_a_wrong_translation_is_found(cases: Mapping[str, Sequence[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSLATIONS, "Ceil", TRANSLATIONS["Floor"])
    with pytest.raises(AssertionError):
        check_cases(cases["Ceil"])
