"""Straight lines between places that people look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grapebench.rewards.attempts import Attempts


def piecewise(
    attempts: Attempts, *, ranks: Sequence[float] = (1, 10, 100), values: Sequence[float] = (2, 1, 0)
) -> np.ndarray:
    """Linear between the points (`ranks`, `values`), `(attempts,)`; behind the last rank its value stays.

    As given: 2 to 1 over the first ten places, 1 to 0 up to the hundredth, then 0.
    """
    found: np.ndarray = np.interp(attempts.rank, ranks, values)
    return found
