"""The questions of ``nas init``, with their defaults and the functions that read their answers."""

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
    #: Reads a text, given the previous answers; raises NasError if the text is not a valid answer.
    read: Callable[[str, Answers], Any]
    #: Returns the text to read if no answer is given. None: an answer is required. Empty: there is no value.
    default: Callable[[Answers], str | None]
    #: Whether the question applies, given the previous answers.
    applies: Callable[[Answers], bool] = lambda answers: True


def value_of(question: PlanQuestion, text: str | None, answers: Answers) -> Any:
    """Return the value of an answer, or of the default if no answer is given.

    Raises:
        NasError: the text is not a valid answer; the message says what is allowed.
    """
    if text is None:
        text = question.default(answers) if question.applies(answers) else ""
        return question.read(text, answers) if text else None
    if not text.strip():
        raise PlanError(f"--{question.key.replace('_', '-')} is empty; give a value, or leave the option out")
    return question.read(text, answers)


def _default_of(factory: Any, name: str) -> Any:
    """Return the default of a parameter; None if the factory does not have the parameter."""
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
    """Return all questions in the order in which they are asked."""
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
            "runtime", f"Runtime to measure with ({_joined(RUNTIMES.names())})", read_runtime, _fixed("onnxruntime")
        ),
        PlanQuestion("threads", "Threads of the runtime", whole_number_reader("threads"), _fixed("1")),
        PlanQuestion("precisions", f"Precisions ({_joined(BITS)})", read_precisions, _usual_precisions),
        PlanQuestion(
            "sparsity", f"Sparsity: none, or patterns ({_joined(PATTERNS.names())})", read_patterns, _fixed("none")
        ),
        PlanQuestion(
            "densities",
            "Shares of weights to keep (with channels: shares of channels; 0.5 keeps a quarter of the weights)",
            read_densities,
            _fixed("0.25,0.5,1.0"),
            lambda answers: bool(answers["sparsity"]),
        ),
        PlanQuestion(
            "limit",
            "Limit on latency: none, milliseconds as in 8, or a factor as in 0.5xmedian (your network: 0.5xoriginal)",
            read_limits,
            _fixed("none"),
        ),
        PlanQuestion("trials", "Networks to try", whole_number_reader("trials"), _fixed("64")),
    ]
