"""Does a network that somebody else defined answer the task?"""

from __future__ import annotations

from torch import nn

from nas.errors import PlanError, SpaceError
from nas.ops import Shape
from nas.space.tracing import trace
from nas.tasks import Task


def check_answers(model: nn.Module, task: Task, name: str) -> None:
    """Follow the shapes of one input through ``model`` on the meta device; nothing is computed.

    A model with weights was sampled before it was built, so it is not followed again.

    Raises:
        PlanError: it does not take the task's inputs, or answers in another shape.
    """
    if not any(parameter.is_meta for parameter in model.parameters()):
        return
    shape, (_, height, width) = (1, *task.input_shape), task.input_shape
    wanted = _answers(task.head(1, 1), (1, 1, height, width))
    try:
        answers = _answers(model, shape)
    except SpaceError as error:
        raise PlanError(f"{name} does not take inputs {shape} of this task: {error}") from error
    if answers != wanted:
        given = ", ".join(map(str, answers)) or "nothing"
        raise PlanError(f"{name} answers {given} to an input {shape}; the task needs {wanted[0]}")


def _answers(model: nn.Module, shape: Shape) -> list[Shape]:
    graph = trace(model, shape)
    return [graph.nodes[output].call.output_shape for output in graph.outputs]
