"""Texts of an exported folder for people: the model card ``README.md``, and ``requirements.txt``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from nas.foreign import markdown
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
        latencies.append(f"- latency on {markdown(item['target'])}: {value:.4g} ms ({low:.4g} to {high:.4g} ms)")
    labels = report["classes"]["test"]["classes"] if "test" in report["classes"] else []
    outputs = f"One score for each of {len(labels)} classes: {markdown(', '.join(labels[:20]))}." if labels else ""
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

## Data

Trained on the `train` split of the task `{plan.task.name}` and chosen by the `validation` split. The `test` split was
scored by this export only. Data: {report["data"]}.

## Metrics

{chr(10).join([*scores, *latencies])}
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
"""
