"""The rank itself, turned around."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def rank_linear(attempts: Attempts, *, normalised: bool = False) -> np.ndarray:
    """N - rank, from N - 1 (first) down; `normalised`: 1 for the first rank to 0 for the last, `(attempts,)`.

    With P right images the best of them ranks N - P + 1 at worst; where all are right it is the first.

    The rank reward of GRAPE as far as it is known: linear in the rank, scaled by the number of candidates, not
    normalised.
    """
    found: np.ndarray = attempts.candidates - attempts.rank
    if normalised:
        found = 1 - (attempts.rank - 1) / np.maximum(attempts.worst - 1, 1)
    return found
