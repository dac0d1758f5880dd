"""Texts of an exported folder for people: the model card ``README.md``, and ``requirements.txt``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from nas.foreign import line, markdown
from trials.export.page import ALONE_NOTE
from trials.plans.plan import Plan
from trials.reporting.labels import interval

#: The card's text without a licence. Push and verification refuse a card that was edited after the export.
NOT_STATED = "Not stated. Before you publish the network, export it again with `nas export --licence TEXT`."
#: Form of the identifiers of licences, such as ``apache-2.0``.
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def write_card(report: Mapping[str, Any], plan: Plan, folder: Path) -> None:
    """Write ``README.md``, ``requirements.txt`` and ``plan.yaml``."""
    (folder / "README.md").write_text(_card(report, plan), encoding="utf-8")
    runtime, installed = report["alone"]["runtime"]
    wanted = [f"numpy=={version('numpy')}", f"pillow=={version('pillow')}", f"{runtime}=={installed}"]
    (folder / "requirements.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
    text = yaml.safe_dump(plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    (folder / "plan.yaml").write_text(text, encoding="utf-8")


def licence_metadata(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the licence as keys of a model card: an identifier such as ``mit``, or ``other`` and a name."""
    licence = report.get("licence")  # reports of older versions have none
    if not licence:
        return {"license": "other"}
    identifier = licence.lower()
    return (
        {"license": identifier} if _IDENTIFIER.fullmatch(identifier) else {"license": "other", "license_name": licence}
    )


def _card(report: Mapping[str, Any], plan: Plan) -> str:
    scores = []
    for item in report["gaps"]:
        scores.append(f"- {markdown(item['metric'])} on test data: {interval(item['metric'], *item['test'])}")
    latencies = []
    for item in report["latency"]:
        value, low, high = item["remeasured_ms"]
        latencies.append(
            f"- latency on {markdown(item['target'])}: {value:.4g} ms ({low:.4g} to {high:.4g} ms): {_where(item)}"
        )
    labels = report["classes"]["test"]["classes"] if "test" in report["classes"] else []
    outputs = f"One score for each of {len(labels)} classes: {markdown(', '.join(labels[:20]))}." if labels else ""
    alone_ms = report["alone"]["latency_ms"]
    alone = f"- latency of the folder alone, as `verify.py` measures it: {alone_ms:.4g} ms. {ALONE_NOTE}"
    licence = markdown(report["licence"]) if report["licence"] else NOT_STATED
    return f"""---
{yaml.safe_dump(licence_metadata(report), allow_unicode=True)}---

# {markdown(report["study"])}, trial {report["trial"]}

A network for the task `{plan.task.name}`, found by a search in the space `{plan.space.name}` that measured every
candidate on its target. `report.html` has all results and the verification.

## Use

```sh
pip install -r requirements.txt
python run.py image.jpg   # the class of an image
python verify.py          # whether the folder is whole and works on this machine as it did when it was exported
```

`preprocessing.json` says how an image becomes an input, and `prepare.py` does it. {outputs}

{_formats(report)}## Weights

{_sentence(report["weights"]["reason"])}.

## Data

Trained on the `train` split of the task `{plan.task.name}` and chosen by the `validation` split. The `test` split was
scored by this export only. Data: {report["data"]}.

## Metrics

{chr(10).join([*scores, *latencies, alone])}
- {report["parameters"]:,} parameters, {report["macs"]:,} MACs, {report["file"]["size_bytes"]:,} bytes

Intervals are 95 % intervals. Latencies hold for the named target, runtime, number of threads and batch size only.

## Intended use and limits

The network is meant for images like those of the task. Nothing is known about other images, and it has no class for
"none of these". Check the scores of every class in `report.html` before you rely on one.

## Licence

{licence}

The licence of the data and of the weights that the training started from may limit the use of this network.

## Reproduce

`plan.yaml` is the complete plan of the study with its seed, `architecture.json` describes the network,
`model.safetensors` has its weights, and `report.json` lists the versions of all packages.
{_training(report["weights"].get("final_training"))}"""


def _sentence(text: str) -> str:
    return line(text[:1].upper() + text[1:])


def _where(item: Mapping[str, Any]) -> str:
    """Return the conditions of a latency."""
    threads = f"{item['threads']} thread{'s' * (item['threads'] != 1)}"
    parts = [" ".join(item["runtime"]), threads, f"batch size {item['batch']}", item["processor"]]
    return line(", ".join(filter(None, parts)))


def _formats(report: Mapping[str, Any]) -> str:
    """Return a section about the further formats; empty if there are none."""
    lines = []
    for item in report["formats"]:
        names = ", ".join(f"`{file['name']}`" for file in item["files"])
        lines.append(f"- {item['format']}: {names}; needs {', '.join(item['requirements'])}")
    return "\n".join(["## Further formats", "", *lines, "", ""]) if lines else ""


def _training(training: Mapping[str, Any] | None) -> str:
    """Return how to repeat the final training that made the weights; empty for weights of the search."""
    if training is None:
        return ""
    return f"""
The weights are not those of the search that `plan.yaml` describes, but those of a final training with a recipe of its
own: {line(training["description"])}. `report.json` has the whole recipe in `weights.final_training`. With the
database of the study, this command trains the network in the same way:

```sh
{training["command"]}
```
"""
