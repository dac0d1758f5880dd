"""``nas init``: ask for what a plan needs, and write the plan."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas.errors import NasError, PlanError
from nas.foreign import lines
from trials.cli.console import app, out
from trials.cli.options import MAX_INT

if TYPE_CHECKING:
    from trials.plans.interview.questions import PlanQuestion

Text = str | None


def _option(name: str, help: str) -> Any:
    return typer.Option(f"--{name}", help=help)


@app.command(epilog="Example: nas init plan.yaml --task image_folder --data photos --limit latency_ms=8")
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("plan.yaml"),
    task: Annotated[Text, _option("task", "Name of a task.")] = None,
    data: Annotated[Text, _option("data", "Folder with the task's data, if the task needs one.")] = None,
    image_size: Annotated[int | None, _option("image-size", "Height and width of images in pixels.")] = None,
    network: Annotated[
        Text, _option("network", "Your own network, module:factory, or the name of a timm model.")
    ] = None,
    space: Annotated[Text, _option("space", "Name of a search space, instead of --network.")] = None,
    kernels: Annotated[Text, _option("kernels", "Sizes of large kernels, as in 3,7,13, or all.")] = None,
    runtime: Annotated[Text, _option("runtime", "Runtime to measure with: name, or name,parameter=value,….")] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, max=MAX_INT, help="Threads of the runtime.")
    ] = None,
    precisions: Annotated[Text, _option("precisions", "One or more of fp32,fp16,int8,int4.")] = None,
    sparsity: Annotated[Text, _option("sparsity", "Sparsity patterns, as in unstructured,channels, or none.")] = None,
    densities: Annotated[Text, _option("densities", "Shares of weights to keep, as in 0.25,0.5,1.0.")] = None,
    limit: Annotated[
        list[str] | None,
        _option("limit", "Upper limit: metric=number, metric=0.5xmedian or, with --network, metric=0.5xoriginal."),
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, max=MAX_INT, help="Number of trials.")] = None,
    name: Annotated[Text, _option("name", "Name of the study; by default the name of the file.")] = None,
    code: Annotated[list[str] | None, _option("code", "Folder of your own Python code.")] = None,
    ask: Annotated[
        bool | None,
        typer.Option("--ask/--no-ask", help="Whether to ask for options not given; by default only in a terminal."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a plan to start from. Ask for the options not given, and check the plan before writing it."""
    from trials.export.outputs import output_file

    file = output_file(path)
    if os.path.lexists(file) and not force:
        raise PlanError(f"{path} exists; choose another name, or replace it with --force")
    given = {
        **{"task": task, "data": data, "image_size": image_size, "network": network, "space": space},
        **{"kernels": kernels, "runtime": runtime, "threads": threads, "precisions": precisions},
        **{"sparsity": sparsity, "densities": densities, "limit": ",".join(limit) if limit else None},
        "trials": trials,
    }
    asks = sys.stdin.isatty() if ask is None else ask
    text = _text(file, given, {"name": name, "code": code or []}, asks=asks)
    with file.open("w" if force else "x", encoding="utf-8") as stream:
        stream.write(text)
    out.print(f"wrote {path}; next: nas validate {shlex.quote(str(path))}")


def _text(file: Path, given: Mapping[str, Any], fixed: Mapping[str, Any], *, asks: bool) -> str:
    from nas.import_path import append_folders
    from trials.plans.interview.questions import questions
    from trials.plans.interview.writing import study_name, write_plan

    if not all(fixed["code"]):
        raise PlanError("--code is empty; give a folder, or leave the option out")
    append_folders([str(file.resolve().parent), *fixed["code"]])
    answers = {**fixed, "name": study_name(file) if fixed["name"] is None else fixed["name"]}
    for question in questions():
        answers[question.key] = _answer(question, given[question.key], answers, asks=asks)
    return write_plan(answers, file)


def _answer(question: PlanQuestion, given: Any, answers: Mapping[str, Any], *, asks: bool) -> Any:
    from trials.plans.interview.questions import value_of

    if given is None and asks and question.applies(answers):
        return _asked(question, answers)
    return value_of(question, None if given is None else str(given), answers)


def _asked(question: PlanQuestion, answers: Mapping[str, Any]) -> Any:
    """Ask until the answer is valid."""
    from trials.plans.interview.questions import value_of

    default = question.default(answers)

    def read(text: str) -> Any:
        try:
            return value_of(question, text or None, answers)
        except NasError as error:
            raise typer.BadParameter(lines(str(error))) from None

    try:
        return typer.prompt(question.text, default=default, show_default=bool(default), value_proc=read)
    except UnicodeDecodeError:
        raise PlanError(f"the answer to {question.text!r} is not UTF-8; give it in UTF-8") from None
