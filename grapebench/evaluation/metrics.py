"""Measures of ranks, each one value a query; a metric is their mean. Pure numpy."""

from __future__ import annotations

import math

import numpy as np


def mean(values: np.ndarray) -> float:
    """The mean, rounded once: the same bits on every machine, whatever its vector width."""
    return math.fsum(np.asarray(values, dtype=np.float64).tolist()) / len(values)


def success_at(rank: np.ndarray, k: int) -> np.ndarray:
    """R@k: 1.0 where the best positive stands among the first k, else 0.0; `(queries,)` to `(queries,)`.

    With one positive a query this is recall at k; with several it is trec_eval's Success@k.
    """
    return (np.asarray(rank) <= k).astype(np.float64)


def reciprocal_rank(rank: np.ndarray, missed: np.ndarray | bool = False) -> np.ndarray:
    """1 / rank, `(queries,)`, and 0 where the query is `missed`, as in trec_eval; its mean is MRR."""
    return np.where(missed, 0.0, 1.0 / np.asarray(rank, dtype=np.float64))


def mrr(rank: np.ndarray) -> float:
    """Mean reciprocal rank, over the whole gallery (no cut-off)."""
    return mean(reciprocal_rank(rank))


def median_rank(rank: np.ndarray) -> float:
    """The rank that half of the queries do not exceed (mean of the middle two where their number is even).

    A query that is missed has a rank all the same, behind all candidates and all cut-offs: where more than half are
    missed the median says so, and is no place in any ranking.
    """
    return float(np.median(rank))


def grade_at(grades: np.ndarray, rank: np.ndarray, k: int) -> np.ndarray:
    """The highest grade among the first k, 0 where none of them has one; `(queries,)`.

    `grades` is `(levels,)`, above 0, and `rank` `(levels, queries)`: where each query's best image of at least that
    grade stands, infinity where it has no such image.
    """
    reached: np.ndarray = np.where(rank <= k, grades[:, None], 0.0).max(axis=0, initial=0.0)
    return reached


def average_precision(good: np.ndarray, others: np.ndarray, total: int) -> float:
    """Average precision of one ranking from the scores of its relevant and of its other items.

    `total` is the number of relevant items there are: what a ranking leaves out counts as never found. Of equal scores
    the relevant ones come last. 0 where there are none.
    """
    if not total:
        return 0.0
    hits = np.arange(1, len(good) + 1)
    at_least = len(others) - np.searchsorted(np.sort(others), np.sort(good)[::-1], side="left")
    return math.fsum((hits / (hits + at_least)).tolist()) / total
