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


def reciprocal_rank(rank: np.ndarray) -> np.ndarray:
    """1 / rank, `(queries,)`; its mean is MRR."""
    return 1.0 / np.asarray(rank, dtype=np.float64)


def mrr(rank: np.ndarray) -> float:
    """Mean reciprocal rank, over the whole gallery (no cut-off)."""
    return mean(reciprocal_rank(rank))


def median_rank(rank: np.ndarray) -> float:
    """The rank that half of the queries do not exceed (mean of the middle two where their number is even)."""
    return float(np.median(rank))
