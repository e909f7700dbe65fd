"""Which queries a step asks: decided by the seed and the step alone, so that a training can be taken up anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grapebench.errors import UserError

WINDOW = 16
"""So many steps share out the queries drawn for them by length, as padding is computed like any other token."""


def order(lengths: Sequence[int], steps: int, batch: int, seed: int) -> np.ndarray:
    """Places of queries, `(steps, batch)`; `lengths` are those of all queries' prompts, in tokens.

    Every query is asked once before any is asked again, but for the fewer than `batch` that are left over. Queries of
    a step have prompts of like length; which lengths come when is chance. Raises UserError for fewer than `batch`.
    """
    count = len(lengths) // batch
    if not count:
        raise UserError(f"a step asks {batch} queries, and there are {len(lengths)}", fix="set a smaller batch")
    rounds = [_round(np.asarray(lengths), count, batch, [seed, number]) for number in range(-(-steps // count))]
    return np.concatenate(rounds)[:steps]


def _round(lengths: np.ndarray, count: int, batch: int, seed: list[int]) -> np.ndarray:
    """Every query once, `(count, batch)`."""
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(lengths))[: count * batch]
    found = []
    for window in np.split(drawn, range(WINDOW * batch, len(drawn), WINDOW * batch)):
        ordered = window[np.argsort(lengths[window], kind="stable")].reshape(-1, batch)
        found.append(rng.permutation(ordered))
    return np.concatenate(found)
