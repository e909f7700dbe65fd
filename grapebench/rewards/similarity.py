"""The raw similarity: the control that score inflation is measured with."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def similarity(attempts: Attempts) -> np.ndarray:
    """Cosine with the nearest right image, `(attempts,)`, whatever the other images score; -1 where there is none."""
    score = np.full(len(attempts.vectors), -1.0)
    for row, columns in enumerate(attempts.positives):
        if len(columns):
            score[row] = (attempts.images[columns] @ attempts.vectors[row]).max()
    return score
