"""Runtimes, which open artifacts and run them in bursts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import MeasureError
from nas.registry import Registry, make

if TYPE_CHECKING:
    import numpy as np

    from nas.latency.profiles import Profile
    from nas.latency.protocol.references import Rung


@dataclass(frozen=True)
class SessionOptions:
    """How a session is opened; latencies with different options are different quantities."""

    threads: int = 1
    batch: int = 1


@dataclass(frozen=True)
class Burst:
    """Consecutive runs of one session."""

    #: Wall time of each run, nanoseconds; a single value if a program reports only a statistic of its runs.
    wall_ns: tuple[int, ...]
    #: Processor time of each run, nanoseconds; empty where unknown.
    process_ns: tuple[int, ...] = ()
    #: Involuntary context switches within each run; empty where unknown.
    preemptions: tuple[int, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)


class Session(ABC):
    """One opened artifact. Only one thread may use it; ``close`` may be called twice."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the first input, with the batch of the artifact, or of the options where that is symbolic.

        Empty if the runtime returns no outputs.
        """

    @abstractmethod
    def burst(self, runs: int) -> Burst:
        """Run ``runs`` times on a fixed random input and time each run.

        Raises:
            MeasureError: the runtime failed or the session's process is gone.
        """

    @abstractmethod
    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The output of an artifact with one input and one output; later bursts are not affected.

        Args:
            inputs: array of shape ``input_shape``.

        Raises:
            MeasureError: the inputs have another shape, the artifact has several inputs or outputs, the runtime
                returns no outputs, or for the reasons of ``burst``.
        """

    @abstractmethod
    def peak_memory_bytes(self) -> int | None:
        """Growth of the process's peak resident memory by opening and running this session; None where unknown."""

    @abstractmethod
    def close(self) -> None:
        """Free the session."""


class Runtime(ABC):
    """A way to run artifacts on this machine.

    A runtime's parameters are keyword arguments with defaults, which a plan writes beside the runtime's name. The
    constructor raises PlanError for a value that it does not know, and MeasureError if this machine lacks a program or
    a device. The attributes declare what the runtime supports; a plan that needs more is refused before it starts.
    """

    #: Artifact formats that it opens.
    formats: frozenset[str]
    #: Precisions of layers that it supports: ``int4``, ``int8``, ``fp16``, ``fp32``.
    precisions: frozenset[str] = frozenset({"fp32"})
    #: Patterns whose zeros it skips; a plan must choose one of them. If empty, it computes zeros like other numbers.
    patterns: frozenset[str] = frozenset()
    #: Whether ``Session.run`` returns outputs.
    answers: bool = True
    #: Name of the runtime that checks and scores its files during a study; empty if it does so itself.
    scored_in: str = ""
    #: Whether its bursts report processor time, which means nothing if a program or another device does the work.
    processor_time: bool = True

    @abstractmethod
    def open(self, path: Path, options: SessionOptions) -> Session:
        """Open ``path``.

        Raises:
            MeasureError: this runtime can't open the file; the message contains the runtime's reason.
        """

    @abstractmethod
    def version(self) -> str:
        """Version of the runtime, as stored with each measurement."""

    def write_reference(self, rung: Rung, path: Path) -> bool:
        """Write a reference model in a format of this runtime, with the same bytes every time.

        Returns:
            Whether a file was written; False if the runtime opens the model's ONNX file.
        """
        return False

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """Profile the nodes of ``path`` with the runtime's own profiler.

        Raises:
            MeasureError: the runtime has no profiler, or for the reasons of ``open`` and ``burst``.
        """
        raise MeasureError(f"the runtime {type(self).__name__} has no profiler")

    def ship(self, path: Path, options: SessionOptions, folder: Path) -> None:  # noqa: B027  (most need nothing)
        """Write to ``folder`` the files that are needed, besides ``path``, to run it elsewhere in the same way.

        Raises:
            MeasureError: for the reasons of ``open``.
        """


RUNTIMES: Registry[type[Runtime]] = Registry(
    "runtimes",
    {
        "command": "nas.latency.runtimes.command:Command",
        "onnxruntime": "nas.latency.runtimes.onnxruntime:OnnxRuntime",
        "openvino": "nas.latency.runtimes.openvino.plain:OpenVino",
        "openvino_kernels": "nas.latency.runtimes.openvino.kernels:OpenVinoKernels",
        "torch": "nas.latency.runtimes.torch:Torch",
    },
    subclasses_of=Runtime,
)


def make_runtime(name: str, parameters: Mapping[str, Any]) -> Runtime:
    """Make a runtime by its name, with the parameters of a plan.

    Raises:
        UnknownNameError: there is no such runtime.
        PlanError: the runtime does not take a parameter, or does not know its value.
        MissingPackageError, MeasureError: this machine lacks a package, a program or a device.
    """
    return make(RUNTIMES.get(name), {"name": name, **parameters}, "runtime")  # type: ignore[no-any-return]


def answering(name: str) -> str:
    """Name of the runtime that checks and scores files for the runtime ``name``."""
    return RUNTIMES.get(name).scored_in or name
