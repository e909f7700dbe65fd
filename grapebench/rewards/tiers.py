"""Steps: all places of a tier are worth the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grapebench.rewards.attempts import Attempts


def tiers(
    attempts: Attempts,
    *,
    limits: Sequence[float] = (1, 5, 10, 50, 100),
    values: Sequence[float] = (1.0, 0.8, 0.6, 0.4, 0.2),
) -> np.ndarray:
    """`values[i]` for ranks up to `limits[i]`, 0 beyond the last; `(attempts,)`."""
    steps = np.array([*values, 0.0])
    found: np.ndarray = steps[np.searchsorted(np.asarray(limits, np.float64), attempts.rank, side="left")]
    return found
