"""Optimizers of other libraries as strategies of the benchmark, to be run in an environment of its own.

    python -m venv bench && bench/bin/pip install -c constraints.txt -e . botorch smac matplotlib
    bench/bin/python benchmarks/search.py --table nas_bench_201.parquet --seeds 3 --strategies smac botorch tpe

Optuna's samplers are strategies of the project already, such as ``optuna:GPSampler`` or
``optuna:TPESampler,multivariate=true``. The strategies here see the answers of all questions, and the results.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nas.space.chooser import RandomChooser
from nas.strategies import Goal, Observation, Strategy, Suggestion
from nas.strategies.history import DistinctStrategy, History
from nas.strategies.ranking import losses_of
from nas.strategies.seeds import suggestion_seed

if TYPE_CHECKING:
    from nas.space import Chooser, Question

T = TypeVar("T")
#: Name in the benchmark → where the strategy is.
NAMES = {
    "botorch": "search_parts.other_libraries:BotorchStrategy",
    "smac": "search_parts.other_libraries:SmacStrategy",
}
#: Number of random networks before the first model.
_FIRST = 10


class BotorchStrategy(DistinctStrategy):
    """BoTorch's qLogNEHVI (Daulton et al. 2021, Ament et al. 2023) on independent Gaussian processes for mixed spaces.

    All settings are defaults of BoTorch, except for 64 instead of 128 samples of the acquisition function, and 8
    restarts of its discrete local search with 128 initial networks.
    """

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        results = self._history.results()
        answers = self._best(results, number) if len(results) >= _FIRST else None
        return self._history.propose(build, number, answers, np.random.default_rng(suggestion_seed(self.seed, number)))

    def _best(self, results: Sequence[Observation], number: int) -> Mapping[str, Any] | None:
        import torch
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import MixedSingleTaskGP, ModelListGP
        from botorch.optim import optimize_acqf_discrete_local_search
        from botorch.sampling import SobolQMCNormalSampler
        from botorch.utils.multi_objective.hypervolume import infer_reference_point
        from gpytorch.mlls import SumMarginalLogLikelihood

        torch.manual_seed(suggestion_seed(self.seed, number))
        coder = self._history.known.coder
        choices = [
            torch.arange(len(item.options), dtype=torch.double) / (max(1, len(item.options) - 1) if item.ordered else 1)
            for item in coder.questions
        ]
        unordered = [place for place, item in enumerate(coder.questions) if not item.ordered]
        places = [coder.places(item.suggestion.answers) for item in results]
        x = torch.stack([torch.stack([values[p] for values, p in zip(choices, row, strict=True)]) for row in places])
        y = -torch.tensor(losses_of(results, self.goal), dtype=torch.double)
        y = (y - y.mean(dim=0)) / y.std(dim=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ModelListGP(*(MixedSingleTaskGP(x, column[:, None], unordered) for column in y.T))
            fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
            gain = qLogNoisyExpectedHypervolumeImprovement(
                model,
                infer_reference_point(y),
                x,
                sampler=SobolQMCNormalSampler(torch.Size([64]), seed=number),
                prune_baseline=True,
            )
            found, _ = optimize_acqf_discrete_local_search(
                gain, discrete_choices=choices, q=1, num_restarts=8, raw_samples=128, X_avoid=x
            )
        row = np.array([int((values - value).abs().argmin()) for values, value in zip(choices, found[0], strict=True)])
        return coder.answers(row)


class SmacStrategy(Strategy):
    """SMAC3 (Lindauer et al. 2022): random forests, with ParEGO for several objectives; defaults of its facade."""

    def __init__(self, goal: Goal, seed: int) -> None:
        super().__init__(goal, seed)
        self._history, self._facade, self._asked = History(goal), None, {}
        self._folder = tempfile.TemporaryDirectory()

    def propose(self, build: Callable[[Chooser], T], number: int) -> tuple[Suggestion, T]:
        """See ``Strategy.propose``."""
        if self._facade is None:
            chooser = RandomChooser(0)
            build(chooser)
            self._facade = self._made(tuple(chooser.questions.values()))
        self._asked[number] = trial = self._facade.ask()
        answers = {item.name: item.options[trial.config[item.name]] for item in self._questions}
        return self._history.propose(build, number, answers, np.random.default_rng(0))

    def observe(self, observations: Sequence[Observation]) -> None:
        """See ``Strategy.observe``."""
        from smac.runhistory.dataclasses import TrialValue

        for item, losses in zip(observations, losses_of(observations, self.goal), strict=True):
            self._facade.tell(self._asked.pop(item.suggestion.number), TrialValue(losses.tolist()))

    def _made(self, questions: Sequence[Question]) -> Any:
        from ConfigSpace import Categorical, ConfigurationSpace
        from smac import HyperparameterOptimizationFacade as Facade
        from smac import Scenario
        from smac.multi_objective.parego import ParEGO

        self._questions = questions
        space = ConfigurationSpace(seed=self.seed)
        for item in questions:
            space.add(Categorical(item.name, list(range(len(item.options))), ordered=item.ordered))
        scenario = Scenario(
            space,
            objectives=list(self.goal.objectives),
            deterministic=True,
            n_trials=10**6,
            seed=self.seed,
            output_directory=self._folder.name,
        )
        return Facade(
            scenario,
            lambda config, seed: 0.0,
            multi_objective_algorithm=ParEGO(scenario),
            initial_design=Facade.get_initial_design(scenario, n_configs=_FIRST),
            logging_level=logging.ERROR,
        )
