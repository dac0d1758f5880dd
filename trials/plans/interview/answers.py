"""Answers of ``nas init`` as text, read and checked one by one: a message says what is allowed.

Each function takes the text and the answers before it, and raises NasError for a text that is no answer.
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
#: Spaces of one network, which the question about the user's own network stands for.
OF_ONE_NETWORK = ("module", "timm_model")
_MAX_INT = 2**31 - 1


def read_task(text: str, answers: Answers) -> str:
    """A registered task, or one of the user's own."""
    TASKS.get(text)
    return text


def read_data(text: str, answers: Answers) -> str:
    """The path, absolute: the task must find its data there."""
    path = absolute("data", Typed(text), Path.cwd())
    _make_task({**answers, "data": path})
    return path


def read_image_size(text: str, answers: Answers) -> int:
    """Pixels a side that the task takes."""
    size = whole_number_reader("image-size")(text, answers)
    _make_task({**answers, "image_size": size})
    return size


def _make_task(answers: Answers) -> None:
    make(TASKS.get(answers["task"]), task_spec(answers), "task")


def read_network(text: str, answers: Answers) -> str:
    """``module:factory``, or a name that timm knows."""
    spec = space_spec({"network": text})
    make(SPACES.get(spec["name"]), spec, "network")
    return text


def read_space(text: str, answers: Answers) -> str:
    """A space of many networks."""
    if answers["network"]:
        raise PlanError(f"space {short(text)} and network {short(answers['network'])}: give one of them")
    if text in OF_ONE_NETWORK:
        raise PlanError(
            f"space {text!r} takes a network of yours; give --network instead: module:factory, or timm's name"
        )
    SPACES.get(text)
    return text


def read_kernels(text: str, answers: Answers) -> list[int] | None:
    """Sizes that the space takes; None for all."""
    if text == "all":
        return None
    kernels = [whole_number_reader("kernels", least=0)(item, answers) for item in _listed(text)]
    spec = space_spec({**answers, "kernels": kernels})
    make(SPACES.get(spec["name"]), {**spec, "kernels": kernels}, "space")
    return kernels


def read_runtime(text: str, answers: Answers) -> str | dict[str, Any]:
    """A runtime that this machine has, as a plan names it."""
    name, parameters = parse_runtime(text)
    make_runtime(name, parameters)
    return {"name": name, **parameters} if parameters else name


def read_precisions(text: str, answers: Answers) -> list[str]:
    """Precisions that the policy and the runtime know."""
    options = _listed(text)
    make(POLICIES.get("precision"), {"name": "precision", "options": options}, "policy")
    runtime = made_runtime(answers)
    check_precisions(set(options), runtime, f"target 'local': runtime {_runtime_name(answers)!r}")
    return options


def read_patterns(text: str, answers: Answers) -> list[str]:
    """Patterns of sparsity; empty for none."""
    if text == "none":
        return []
    patterns = _listed(text)
    make(POLICIES.get("sparsity"), {"name": "sparsity", "patterns": patterns}, "policy")
    return patterns


def read_densities(text: str, answers: Answers) -> list[float]:
    """Kept shares that the sparsity policy takes."""
    if not answers["sparsity"]:
        raise PlanError("densities are for sparse networks; give patterns with --sparsity, too")
    densities = [_number("densities", item) for item in _listed(text)]
    make(POLICIES.get("sparsity"), {"name": "sparsity", "densities": densities}, "policy")
    return densities


def read_limits(text: str, answers: Answers) -> dict[str, Any]:
    """The plan's ``limits``, all of them upper ones."""
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
        raise PlanError(f"limit {short(text)}: every {metric} is above 0, so no network could keep to it")
    return metric, {"relative_to": relative_to, "factor": value} if times else value


def _listed(text: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if "" in items or len(set(items)) < len(items):
        raise PlanError(f"{short(text)}: write different items with commas between them")
    return items


def _number(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise PlanError(f"{key}: {short(text)} is not a number") from None


def whole_number_reader(key: str, least: int = 1) -> Callable[[str, Answers], int]:
    """A function that reads a whole number for ``key``."""

    def read(text: str, answers: Answers) -> int:
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1
        if not least <= number <= _MAX_INT:
            raise PlanError(f"{key}: {short(text)} is not a whole number from {least} to {_MAX_INT}")
        return number

    return read


def _runtime_name(answers: Answers) -> str:
    return answers["runtime"]["name"] if isinstance(answers["runtime"], dict) else str(answers["runtime"])


def made_runtime(answers: Answers) -> Any:
    """The runtime that was chosen."""
    given = answers["runtime"]
    return make_runtime(_runtime_name(answers), given if isinstance(given, dict) else {})
