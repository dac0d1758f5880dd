"""Sessions of torch modules, on the processor and on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from nas.errors import MeasureError
from nas.latency.machine.peak_memory import peak_growth
from nas.latency.runtimes import Burst, Session
from nas.latency.runtimes.in_process import Clocks, as_only_input

#: Number of runs before anything is timed or captured; their memory counts as the session's.
FIRST_RUNS = 3

Module = Callable[..., tuple[Tensor, ...]]
#: One run on the session's own inputs.
Step = Callable[[], tuple[Tensor, ...]]


class TorchSession(Session):
    """A session of a torch module with fixed inputs.

    Args:
        module: the module, on the device.
        inputs: the fixed inputs, on the device; ``run`` overwrites them temporarily.
        fixed: the fixed inputs as arrays.
        threads: number of threads of this process during runs.
        cuda_graphs: whether to capture one run as a CUDA graph and replay it.
    """

    def __init__(
        self,
        module: Module,
        inputs: Sequence[Tensor],
        fixed: Sequence[np.ndarray],
        *,
        threads: int,
        cuda_graphs: bool = False,
    ) -> None:
        self._inputs, self._fixed, self._threads = list(inputs), list(fixed), threads
        self._on_gpu = inputs[0].is_cuda
        self._clocks = Clocks()
        with self._measuring():
            step: Step = lambda: module(*self._inputs)  # noqa: E731
            for _ in range(FIRST_RUNS):
                self._num_outputs = len(step())
            self._step: Step | None = _captured(step) if cuda_graphs else step
        self._peak_memory_bytes: int | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See ``Session.input_shape``."""
        return tuple(self._fixed[0].shape)

    def burst(self, runs: int) -> Burst:
        """See ``Session.burst``; on a GPU each run is timed between two CUDA events."""
        step = self._opened()
        try:
            with self._measuring():
                return _cuda_burst(step, runs) if self._on_gpu else self._clocks.burst(step, runs)
        except RuntimeError as error:
            raise MeasureError(f"torch failed in a run: {error}") from error

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """See ``Session.run``."""
        step = self._opened()
        array = as_only_input(inputs, self._fixed, self._num_outputs)
        try:
            with self._measuring():
                self._inputs[0].copy_(torch.from_numpy(array))
                (output,) = step()
                answers = output.float() if output.dtype == torch.float16 else output
                return answers.cpu().numpy().copy()
        except RuntimeError as error:
            raise MeasureError(f"torch failed in a run: {error}") from error
        finally:
            with self._measuring():
                self._inputs[0].copy_(torch.from_numpy(self._fixed[0]))

    def peak_memory_bytes(self) -> int | None:
        """See ``Session.peak_memory_bytes``; on a GPU, the growth of its own memory."""
        return self._peak_memory_bytes

    def close(self) -> None:
        """See ``Session.close``."""
        self._step = None
        self._inputs.clear()

    def took(self, peak_memory_bytes: int | None) -> TorchSession:
        """Set the peak memory of opening this session, and return the session."""
        self._peak_memory_bytes = peak_memory_bytes
        return self

    def _opened(self) -> Step:
        if self._step is None:
            raise MeasureError("this session is closed; open the model again")
        return self._step

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        """Inference mode with the session's number of threads, and without TF32 on GPUs, so that fp32 stays fp32."""
        before = torch.get_num_threads()
        with ExitStack() as state:
            state.enter_context(torch.inference_mode())
            if self._on_gpu:
                state.enter_context(torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False))
            torch.set_num_threads(self._threads)
            state.callback(torch.set_num_threads, before)
            yield


@contextmanager
def peak_memory(on_gpu: bool) -> Iterator[Callable[[], int | None]]:
    """Record the growth of peak memory of the GPU or this process; the yielded function returns it after the block."""
    if not on_gpu:
        with peak_growth() as growth:
            yield lambda: growth.growth_bytes
        return
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    yield lambda: torch.cuda.max_memory_allocated() - before


def _cuda_burst(step: Step, runs: int) -> Burst:
    """Time each run between two events, and wait for its end before the next, which gives latency, not throughput."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    times_ns = []
    torch.cuda.synchronize()
    for _ in range(runs):
        start.record()
        step()
        end.record()
        end.synchronize()
        times_ns.append(max(1, round(start.elapsed_time(end) * 1e6)))
    return Burst(tuple(times_ns))


def _captured(step: Step) -> Step:
    """Capture one run as a CUDA graph; each replay overwrites the outputs of the one before."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = step()

    def replay() -> tuple[Tensor, ...]:
        graph.replay()
        return outputs

    return replay
