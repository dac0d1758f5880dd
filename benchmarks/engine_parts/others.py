"""The jobs of ``engine.py`` in Ray Tune with Optuna's search, and in Optuna with its own database."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from noop import OPTIONS, QUESTIONS

NAMES = [f"q{index:02}" for index in range(QUESTIONS)]


def scores(answers: Mapping[str, int]) -> dict[str, float]:
    """Return what ``noop.train`` and ``noop.gate`` find for these answers."""
    values = list(answers.values())
    accuracy = sum(values) / (QUESTIONS * OPTIONS) + 0.01 * (values[0] - values[1])
    return {"accuracy": accuracy, "latency_ms": 1.0 + sum(values)}


def ray_tune(trials: int, actors: int) -> float:
    """Return the seconds that a Tuner with OptunaSearch takes; its actors are reused."""
    import optuna
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    class Scored(tune.Trainable):
        """A trial with one step."""

        def setup(self, config: dict[str, Any]) -> None:
            self.answers = config

        def step(self) -> dict[str, Any]:
            return {**scores(self.answers), "done": True}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            """Store nothing."""

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.answers = new_config
            return True

    ray.init(num_cpus=actors, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    search = OptunaSearch(
        metric=["accuracy", "latency_ms"], mode=["max", "min"], sampler=optuna.samplers.RandomSampler(0)
    )
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            Scored,
            param_space={name: tune.choice(range(OPTIONS)) for name in NAMES},
            tune_config=tune.TuneConfig(
                search_alg=search, num_samples=trials, max_concurrent_trials=actors, reuse_actors=True
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        started = time.perf_counter()
        found = tuner.fit()
        took_s = time.perf_counter() - started
    ray.shutdown()
    assert len(found) == trials
    return took_s


def optuna_rdb(trials: int, processes: int, url: str) -> float:
    """Return the seconds that processes with a common study in a database take, after all have opened it."""
    import optuna

    url = url.replace("postgresql://", "postgresql+psycopg://")
    optuna.create_study(study_name="engine", storage=url, directions=["maximize", "minimize"])
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(processes + 1)
    shares = [trials // processes + (number < trials % processes) for number in range(processes)]
    running = [
        context.Process(target=_optimize, args=(url, share, number, ready)) for number, share in enumerate(shares)
    ]
    for process in running:
        process.start()
    ready.wait()
    started = time.perf_counter()
    for process in running:
        process.join()
    took_s = time.perf_counter() - started
    assert len(optuna.load_study(study_name="engine", storage=url).trials) == trials
    return took_s


def _optimize(url: str, trials: int, seed: int, ready: Any) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name="engine", storage=url, sampler=optuna.samplers.RandomSampler(seed))

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        found = scores({name: trial.suggest_categorical(name, range(OPTIONS)) for name in NAMES})
        return found["accuracy"], found["latency_ms"]

    ready.wait()
    study.optimize(objective, n_trials=trials)
