"""``nas submit``: hand a study to a cluster and leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trials.cli.console import app, err, out
from trials.cli.options import DEFAULT_STORAGE, Baseline, NodesJoin, Overrides, PlanFile, Storage, StudyName

if TYPE_CHECKING:
    from trials.launch.cluster.submitting import SubmittedJob


@app.command(epilog="Example: nas submit plan.yaml artifacts.root=/mnt/nas --address http://HEAD:8265")
def submit(
    plan: PlanFile,
    overrides: Overrides = None,
    address: Annotated[
        str, typer.Option("--address", help="Job server of the Ray cluster, http://HEAD:8265.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    storage: Storage = DEFAULT_STORAGE,
    name: StudyName = None,
    with_baseline: Baseline = None,
    nodes_join: NodesJoin = False,
) -> None:
    """Run a study as a job of a Ray cluster, and return as soon as it has begun."""
    from trials.launch.cluster.submitting import submit as hand_over
    from trials.plans.loading import load_plan

    job = hand_over(
        load_plan(plan, overrides or ()),
        storage=storage,
        address=address,
        name=name,
        baseline=with_baseline,
        nodes_join=nodes_join,
        says=err.print,
    )
    say_submitted(job, address)


def say_submitted(job: SubmittedJob, address: str) -> None:
    """Print the name of a job, and what to do next."""
    out.print(job.name)
    if job.has_ended:
        err.print(
            f"study {job.study} has ended, so nothing runs on {address}. Next: nas show {job.study} · nas extend "
            f"{job.study} budget.trials=+10"
        )
        return
    err.print(
        f"study {job.study} runs on {address}; this machine may leave. Next: nas status {job.study} · "
        f"nas pause {job.study} · nas show {job.study}"
    )
