"""The resources of this machine, and whether they suffice for a plan."""

from __future__ import annotations

import torch

from nas.errors import PlanError
from nas.extras import is_installed, pip_install
from nas.latency.machine.affinity import available_cores
from trials.plans.plan import Plan


def gpus_here() -> int:
    """Return the number of GPUs that torch sees on this machine."""
    return torch.cuda.device_count()


def check_fits_here(plan: Plan) -> None:
    """Refuse a plan whose trainings need more resources than this machine has.

    Raises:
        PlanError: the message has one line for each missing resource.
    """
    problems = shortages(plan)
    if problems:
        raise PlanError("this machine can't run the plan's trainings:\n" + "\n".join(f"  {item}" for item in problems))


def executor_remark(plan: Plan) -> str:
    """Say that a plan without ``executor`` runs on this machine only, if Ray is not installed; else return ''."""
    if "executor" in plan.model_fields_set or is_installed("ray"):
        return ""
    return (
        "executor: local, so the study runs on this machine only, because Ray is not installed; to use clusters: "
        f"{pip_install('ray')}"
    )


def shortages(plan: Plan) -> list[str]:
    """Return one message for each resource that the trainings need and this machine lacks, with what to change."""
    train, cores, gpus = plan.resources.train, available_cores(), gpus_here()
    found = []
    if train.cpus > len(cores):
        found.append(
            f"resources.train.cpus: {train.cpus:g} requested, but this process may use {len(cores)} core(s) "
            f"({', '.join(map(str, cores))}); set at most {len(cores)}, or give a cluster with --address"
        )
    requested = train.gpus * (plan.concurrency or 1)
    if requested > gpus:
        found.append(
            f"resources.train.gpus: {train.gpus:g} requested by each of {plan.concurrency or 1} training(s), but torch "
            f"{torch.__version__} sees {gpus} GPU(s) here; {_change(train.gpus, gpus)}, or give a cluster with "
            "--address"
        )
    return found


def _change(gpus: float, offered: int) -> str:
    if offered < gpus:
        return f"set resources.train.gpus to {offered}"
    return f"set concurrency to at most {int(offered // gpus)}"
