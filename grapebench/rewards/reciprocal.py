"""The reciprocal rank, whose mean over queries is MRR."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def reciprocal(attempts: Attempts) -> np.ndarray:
    """1 / rank, `(attempts,)`: nearly all of it is earned in the first ten places."""
    found: np.ndarray = 1 / attempts.rank
    return found
