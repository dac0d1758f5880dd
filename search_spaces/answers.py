"""Checks that a network of a user or of timm has outputs that fit the task."""

from __future__ import annotations

from torch import nn

from nas.errors import PlanError, SpaceError
from nas.graph.tracing import TracedGraph, trace
from nas.ops import Shape
from nas.tasks import Task


def check_answers(model: nn.Module, task: Task, name: str) -> None:
    """Compute the shape of the output of ``model`` on the meta device and compare it with the task.

    A model with real weights is not checked, because it was checked on the meta device when it was sampled.

    Raises:
        PlanError: the model does not accept the task's inputs, or its output has another shape.
    """
    if not any(parameter.is_meta for parameter in model.parameters()):
        return
    shape = (1, *task.input_shape)
    try:
        graph = trace(model, shape)
    except SpaceError as error:
        raise PlanError(f"{name} does not take inputs {shape} of this task: {error}") from error
    if graph.container:
        raise PlanError(
            f"{name} returns {graph.container} for an input {shape}; the task needs one tensor {wanted_answer(task)}: "
            "let forward return it alone"
        )
    if (answers := _shapes(graph)) != [wanted_answer(task)]:
        given = ", ".join(map(str, answers)) or "nothing"
        raise PlanError(f"{name} returns {given} for an input {shape}; the task needs {wanted_answer(task)}")


def check_classification(task: Task, name: str) -> None:
    """Raise PlanError if the task needs outputs of another shape than ``(N, num_outputs)``."""
    wanted = wanted_answer(task)
    if wanted != (1, task.num_outputs):
        raise PlanError(f"{name} returns classes, {(1, task.num_outputs)}; the task needs {wanted}; use another space")


def wanted_answer(task: Task) -> Shape:
    """Shape of the output that the task needs for one input."""
    _, height, width = task.input_shape
    (answer,) = _shapes(trace(task.head(1, 1), (1, 1, height, width)))
    return answer


def _shapes(graph: TracedGraph) -> list[Shape]:
    return [graph.nodes[output].call.output_shape for output in graph.outputs]
