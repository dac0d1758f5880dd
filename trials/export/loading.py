"""Load the network of an exported folder as a torch module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import ExportError
from nas.export.weights import load_weights
from nas.registry import is_location, make
from nas.space import Architecture
from nas.space.sampling import Searched
from nas.tasks import TASKS, Task
from nas.tasks.recorded import RecordedClassification
from search_spaces import SPACES

if TYPE_CHECKING:
    from torch import nn

    from trials.plans.problem import Problem

#: File of an exported folder that describes how to build the network.
ARCHITECTURE = "architecture.json"
#: File of an exported folder that contains the weights.
WEIGHTS = "model.safetensors"


def write_architecture(problem: Problem, definition: Mapping[str, Any], folder: Path) -> None:
    """Write ``architecture.json``: space, policies, choices, and the properties of the task that the space needs."""
    record = {**definition, "task": describe_task(problem.task, problem.plan.task.spec())}
    (folder / ARCHITECTURE).write_text(json.dumps(record, indent=2))


def describe_task(task: Task, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed to build a network for a task, as JSON values; for classification it needs no data."""
    if not RecordedClassification.stands_for(task):
        return {"spec": dict(spec)}
    return {
        "input_shape": list(task.input_shape),
        "num_outputs": task.num_outputs,
        "class_names": list(task.class_names),
    }


def load_export(folder: str | Path, *, trust_code: bool = False) -> nn.Module:
    """Build the network of an exported folder in torch and load its trained weights.

    The module maps ``(N, C, H, W)`` float32 inputs to the task's outputs and is in evaluation mode;
    ``preprocessing.json`` in the folder describes how an image becomes an input. Weights are pruned and rounded as in
    the exported file, but activations of 8-bit layers are not rounded, so outputs of 8-bit networks differ slightly
    from the exported file's.

    Args:
        folder: a folder that ``nas export`` or ``Trial.export`` wrote.
        trust_code: import the modules of your own that the network is built from; they must be on the import path.
            Importing runs them, so allow it only for folders whose origin you trust.

    Raises:
        ExportError: a file is missing or damaged, or the network needs code of your own and ``trust_code`` is false.
        NasError: the network can't be built here, for example because a module of your own is not on the import path.
    """
    folder = Path(folder).expanduser()
    record = _read(folder / ARCHITECTURE)
    if "task" not in record:
        raise ExportError(f"{folder / ARCHITECTURE} was written by an older version; export the trial again")
    if not trust_code and (code := sorted(set(_import_paths(record)))):
        raise ExportError(
            f"the network in {folder} is built by {', '.join(code)}, which is not part of this package; if you trust "
            "where the folder comes from, pass trust_code=True"
        )
    architecture = Architecture.from_json(record)
    space = make(SPACES.get(architecture.space["name"]), architecture.space, "space")
    searched = Searched(space, architecture.space, architecture.policies, _task(record["task"]))
    network = searched.build(architecture, seed=0)
    network.finalize()  # the weights were stored after finalizing
    load_weights(network.model, folder / WEIGHTS)
    return network.model.eval()


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise ExportError(f"{path} does not exist; give a folder that nas export or Trial.export wrote") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} can't be read: {error}") from None
    if not isinstance(record, dict):
        raise ExportError(f"{path} holds a {type(record).__name__} instead of an architecture; export the trial again")
    return record


def _task(record: Mapping[str, Any]) -> Task:
    if "spec" in record:
        return make(TASKS.get(record["spec"]["name"]), record["spec"], "task")  # type: ignore[no-any-return]
    return RecordedClassification(record["input_shape"], record["num_outputs"], record["class_names"])


def _import_paths(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        return [path for item in value for path in _import_paths(item)]
    is_path = isinstance(value, str) and is_location(value) and not value.startswith(("nas.", "search_spaces."))
    return [value] if is_path else []
