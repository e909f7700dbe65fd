"""Orders of magnitude of the rank."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def rank_log(attempts: Attempts) -> np.ndarray:
    """1 - log(rank) / log(N): 1 for the first place, 0 for the last; from 100 to 10 is worth what 10 to 1 is."""
    found: np.ndarray = 1 - np.log(attempts.rank) / np.log(np.maximum(attempts.candidates, 2))
    return found
