"""Runtimes: what can open an artifact and run it in bursts."""

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
    """How a session is opened; part of what a latency is a statement about."""

    threads: int = 1
    batch: int = 1


@dataclass(frozen=True)
class Burst:
    """Consecutive runs of one session."""

    #: One wall time a run, nanoseconds; one in all from a program that tells no more than a statistic of the runs.
    wall_ns: tuple[int, ...]
    #: Processor time of each run, nanoseconds; empty where the runtime can't tell.
    process_ns: tuple[int, ...] = ()
    #: Involuntary context switches within each run; empty where unknown.
    preemptions: tuple[int, ...] = ()
    flags: Mapping[str, Any] = field(default_factory=dict)


class Session(ABC):
    """One opened artifact. Used by one thread; closing twice is harmless."""

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the (first) input, batch included: the artifact's, or the options' where it is symbolic.

        Empty where the runtime gives no answers.
        """

    @abstractmethod
    def burst(self, runs: int) -> Burst:
        """Run ``runs`` times on a fixed random input and time each run.

        Raises:
            MeasureError: the runtime failed or the session's process is gone.
        """

    @abstractmethod
    def run(self, inputs: np.ndarray) -> np.ndarray:
        """The artifact's one output for its one input; ``burst`` does not notice.

        Args:
            inputs: of ``input_shape``.

        Raises:
            MeasureError: inputs of another shape, several inputs or outputs, what ``burst`` raises, or a runtime
                that gives no answers.
        """

    @abstractmethod
    def peak_memory_bytes(self) -> int | None:
        """Growth of the process's peak resident memory by opening and running this session, if known."""

    @abstractmethod
    def close(self) -> None:
        """Free the session."""


class Runtime(ABC):
    """A way to run artifacts on this machine.

    Its parameters are keyword arguments with defaults, what a plan writes beside its name. The constructor refuses a
    value it does not know (PlanError) and what this machine lacks: a program, a device (MeasureError).
    Below is what it declares: a plan that asks for more is refused before it starts.
    """

    #: Artifact formats it opens.
    formats: frozenset[str]
    #: What it knows of a file's ``int4``, ``int8`` and ``fp16`` layers.
    precisions: frozenset[str] = frozenset({"fp32"})
    #: Patterns whose zeros it was told to skip; a plan must choose from one of them. Without, zeros are numbers.
    patterns: frozenset[str] = frozenset()
    #: Whether ``Session.run`` gives outputs.
    answers: bool = True
    #: The runtime that checks and scores its files during a study where it does not do so itself.
    scored_in: str = ""
    #: Whether its bursts tell processor time; that of a program or another device says nothing.
    processor_time: bool = True

    @abstractmethod
    def open(self, path: Path, options: SessionOptions) -> Session:
        """Open ``path``.

        Raises:
            MeasureError: the file can't be opened by this runtime; the message carries the runtime's reason.
        """

    @abstractmethod
    def version(self) -> str:
        """Version of the runtime, as stored with each measurement."""

    def write_reference(self, rung: Rung, path: Path) -> bool:
        """Write a reference model in a format of this runtime, the same bytes every time.

        Returns:
            False if nothing was written, because the runtime opens the ONNX file of that model.
        """
        return False

    def profile(self, path: Path, options: SessionOptions) -> Profile:
        """Milliseconds by node of ``path``, told by the runtime's own profiler.

        Raises:
            MeasureError: the runtime has none, or what ``open`` and ``burst`` raise.
        """
        raise MeasureError(f"the runtime {type(self).__name__} does not tell where the time of a run goes")

    def ship(self, path: Path, options: SessionOptions, folder: Path) -> None:  # noqa: B027  (most need nothing)
        """Write into ``folder`` what it takes, beside ``path`` itself, to run ``path`` elsewhere as it is run here.

        Raises:
            MeasureError: what ``open`` raises.
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
    """A runtime by its name.

    Raises:
        UnknownNameError, PlanError: no such runtime, a parameter it does not take, or a value it does not know.
        MissingPackageError, MeasureError: this machine lacks what it needs.
    """
    return make(RUNTIMES.get(name), {"name": name, **parameters}, "runtime")  # type: ignore[no-any-return]


def answering(name: str) -> str:
    """The runtime that checks and scores files that are for ``name``."""
    return RUNTIMES.get(name).scored_in or name
