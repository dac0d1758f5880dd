"""Functions that read and check one answer of ``nas init`` each.

Each function takes the text of an answer and the previous answers. It raises NasError if the text is not a valid
answer; the message says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nas.errors import PlanError
from nas.latency.runtimes import make_runtime
from nas.registry import make
from nas.space.policy import POLICIES
from nas.tasks import TASKS
from search_spaces import SPACES
from trials.plans.interview.writing import space_spec, task_spec
from trials.plans.metrics import static_metric_names
from trials.plans.paths import Typed, absolute
from trials.plans.problem import check_precisions
from trials.plans.runtimes import parse_runtime
from trials.plans.values import short
from trials.store.target_metrics import TARGET_METRICS

Answers = Mapping[str, Any]
#: Spaces that hold one network; ``nas init`` chooses them through the question about the user's own network.
OF_ONE_NETWORK = ("module", "timm_model")
_MAX_INT = 2**31 - 1


def read_task(text: str, answers: Answers) -> str:
    """Read the name of a registered task, or ``module:Class`` of the user's own."""
    TASKS.get(text)
    return text


def read_data(text: str, answers: Answers) -> str:
    """Read the path of the data, make it absolute, and check that the task finds its data there."""
    path = absolute("data", Typed(text), Path.cwd())
    _make_task({**answers, "data": path})
    return path


def read_image_size(text: str, answers: Answers) -> int:
    """Read the image size in pixels, and check that the task accepts it."""
    size = whole_number_reader("image-size")(text, answers)
    _make_task({**answers, "image_size": size})
    return size


def _make_task(answers: Answers) -> None:
    make(TASKS.get(answers["task"]), task_spec(answers), "task")


def read_network(text: str, answers: Answers) -> str:
    """Read ``module:factory`` or the name of a timm model."""
    spec = space_spec({"network": text})
    make(SPACES.get(spec["name"]), spec, "network")
    return text


def read_space(text: str, answers: Answers) -> str:
    """Read the name of a space of many networks."""
    if answers["network"]:
        raise PlanError(f"both space {short(text)} and network {short(answers['network'])} are given; give only one")
    if text in OF_ONE_NETWORK:
        raise PlanError(
            f"space {text!r} needs a network of your own; give --network instead, with module:factory or the name of a "
            "timm model"
        )
    SPACES.get(text)
    return text


def read_kernels(text: str, answers: Answers) -> list[int] | None:
    """Read sizes of large kernels, and check that the space accepts them; ``all`` gives None."""
    if text == "all":
        return None
    kernels = [whole_number_reader("kernels", least=0)(item, answers) for item in _listed(text)]
    spec = space_spec({**answers, "kernels": kernels})
    make(SPACES.get(spec["name"]), {**spec, "kernels": kernels}, "space")
    return kernels


def read_runtime(text: str, answers: Answers) -> str | dict[str, Any]:
    """Read a runtime that this machine has, and return it in the form that a plan uses."""
    name, parameters = parse_runtime(text)
    make_runtime(name, parameters)
    return {"name": name, **parameters} if parameters else name


def read_precisions(text: str, answers: Answers) -> list[str]:
    """Read precisions, and check that the precision policy and the runtime support them."""
    options = _listed(text)
    make(POLICIES.get("precision"), {"name": "precision", "options": options}, "policy")
    runtime = made_runtime(answers)
    check_precisions(set(options), runtime, f"target 'local': runtime {_runtime_name(answers)!r}")
    return options


def read_patterns(text: str, answers: Answers) -> list[str]:
    """Read sparsity patterns; ``none`` gives an empty list."""
    if text == "none":
        return []
    patterns = _listed(text)
    make(POLICIES.get("sparsity"), {"name": "sparsity", "patterns": patterns}, "policy")
    return patterns


def read_densities(text: str, answers: Answers) -> list[float]:
    """Read densities, and check that the sparsity policy accepts them."""
    if not answers["sparsity"]:
        raise PlanError("densities need sparsity patterns; give some with --sparsity, or leave --densities out")
    densities = [_number("densities", item) for item in _listed(text)]
    make(POLICIES.get("sparsity"), {"name": "sparsity", "densities": densities}, "policy")
    return densities


def read_limits(text: str, answers: Answers) -> dict[str, Any]:
    """Read the plan's ``limits``; each of them is an upper limit."""
    if text == "none":
        return {}
    limits: dict[str, Any] = {}
    for item in _listed(text):
        metric, bound = _limit(item)
        if metric in limits:
            raise PlanError(f"limit: {short(metric)} has two limits; give one")
        limits[metric] = {"max": bound}
    return limits


def _limit(text: str) -> tuple[str, float | dict[str, Any]]:
    metric, _, bound = text.rpartition("=")
    number, times, relative_to = bound.partition("x")
    if times and relative_to not in ("median", "original"):
        raise PlanError(f"limit {short(text)}: after x write median or original, as in latency_ms=0.5xmedian")
    try:
        value = float(number)
    except ValueError:
        raise PlanError(
            f"limit {short(text)}: write metric=number or metric=<factor>xmedian, as in latency_ms=8 or "
            "latency_ms=0.5xmedian"
        ) from None
    metric = metric or "latency_ms"
    if value <= 0 and metric.partition("@")[0] in (*TARGET_METRICS, *static_metric_names()):
        raise PlanError(f"limit {short(text)}: {metric} is always above 0, so no network can keep it; raise the limit")
    return metric, {"relative_to": relative_to, "factor": value} if times else value


def _listed(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if "" in items or len(set(items)) < len(items):
        raise PlanError(f"{short(text)} has empty or repeated items; write each item once, separated by commas")
    return items


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PlanError(f"{key}: {short(text)} is not a number; write one as in 0.5") from None


def whole_number_reader(key: str, least: int = 1) -> Callable[[str, Answers], int]:
    """Return a function that reads a whole number of at least ``least`` for ``key``."""

    def read(text: str, answers: Answers) -> int:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1
        if not least <= number <= _MAX_INT:
            raise PlanError(f"{key}: {short(text)} is not a whole number from {least} to {_MAX_INT}")
        return number

    return read


def _runtime_name(answers: Answers) -> str:
    return answers["runtime"]["name"] if isinstance(answers["runtime"], dict) else str(answers["runtime"])


def made_runtime(answers: Answers) -> Any:
    """Return the runtime that the answers chose."""
    given = answers["runtime"]
    return make_runtime(_runtime_name(answers), given if isinstance(given, dict) else {})
