"""Write a new plan from answers, as YAML with comments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trials.plans.loading import plan_in
from trials.plans.paths import make_relative
from trials.plans.pools import pools
from trials.plans.problem import open_problem
from trials.store.naming import LONGEST_NAME, name_problem

_HEADING = """\
A plan for one study. docs/reference/plan.md describes every key, docs/reference/names.md every name.
`nas validate` checks this file and estimates the cost; `nas search` runs the study.
Paths in this file are relative to its folder."""
#: Key of the plan → comment above it. The keys are written in this order.
_COMMENTS: Mapping[str, str] = {
    "version": _HEADING,
    "name": "The name of the study in the database.",
    "code": "Folders that hold your own Python code. The folder of this file is always included.",
    "task": "What the networks learn, and from which data.",
    "space": """\
Which networks are searched. `nas spaces NAME --describe` lists the choices of a space.
To start from trained weights of your own network, add `weights: FILE.safetensors` to it.""",
    "policies": """\
What is chosen for each network beside its architecture. With scope `network`, one choice applies to the whole network;
with scope `stage` or `site`, each stage or each layer has its own.
sparsity: `densities` are the shares of the weights that are kept (1.0 keeps all of them); `patterns` say which weights
are removed together. With the pattern channels, 0.5 keeps half of the channels: about a quarter of the weights.
precision: the number format of the weights; with int8, the network also computes in 8-bit integers.""",
    "objectives": "The metrics to improve. The result is the set of best trade-offs between them.",
    "limits": """\
Hard limits: networks over a limit are rejected, most of them before they are trained.
A number is absolute (latency_ms: milliseconds). A factor is relative: to the median of random networks of the space, or
to your own network without changes (`original`).""",
    "strategy": "How the next network is chosen.",
    "estimator": """\
How a network is trained and scored. The default learning rate, 0.004, is for training from scratch; with `weights` in
the space, begin with `learning_rate: 0.0003`.""",
    "targets": "Where latency is measured: the runtime that executes the exported file, its threads, inputs per run.",
    "budget": "How many networks are tried before the study ends.",
    "seed": "The seed of all random numbers.",
}


def write_plan(answers: Mapping[str, Any], path: Path) -> str:
    """Return the text of a plan file for ``path``; paths in ``answers`` are relative to the current folder.

    Raises:
        NasError: the plan can't be run on this machine; the message says what to change.
    """
    data = plan_data(answers)
    make_relative(data, path.resolve().parent)
    plan = plan_in(plan_text(data), path)
    data["objectives"] = dict(open_problem(plan).objectives)
    pools(plan, local=True)
    text = plan_text(data)
    plan_in(text, path)
    return text


def plan_text(data: Mapping[str, Any]) -> str:
    """Return a plan as YAML, with a comment above each key."""
    keys = [key for key in _COMMENTS if data.get(key) not in (None, [], {})]
    return "\n".join(_section(key, data[key]) for key in keys)


def study_name(path: Path) -> str:
    """Return a study name for a plan file: the file's name with ``_`` for characters that study names can't have."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip("-")[:LONGEST_NAME]
    return "study" if name_problem(name) else name


def _section(key: str, value: Any) -> str:
    comment = "".join(f"# {line}\n" for line in _COMMENTS[key].splitlines())
    style = None if isinstance(value, list | dict) else False  # None: lists and mappings of single values in one line
    dumped: str = yaml.safe_dump(
        {key: value}, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=style
    )
    return comment + dumped


def plan_data(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan as a mapping, with the default objectives and the paths unchanged from ``answers``."""
    target = {"name": "local", "runtime": answers["runtime"], "threads": answers["threads"], "batch": 1}
    return {
        "version": 1,
        "name": answers["name"],
        "code": list(answers["code"]),
        "task": task_spec(answers),
        "space": space_spec(answers),
        "policies": _policies(answers),
        "limits": answers["limit"],
        "strategy": {"name": "pareto_bo"},
        "estimator": {"name": "training", "epochs": 12},
        "targets": [target],
        "budget": {"trials": answers["trials"]},
        "seed": 0,
    }


def task_spec(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's ``task``."""
    given = {"path": answers.get("data"), "image_size": answers.get("image_size")}
    return {"name": answers["task"]} | {key: value for key, value in given.items() if value is not None}


def space_spec(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's ``space``: a space by name, or the space that holds the user's network."""
    if network := answers.get("network"):
        return {"name": "module", "factory": network} if ":" in network else {"name": "timm_model", "model": network}
    kernels = answers.get("kernels")
    return {"name": answers["space"]} | ({"kernels": kernels} if kernels else {})


def _policies(answers: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    precision = {"name": "precision", "scope": "network", "options": answers["precisions"]}
    if not answers["sparsity"]:
        return [precision]
    chosen = {"patterns": answers["sparsity"], "densities": answers["densities"]}
    return [{"name": "sparsity", "scope": "network", **chosen}, precision]
