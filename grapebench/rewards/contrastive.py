"""The contrastive loss that CLIP was trained with, as a reward."""

from __future__ import annotations

import numpy as np

from grapebench.rewards.attempts import Attempts


def contrastive(attempts: Attempts, *, temperature: float = 0.01) -> np.ndarray:
    """Log-probability of the right images under a softmax of cosine / `temperature` over the pool, `(attempts,)`.

    With the batch as the pool this is the text-to-image half of CLIP's loss (arXiv:2103.00020, Figure 3), negated;
    0.01 is the temperature that its models ended with.
    """
    from scipy.special import logsumexp

    logits = attempts.similarities.astype(np.float64) / temperature
    right = np.full(logits.shape, -np.inf)
    for row, columns in enumerate(attempts.positives):
        right[row, columns] = logits[row, columns]
    found: np.ndarray = logsumexp(right, axis=1) - logsumexp(logits, axis=1)
    return found
