"""Networks of the user that are imported beside a study: an ONNX file, a module of their own, or a model of timm."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nas.errors import PlanError
from nas.export.foreign_onnx import foreign_model
from nas.space.sampling import Searched
from nas.tasks import Task
from search_spaces import SPACES
from trials.plans.problem import Problem
from trials.plans.values import short

_LOCATION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class ImportSource:
    """Where the network comes from."""

    kind: Literal["onnx", "module", "timm"]
    #: Absolute path of the ONNX file, ``module:factory``, or the name of the model in timm.
    place: str
    #: Absolute path of a safetensors file.
    weights: str | None = None

    @classmethod
    def parse(cls, text: str, weights: str | None = None) -> ImportSource:
        """Read what the user wrote: a path, ``module:factory`` or ``timm:name``.

        Raises:
            PlanError: it is none of these, or an ONNX file is given weights.
        """
        given = os.path.abspath(os.path.expanduser(weights)) if weights else None
        if text.startswith("timm:"):
            return cls("timm", text.removeprefix("timm:"), given)
        if _LOCATION.fullmatch(text):
            return cls("module", text, given)
        path = Path(text).expanduser()
        if not path.is_file():
            raise PlanError(f"there is no file {short(text)}; give an ONNX file, module:factory, or timm:name")
        if given:
            raise PlanError(f"{short(text)} has its own weights; --weights is for module:factory and timm:name")
        return cls("onnx", str(path.absolute()))

    @property
    def default_name(self) -> str:
        """A name for the network: that of its file, function or model."""
        last = Path(self.place).stem if self.kind == "onnx" else self.place.rpartition(":")[2]
        return _NOT_IN_NAMES.sub("-", last).strip("-.") or "network"

    def to_json(self) -> dict[str, Any]:
        """JSON values, with the hash of each file."""
        files = {"sha256": self.place if self.kind == "onnx" else None, "weights_sha256": self.weights}
        return asdict(self) | {key: _sha256(file) for key, file in files.items() if file}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ImportSource:
        """Read what ``to_json`` wrote."""
        return cls(data["kind"], data["place"], data["weights"])

    def searched(self, task: Task) -> Searched:
        """The module or model of timm as a space of one network; imports the user's code.

        Raises:
            PlanError, SpaceError, UnknownNameError: it can't be imported or made, or does not fit the task.
        """
        key = {"module": "factory", "timm": "model"}[self.kind]
        name = {"module": "module", "timm": "timm_model"}[self.kind]
        parameters: dict[str, Any] = {key: self.place, "weights": self.weights}
        return Searched(SPACES.get(name)(**parameters), {"name": name, **parameters}, (), task)

    def check(self, problem: Problem) -> None:
        """Raise what is wrong with the network, before it is measured or stored."""
        if self.kind == "onnx":
            foreign_model(Path(self.place), problem.input_shape())
        else:
            self.searched(problem.task).untouched()


def _sha256(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
