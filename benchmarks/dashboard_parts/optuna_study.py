"""Write a study of Optuna with the trials of ``studies.py``; runs in the environment of optuna-dashboard.

python optuna_study.py sqlite:///other.db 1000
"""

from __future__ import annotations

import sys

import numpy as np
import optuna

WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96)


def main() -> None:
    """Write one study with two objectives and twenty choices."""
    storage, count = sys.argv[1], int(sys.argv[2])
    draw = np.random.default_rng(0)
    study = optuna.create_study(storage=storage, study_name="study", directions=["maximize", "minimize"])
    options = optuna.distributions.CategoricalDistribution(WIDTHS)
    names = [f"stage{index // 5}.block{index % 5}.width" for index in range(20)]
    trials = []
    for _ in range(count):
        choices = draw.integers(len(WIDTHS), size=20)
        macs = 10_000 * np.array(WIDTHS)[choices].sum()
        accuracy = 1 - 0.35 / np.log10(macs / 1e4) ** 2 - draw.gamma(1.5, 0.02)
        trials.append(
            optuna.trial.create_trial(
                params={name: WIDTHS[choice] for name, choice in zip(names, choices, strict=True)},
                distributions=dict.fromkeys(names, options),
                values=[float(accuracy), float(macs / 4e6 * draw.uniform(0.8, 1.3))],
            )
        )
    study.add_trials(trials)


if __name__ == "__main__":
    main()
