"""NDCG: the reward that sees all right images of a query."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def ndcg(attempts: Attempts, *, k: int = 10) -> np.ndarray:
    """NDCG@k with binary gains, `(attempts,)` (Jarvelin and Kekalainen, TOIS 2002); 0 where nothing is right."""
    found = np.zeros(len(attempts.vectors))
    for row, ranks in enumerate(attempts.positive_ranks):
        if len(ranks):
            ideal = np.arange(1, min(len(ranks), k) + 1)
            found[row] = (1 / np.log2(1 + ranks[ranks <= k])).sum() / (1 / np.log2(1 + ideal)).sum()
    return found
