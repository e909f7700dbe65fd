"""The rank itself, turned around."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def rank_linear(attempts: Attempts, *, normalised: bool = False) -> np.ndarray:
    """N - rank, from N - 1 (first) down; `normalised` divides by N - 1, which gives 1 to 0. Shape `(attempts,)`.

    The rank reward of GRAPE as far as it is known: linear in the rank, scaled by the number of candidates, not
    normalised.
    """
    found: np.ndarray = attempts.candidates - attempts.rank
    return found / np.maximum(attempts.candidates - 1, 1) if normalised else found
