"""Rank correlations. ``scipy.stats`` is imported on first use: most commands need none, and importing takes long."""

from __future__ import annotations

from numpy.typing import ArrayLike


def kendall(first: ArrayLike, second: ArrayLike) -> float:
    """Kendall's tau-b; NaN if all values of one side are equal."""
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation; the values of neither side may be all equal."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
