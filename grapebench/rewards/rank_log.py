"""Orders of magnitude of the rank."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def rank_log(attempts: Attempts) -> np.ndarray:
    """1 - log(rank) / log(last rank), `(attempts,)`: 1 for the first, 0 for the last; from 100 to 10 is worth what 10
    to 1 is. With P right images among N the best of them ranks N - P + 1 at worst."""
    found: np.ndarray = 1 - np.log(attempts.rank) / np.log(np.maximum(attempts.worst, 2))
    return found
