"""measured-nas for Python: search networks by measured latency, inspect the results, export networks.

    import measured_nas as mn

    plan = mn.load_plan("photos.yaml", ["budget.trials=10"])
    study = mn.search(plan, storage="sqlite:///nas.db")
    study.trials()                      # a pandas DataFrame, one row per trial
    study.plot_front()                  # a plotly figure
    study.trial(7).export("out")        # a folder with the file that was measured
    mn.load_export("out")               # the exported network as a torch module

Each name is imported when it is first used, so ``import measured_nas`` takes milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from measured_nas.packages import check_packages

if TYPE_CHECKING:
    from nas.errors import NasError as NasError
    from nas.estimators import Estimator as Estimator
    from nas.latency.runtimes import Runtime as Runtime
    from nas.ops import Example as Example
    from nas.ops import Op as Op
    from nas.ops import register as register_op  # noqa: F401
    from nas.space import Chooser as Chooser
    from nas.space import Policy as Policy
    from nas.space import SearchSpace as SearchSpace
    from nas.space import slot as slot
    from nas.strategies import Strategy as Strategy
    from nas.tasks import Metric as Metric
    from nas.tasks import Task as Task
    from nas.tasks.classification import Classification as Classification
    from trials.api import list_studies as list_studies
    from trials.api import load_plan as load_plan
    from trials.api import measure as measure
    from trials.api import open_study as open_study
    from trials.api import search as search
    from trials.api import validate as validate
    from trials.api.doubts import StudyWarning as StudyWarning
    from trials.api.study import Study as Study
    from trials.api.trial import Trial as Trial
    from trials.export.loading import load_export as load_export
    from trials.plans.plan import Plan as Plan

#: Public name → ``module:attribute``.
_PLACES = {
    "Plan": "trials.plans.plan:Plan",
    "load_plan": "trials.api:load_plan",
    "validate": "trials.api:validate",
    "search": "trials.api:search",
    "open_study": "trials.api:open_study",
    "list_studies": "trials.api:list_studies",
    "Study": "trials.api.study:Study",
    "StudyWarning": "trials.api.doubts:StudyWarning",
    "Trial": "trials.api.trial:Trial",
    "load_export": "trials.export.loading:load_export",
    "measure": "trials.api:measure",
    "SearchSpace": "nas.space:SearchSpace",
    "Chooser": "nas.space:Chooser",
    "slot": "nas.space:slot",
    "Task": "nas.tasks:Task",
    "Classification": "nas.tasks.classification:Classification",
    "Metric": "nas.tasks:Metric",
    "Op": "nas.ops:Op",
    "Example": "nas.ops:Example",
    "register_op": "nas.ops:register",
    "Strategy": "nas.strategies:Strategy",
    "Policy": "nas.space:Policy",
    "Estimator": "nas.estimators:Estimator",
    "Runtime": "nas.latency.runtimes:Runtime",
    "NasError": "nas.errors:NasError",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("measured-nas")
    elif name in _PLACES:
        check_packages()
        module, _, attribute = _PLACES[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
