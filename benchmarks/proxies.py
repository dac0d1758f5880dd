"""Do zero-cost proxies tell how accurate networks will be, beyond their numbers of parameters and MACs?

    python benchmarks/proxies.py --out proxies
    python benchmarks/proxies.py --out proxies --problems digits --networks 100 --seeds 3

Random networks of each problem are scored by every proxy, and trained for few epochs with several seeds, on one thread.
Trained networks are kept in the folder ``--out``; a second run prints the tables again, or trains only what is missing.

The first table of a problem shows, for each proxy, and for the number of parameters and MACs:

- Spearman's rank correlation with the accuracy on the validation split, averaged over the seeds;
- the partial rank correlation, given parameters and MACs: whether the proxy says anything besides the size;
- the median time to score a network, beside the time to train it.

The second table shows how well the model of the strategy `pareto_bo` predicts the accuracies of networks that it has
not seen, if proxies are known: Spearman's rank correlation between predicted and true accuracies, the root mean square
error, and how both change against the model without proxies, with the standard error over random splits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import pearsonr, rankdata, spearmanr

from nas.proxies import PROXIES
from nas.proxies.scoring import score_network
from nas.space.chooser import RandomChooser
from nas.strategies import FEATURES, Goal, Observation, Suggestion
from nas.strategies.pareto_bo.codes import Coded, levels_of
from nas.strategies.pareto_bo.model import Model
from trials.coordinator.description import sample
from trials.coordinator.targets.other_targets import OtherTargets
from trials.plans.plan import make_plan
from trials.plans.problem import Problem, open_problem_json

Floats = npt.NDArray[np.float64]
PROBLEMS: Mapping[str, Mapping[str, Any]] = {
    "digits": {
        "task": "digits",
        "space": "plain_convnet",
        "estimator": {"name": "training", "epochs": 4},
    },
    "shapes": {
        "task": {"name": "shapes", "image_size": 16, "num_train": 1000, "num_validation": 1000, "difficulty": 0.0},
        "space": "sparse_convnet",
        "estimator": {"name": "training", "epochs": 5},
    },
}
#: Numbers of trained networks that the model learns from, and the number of random splits.
KNOWN, SPLITS = (16, 32), 20
GOAL = Goal({"accuracy": "maximize"}, {})


@dataclass(frozen=True)
class Trained:
    """A trained network: its accuracy and training time for each seed, and its scores and their times in seconds."""

    number: int
    accuracies: list[float]
    train_s: list[float]
    parameters: float
    macs: float
    scores: dict[str, float]
    score_s: dict[str, float]


class NoOtherTargets(OtherTargets):
    """Features without latencies on other targets."""

    def __init__(self) -> None:
        pass

    def features(self, suggestion: Suggestion, features: Mapping[str, float]) -> dict[str, float]:
        """Return nothing."""
        return {}


def score(problem: Problem, number: int) -> Trained:
    """Score random network ``number``, without training it."""
    network = problem.searched.build(problem.searched.sample(RandomChooser(number)).architecture, 0)
    scores, score_s = {}, {}
    for name in PROXIES.names():
        started = time.perf_counter()
        scores |= score_network(network, problem.task, [name], 0).values
        score_s[name] = time.perf_counter() - started
    static = problem.static_metrics(network)
    return Trained(number, [], [], static["parameters"], static["macs"], scores, score_s)


def train(problem: Problem, item: Trained) -> Trained:
    """Train a network with the next seed."""
    architecture, seed = problem.searched.sample(RandomChooser(item.number)).architecture, len(item.accuracies)
    started = time.perf_counter()
    epochs = list(problem.estimator().fit(problem.searched.build(architecture, seed), problem.task, seed=seed))
    train_s = [*item.train_s, time.perf_counter() - started]
    return replace(item, accuracies=[*item.accuracies, epochs[-1].values["accuracy"]], train_s=train_s)


def collect(name: str, folder: Path, count: int, seeds: int) -> list[Trained]:
    """The first ``count`` random networks of a problem, trained with ``seeds`` seeds."""
    problem = open_problem_json(json.dumps(make_plan(PROBLEMS[name]).to_json()))
    path = folder / f"{name}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    known = {item.number: item for item in (Trained(**json.loads(line)) for line in lines)}
    for seed, number in itertools.product(range(seeds), range(count)):
        item = known.get(number) or score(problem, number)
        if len(item.accuracies) == seed:
            known[number] = train(problem, item)
            with path.open("a") as file:
                file.write(json.dumps(asdict(known[number])) + "\n")
    return [replace(item, accuracies=item.accuracies[:seeds]) for item in (known[number] for number in range(count))]


# -- correlations


def correlations(networks: Sequence[Trained]) -> list[dict[str, str]]:
    """One row for each proxy, and for the number of parameters and MACs."""
    accuracy = np.mean([item.accuracies for item in networks], axis=1)
    sizes = {"parameters": [item.parameters for item in networks], "MACs": [item.macs for item in networks]}
    rows = [{"score": name, "Spearman": _signed(_spearman(values, accuracy))} for name, values in sizes.items()]
    for name in PROXIES.names():
        found = [place for place, item in enumerate(networks) if name in item.scores]
        values = np.array([networks[place].scores[name] for place in found])
        given = np.array([[column[place] for column in sizes.values()] for place in found])
        rows.append(
            {
                "score": name,
                "networks": str(len(found)),
                "Spearman": _signed(_spearman(values, accuracy[found])),
                "given size": _signed(_partial(values, accuracy[found], given)),
                "seconds": f"{statistics.median(item.score_s[name] for item in networks):.3f}",
            }
        )
    return rows


def _spearman(first: Sequence[float] | Floats, second: Floats) -> float:
    return float(spearmanr(first, second).statistic)


def _partial(first: Floats, second: Floats, given: Floats) -> float:
    """Rank correlation of two quantities ``(n,)`` after both were regressed on the ranks of ``given`` ``(n, g)``."""
    design = np.column_stack([np.ones(len(first)), *(rankdata(column) for column in given.T)])
    left = [ranks - design @ np.linalg.lstsq(design, ranks)[0] for ranks in (rankdata(first), rankdata(second))]
    return float(pearsonr(*left).statistic)


# -- the model of the strategy


def predictions(name: str, networks: Sequence[Trained]) -> list[dict[str, str]]:
    """One row for each number of known networks and each set of proxies."""
    problem = open_problem_json(json.dumps(make_plan(PROBLEMS[name]).to_json()))
    suggestions = [_suggestion(problem, item) for item in networks]
    rows = []
    for known in [count for count in KNOWN if count <= len(networks) - 8]:
        sets: dict[str, list[str]] = {"none": [], **{name: [name] for name in PROXIES.names()}}
        sets["all"] = PROXIES.names()
        plain = None
        for label, used in sets.items():
            found = np.array([_split(networks, suggestions, used, known, split) for split in range(SPLITS)])
            plain = found if plain is None else plain
            change, error = (found - plain).mean(axis=0), (found - plain).std(axis=0) / np.sqrt(SPLITS)
            mean = found.mean(axis=0)
            row = {"known": str(known), "proxies": label, "Spearman": f"{mean[0]:.3f}", "error": f"{mean[1]:.4f}"}
            if label != "none":
                row["change of Spearman"] = f"{change[0]:+.3f} ± {error[0]:.3f}"
                row["change of error"] = f"{change[1]:+.4f} ± {error[1]:.4f}"
            rows.append(row)
    return rows


def _suggestion(problem: Problem, item: Trained) -> Suggestion:
    chooser = RandomChooser(item.number)
    sampled = sample(problem, NoOtherTargets(), chooser)
    return Suggestion.from_chooser(item.number, chooser, {FEATURES: dict(sampled.features)})


def _split(
    networks: Sequence[Trained], suggestions: Sequence[Suggestion], used: Sequence[str], known: int, split: int
) -> tuple[float, float]:
    """Rank correlation and root mean square error of the predictions for all but ``known`` random networks."""
    order = np.random.default_rng(split).permutation(len(networks))
    first, others = order[:known], order[known:]
    scores = [{name: item.scores[name] for name in used if name in item.scores} for item in networks]
    # With one seed, as in a study; the prediction is compared with the mean over the seeds.
    accuracy = [item.accuracies[split % len(item.accuracies)] for item in networks]
    observations = [
        Observation(suggestions[place], "complete", {"accuracy": accuracy[place]}, proxies=scores[place])
        for place in first
    ]
    model = Model(GOAL, Coded(suggestions[0].questions), observations, {})
    levels = np.stack([levels_of(model.coder, suggestions[place]) for place in others])
    features = [suggestions[place].sampler_state[FEATURES] for place in others]
    predicted = model.means(model.built(levels, features, [scores[place] for place in others]))[:, 0]
    true = np.array([statistics.fmean(networks[place].accuracies) for place in others])
    return _spearman(predicted, true), float(np.sqrt(np.mean((predicted - true) ** 2)))


# -- output


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def show(console: Console, title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows as a table; a missing value is empty."""
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(row.get(column, "") for column in columns))
    console.print(table)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--networks", type=int, default=48, help="random networks of each problem")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each network")
    parser.add_argument("--out", type=Path, required=True, help="folder for the trained networks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=160)
    for name in given.problems:
        networks = collect(name, given.out, given.networks, given.seeds)
        accuracies = np.array([item.accuracies for item in networks])
        seconds = statistics.median(value for item in networks for value in item.train_s)
        console.print(
            f"{name}: {len(networks)} networks of {PROBLEMS[name]['space']}, trainings of each: {accuracies.shape[1]}, "
            f"accuracy {accuracies.min():.3f} to {accuracies.max():.3f}, median training {seconds:.2f} s"
        )
        if accuracies.shape[1] > 1:
            pair = _spearman(accuracies[:, 0], accuracies[:, 1])
            console.print(f"rank correlation of the accuracies of two seeds: {pair:.2f}")
        show(console, "Correlation with the accuracy", correlations(networks))
        show(console, "Predictions of pareto_bo's model for unseen networks", predictions(name, networks))


if __name__ == "__main__":
    main()
