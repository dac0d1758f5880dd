"""Exports one network of a study before anything is trained, to refuse networks that can't ship."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nas.errors import NasError, PlanError
from nas.export import Exporter
from nas.export.seeding import seed_weights
from nas.quantization.precision import BITS
from nas.scratch import Scratch
from nas.space import Network


def rehearse_shipping(
    exporter: Exporter,
    network: Network,
    *,
    input_shape: tuple[int, ...],
    precisions: Collection[str],
    runtimes: Collection[str],
) -> None:
    """Write and check a network with seeded weights in each precision, for each runtime.

    Args:
        exporter: the exporter of the plan.
        network: a network with real tensors and with the policies of the plan attached; it is finalized here.
        input_shape: ``(N, C, H, W)``.
        precisions: names of precisions; 32 bits are always tried.
        runtimes: the runtimes of the targets, without those that return no outputs.

    Raises:
        PlanError: a file can't be written or run, or it computes something else than the network.
    """
    seed_weights(network, input_shape, "rehearsal")
    network.finalize()
    sites = list(network.bits)
    for precision in sorted({"fp32", *precisions}, key=lambda name: -BITS[name]):
        network.bits = dict.fromkeys(sites, BITS[precision])
        for runtime in runtimes:
            _try(exporter, network, input_shape, precision, runtime)


def _try(exporter: Exporter, network: Network, input_shape: tuple[int, ...], precision: str, runtime: str) -> None:
    with Scratch("nas-rehearsal-") as folder:
        path = Path(folder) / f"network{exporter.suffix}"
        try:
            exporter.export(network, path, input_shape=input_shape, runtime=runtime)
        except NasError as error:
            advice = "" if precision == "fp32" else f" (or leave {precision} out of the policy's options)"
            raise PlanError(f"space: its network can't ship in {precision} for {runtime}{advice}: {error}") from error
