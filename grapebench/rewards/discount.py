"""The discount of DCG."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def discount(attempts: Attempts) -> np.ndarray:
    """1 / log2(1 + rank), `(attempts,)`: the gain of one right image in DCG (Jarvelin and Kekalainen, TOIS 2002)."""
    found: np.ndarray = 1 / np.log2(1 + attempts.rank)
    return found
