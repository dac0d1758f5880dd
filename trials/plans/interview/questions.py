"""The questions of ``nas init``: what each asks, its default, and how the text of an answer is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from nas.errors import PlanError
from nas.latency.runtimes import RUNTIMES
from nas.quantization.precision import BITS
from nas.sparsity import PATTERNS
from nas.tasks import TASKS
from search_spaces import SPACES
from trials.plans.interview.answers import (
    OF_ONE_NETWORK,
    Answers,
    made_runtime,
    read_data,
    read_densities,
    read_image_size,
    read_kernels,
    read_limits,
    read_network,
    read_patterns,
    read_precisions,
    read_runtime,
    read_space,
    read_task,
    whole_number_reader,
)


@dataclass(frozen=True)
class PlanQuestion:
    """One question; its key is also the name of the option that answers it."""

    key: str
    text: str
    #: The value that a text stands for, after the answers so far; raises NasError for a text that is no answer.
    read: Callable[[str, Answers], Any]
    #: The text that is read if nothing is given; None: an answer is required, empty: there is no value.
    default: Callable[[Answers], str | None]
    #: Whether the question makes sense after the answers so far.
    applies: Callable[[Answers], bool] = lambda answers: True


def value_of(question: PlanQuestion, text: str | None, answers: Answers) -> Any:
    """The value of an answer, of the default where there is none.

    Raises:
        NasError: the text is no answer; the message says what is.
    """
    if text is None:
        text = question.default(answers) if question.applies(answers) else ""
        return question.read(text, answers) if text else None
    if not text.strip():
        raise PlanError(f"{question.key.replace('_', '-')} is empty; give a value, or leave it out")
    return question.read(text, answers)


def _default_of(factory: Any, name: str) -> Any:
    """The default of a parameter; None if there is no such parameter."""
    return inspect.signature(factory).parameters[name].default if _has(factory, name) else None


def _has(factory: Any, name: str) -> bool:
    return name in inspect.signature(factory).parameters


def _usual_precisions(answers: Answers) -> str:
    known = made_runtime(answers).precisions
    return ",".join(name for name in ("int8", "fp32") if name in known) or ",".join(sorted(known))


def _fixed(text: str) -> Callable[[Answers], str]:
    return lambda answers: text


def _usual_data(answers: Answers) -> str | None:
    default = _default_of(TASKS.get(answers["task"]), "path")
    return default if isinstance(default, str) else None


def _takes_kernels(answers: Answers) -> bool:
    return answers["network"] is None and _has(SPACES.get(answers["space"]), "kernels")


def _joined(names: Iterable[str]) -> str:
    return ", ".join(names)


def questions() -> list[PlanQuestion]:
    """All questions in their order."""
    spaces = [name for name in SPACES.names() if name not in OF_ONE_NETWORK]
    return [
        PlanQuestion(
            "task", f"Task ({_joined(TASKS.names())}; or your own, module:Class)", read_task, _fixed("digits")
        ),
        PlanQuestion(
            "data",
            "Folder with the data",
            read_data,
            _usual_data,
            lambda answers: _has(TASKS.get(answers["task"]), "path"),
        ),
        PlanQuestion(
            "image_size",
            "Image size in pixels",
            read_image_size,
            lambda answers: str(_default_of(TASKS.get(answers["task"]), "image_size")),
            lambda answers: isinstance(_default_of(TASKS.get(answers["task"]), "image_size"), int),
        ),
        PlanQuestion(
            "network",
            "Your own network (module:factory, or the name of a timm model); leave empty to search a space",
            read_network,
            _fixed(""),
        ),
        PlanQuestion(
            "space",
            f"Search space ({_joined(spaces)}; or your own, module:Class)",
            read_space,
            _fixed("plain_convnet"),
            lambda answers: answers["network"] is None,
        ),
        PlanQuestion(
            "kernels",
            "Sizes of the large kernels, as in 3,7,13; or all that fit the images",
            read_kernels,
            _fixed("all"),
            _takes_kernels,
        ),
        PlanQuestion(
            "runtime", f"Runtime that is measured ({_joined(RUNTIMES.names())})", read_runtime, _fixed("onnxruntime")
        ),
        PlanQuestion("threads", "Threads of the runtime", whole_number_reader("threads"), _fixed("1")),
        PlanQuestion("precisions", f"Precisions ({_joined(BITS)})", read_precisions, _usual_precisions),
        PlanQuestion(
            "sparsity", f"Sparsity: none, or patterns ({_joined(PATTERNS.names())})", read_patterns, _fixed("none")
        ),
        PlanQuestion(
            "densities",
            "Shares of the weights that are kept (with channels: of the channels; 0.5 is a quarter of the weights)",
            read_densities,
            _fixed("0.25,0.5,1.0"),
            lambda answers: bool(answers["sparsity"]),
        ),
        PlanQuestion(
            "limit",
            "Limit on latency: none, milliseconds as in 8, or a factor as in 0.5xmedian (0.5xoriginal: your network)",
            read_limits,
            _fixed("none"),
        ),
        PlanQuestion("trials", "Networks to try", whole_number_reader("trials"), _fixed("64")),
    ]
