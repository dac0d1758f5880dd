"""What this machine offers, and whether that is enough for a plan."""

from __future__ import annotations

import torch

from nas.errors import PlanError
from nas.extras import is_installed, pip_install
from nas.latency.machine.affinity import available_cores
from trials.plans.plan import Plan


def gpus_here() -> int:
    """GPUs that torch sees on this machine."""
    return torch.cuda.device_count()


def check_fits_here(plan: Plan) -> None:
    """Refuse trainings that this machine can never run as the plan asks.

    Raises:
        PlanError: a line for each resource that is asked for and not here.
    """
    problems = shortages(plan)
    if problems:
        raise PlanError("this machine can't run the plan's trainings:\n" + "\n".join(f"  {item}" for item in problems))


def executor_remark(plan: Plan) -> str:
    """Why a plan that names no executor runs on this machine only; empty where that needs no word."""
    if "executor" in plan.model_fields_set or is_installed("ray"):
        return ""
    return f"executor: local, on this machine only, because Ray is not installed; for clusters {pip_install('ray')}"


def shortages(plan: Plan) -> list[str]:
    """What the plan's trainings ask for beyond what this machine has, and what to change."""
    train, cores, gpus = plan.resources.train, available_cores(), gpus_here()
    found = []
    if train.cpus > len(cores):
        found.append(
            f"resources.train.cpus: {train.cpus:g} asked for, this process may use {len(cores)} core(s) "
            f"({', '.join(map(str, cores))}); set at most {len(cores)}, or give a cluster with --address"
        )
    requested = train.gpus * (plan.concurrency or 1)
    if requested > gpus:
        found.append(
            f"resources.train.gpus: {train.gpus:g} asked for by each of {plan.concurrency or 1} training(s), torch "
            f"{torch.__version__} sees {gpus} GPU(s) here; {_change(train.gpus, gpus)}, or give a cluster with "
            "--address"
        )
    return found


def _change(gpus: float, offered: int) -> str:
    if offered < gpus:
        return f"set resources.train.gpus to {offered}"
    return f"set concurrency to at most {int(offered // gpus)}"
