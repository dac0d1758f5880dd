"""Targets: the devices, runtimes and settings that latencies are measured on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from nas.errors import MeasureError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True)
class TargetSpec:
    """A target as the user specifies it."""

    name: str
    runtime: str = "onnxruntime"
    threads: int = 1
    batch: int = 1
    #: Core of the measuring process; None for the last one it may use.
    core: int | None = None
    #: Address of the agent on the device, such as ``https://pi:8765``; None to measure on this machine.
    address: str | None = None
    #: File with the agent's token.
    token_file: str | None = None
    #: File with the agent's certificate or that of its authority; None for the system's authorities.
    tls_ca: str | None = None
    #: Parameters of the runtime, JSON values.
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MeasureError(
                f"target name {self.name!r}: a name has 1 to 200 characters: letters, digits, '_', '.', '-'"
            )
        _check_reach(self)
        if self.threads < 1 or self.batch < 1:
            raise MeasureError(
                f"target {self.name!r} has threads={self.threads}, batch={self.batch}; both must be at least 1"
            )

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return asdict(self)

    @property
    def here(self) -> TargetSpec:
        """This specification without address, token and certificate, as the measuring machine itself sees it."""
        return replace(self, address=None, token_file=None, tls_ca=None)

    def is_measured_as(self, other: TargetSpec) -> bool:
        """Whether latencies of both targets are the same; a device may move to another address."""
        return self.here == other.here and (self.address is None) == (other.address is None)

    def unlike(self, other: TargetSpec) -> str:
        """The settings of this one in which the other differs: ``threads=2, batch=1``."""
        theirs = other.to_json()
        return ", ".join(f"{key}={value!r}" for key, value in self.to_json().items() if value != theirs[key])

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TargetSpec:
        """Read what ``to_json`` wrote.

        Raises:
            MeasureError: a key is missing or unknown.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise MeasureError(
                f"a target's specification can't be read: {error}; it was written by another version of this program"
            ) from error


@dataclass(frozen=True)
class Target:
    """A calibrated target: ``MeasuringProcess.calibrate`` makes one."""

    spec: TargetSpec
    #: Rung of the reference ladder → milliseconds of one run, as calibrated when the target was added.
    references: Mapping[str, float]
    #: Processor, runtime version, cores.
    description: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``."""
        return {
            "spec": self.spec.to_json(),
            "references": dict(self.references),
            "description": dict(self.description),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """Read what ``to_json`` wrote.

        Raises:
            MeasureError: a key is missing or unknown, or there are no calibrated references.
        """
        try:
            target = cls(TargetSpec.from_json(data["spec"]), dict(data["references"]), dict(data["description"]))
        except (KeyError, TypeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise MeasureError(f"a stored target can't be read: {what}; calibrate it again") from error
        if not target.references:
            raise MeasureError(f"target {target.spec.name!r} has no calibrated references; calibrate it")
        return target


def _check_reach(spec: TargetSpec) -> None:
    if spec.address is None:
        if spec.token_file or spec.tls_ca:
            raise MeasureError(
                f"target {spec.name!r} has a token_file or tls_ca, but no address of an agent; add the address"
            )
        return
    url = urlsplit(spec.address)
    try:
        complete = url.scheme in ("http", "https") and url.hostname and url.port
    except ValueError:
        complete = False
    if not complete or url.path not in ("", "/") or url.query or "@" in url.netloc:
        raise MeasureError(f"target {spec.name!r}: address {spec.address!r}; write it as https://host:port")
    if spec.token_file is None:
        raise MeasureError(
            f"target {spec.name!r}: the agent at {spec.address} needs a token; set token_file to the file that has it"
        )
    if spec.tls_ca and url.scheme == "http":
        raise MeasureError(f"target {spec.name!r}: tls_ca needs an https address, and the address is {spec.address}")
