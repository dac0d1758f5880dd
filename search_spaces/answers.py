"""Does a network that somebody else defined answer the task?"""

from __future__ import annotations

from torch import nn

from nas.errors import PlanError, SpaceError
from nas.space.tracing import trace
from nas.tasks import Task


def check_answers(model: nn.Module, task: Task, name: str) -> None:
    """Follow the shapes of one input through ``model`` on the meta device; nothing is computed.

    A model with weights was sampled before it was built, so it is not followed again.

    Raises:
        PlanError: it does not take the task's inputs, or answers with another number of channels.
    """
    if not any(parameter.is_meta for parameter in model.parameters()):
        return
    shape = (1, *task.input_shape)
    try:
        graph = trace(model, shape)
    except SpaceError as error:
        raise PlanError(f"{name} does not take inputs {shape} of this task: {error}") from error
    answers = [graph.nodes[output].call.output_shape for output in graph.outputs]
    if len(answers) != 1 or answers[0][:2] != (1, task.num_outputs):
        raise PlanError(
            f"{name} answers {', '.join(map(str, answers)) or 'nothing'} to an input {shape}; "
            f"the task needs one answer (1, {task.num_outputs}, …)"
        )
