"""The Python interface of ``measured_nas``: run studies, open them, export networks.

Each function calls the modules that the command line uses, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nas.errors import MeasureError
from trials.api.doubts import warn_of_doubts
from trials.api.study import Study
from trials.launch import studies as launch
from trials.launch.progress_bar import ProgressBar
from trials.plans import loading
from trials.plans.plan import Plan
from trials.store.read.studies import list_studies as study_rows
from trials.store.store import Store

if TYPE_CHECKING:
    from nas.latency.protocol.measure import Latency
    from trials.launch.forecast import Forecast

DEFAULT_STORAGE = "sqlite:///nas.db"


def load_plan(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """Read a plan file.

    Args:
        path: YAML file.
        overrides: ``key=value`` as on the command line: ``["budget.trials=10"]``.

    Raises:
        PlanError: the file does not exist, a key is unknown, or a value is not allowed.
    """
    return loading.load_plan(Path(path), overrides)


def search(
    plan: Plan,
    *,
    storage: str = DEFAULT_STORAGE,
    name: str | None = None,
    baseline: str | None = None,
    twins: bool = False,
    address: str | None = None,
    progress: bool = True,
) -> Study:
    """Run a study to the end of its budget. Each result is stored as soon as it is known.

    After an interrupt (Ctrl-C, or stopping the cell) ``open_study(...).resume()`` continues the study.

    Args:
        plan: description of the study; see ``load_plan`` and ``Plan``.
        storage: URL of the database, ``sqlite:///nas.db`` or ``postgresql://user@host/name``.
        name: name of the study; by default the name in the plan.
        baseline: strategy of a second study with equal budget to compare with, usually ``random``.
        twins: afterwards also train the best networks dense, and under random masks of equal density.
        address: address of a Ray cluster; by default everything runs on this machine.
        progress: draw a progress bar.

    Raises:
        PlanError: the plan can't be run; nothing is stored.
        StudyError: a study of this name exists.
        AllFailedError: no trial succeeded; the study is stored with its tracebacks.
    """
    with ProgressBar(progress) as bar:
        names = launch.search(
            plan,
            storage=storage,
            name=name,
            baseline=baseline,
            twins=twins,
            address=address,
            on_update=bar.update,
            on_phase=bar.prepare,
        )
    for each in names:
        warn_of_doubts(storage, each)
    return Study(storage, names[0])


def validate(plan: Plan) -> Forecast:
    """Check a plan and its data, and measure what a study would cost; takes about a minute and stores nothing.

    Returns:
        The size of the space, typical networks with their latencies, the data, and hours and megabytes of the study.

    Raises:
        NasError: the plan can't be run, or its limits can't be met.
    """
    from trials.launch.forecast import forecast

    return forecast(plan)


def open_study(storage: str, name: str) -> Study:
    """Open a stored study, which may still be running.

    Raises:
        UnknownNameError: no study has this name; the message suggests the most similar name.
        StoreError: the database can't be opened.
    """
    return Study(storage, name)


def list_studies(storage: str = DEFAULT_STORAGE) -> list[str]:
    """Return the names of the stored studies, newest first.

    Raises:
        StoreError: the database can't be opened.
    """
    return [row.name for row in study_rows(Store(storage))]


def measure(model: str | Path, *, runtime: str = "onnxruntime", threads: int = 1, batch: int = 1) -> Latency:
    """Measure the latency of a model file on this machine, with the measuring protocol of studies.

    Args:
        model: an ONNX file or, for OpenVINO runtimes, an ``.xml`` file; this project need not have written it.
        runtime: a name, or ``name,parameter=value,…`` as in ``torch,compile=true``.
        threads: number of threads that the runtime uses.
        batch: batch size, used if the model's batch dimension is symbolic.

    Returns:
        ``latency_ms`` and its 95 % interval ``low_ms`` to ``high_ms``.

    Raises:
        MeasureError: the file or the runtime does not exist, or the runtime can't run the file.
        PlanError: a parameter of the runtime has no value.
    """
    from trials.targets.side_by_side import side_by_side, specs_of

    (found,) = side_by_side(Path(model), specs_of([runtime], threads=threads, batch=batch))
    if found.latency is None:
        raise MeasureError(found.error)
    return found.latency
