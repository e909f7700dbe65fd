"""Which queries a step asks: decided by the seed and the step alone, so that a training can be taken up anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from grapebench.errors import UserError

WINDOW = 16
"""So many steps share out the queries drawn for them by length, as padding is computed like any other token."""


def turns(tasks: int, steps: int, seed: int) -> np.ndarray:
    """Which of so many tasks each step asks, `(steps,)`: each task once, in an order of chance, before any again.

    A step is of one task. Prompts of one task have like lengths, while beside articles of hundreds of words a short
    wish would be padded to as many; the attempts of a step are ranked in one pool; and advantages are normalised in
    the group, so that a mixed step would learn nothing from comparing tasks.
    """
    rounds = [np.random.default_rng([seed, number, tasks]).permutation(tasks) for number in range(-(-steps // tasks))]
    return np.concatenate(rounds)[:steps]


def mixture(lengths: Mapping[str, Sequence[int]], steps: int, batch: int, seed: int) -> np.ndarray:
    """`order` for several tasks: places, `(steps, batch)`, among the queries of all tasks one after the other.

    `lengths` are by the task's name. Each task's own steps are in the order that they would have without the others.
    """
    turn = turns(len(lengths), steps, seed)
    found, start = np.empty((steps, batch), dtype=np.int64), 0
    for number, (task, some) in enumerate(lengths.items()):
        own = turn == number
        found[own] = start + order(some, int(own.sum()), batch, seed, task)
        start += len(some)
    return found


def order(lengths: Sequence[int], steps: int, batch: int, seed: int, task: str = "") -> np.ndarray:
    """Places of queries, `(steps, batch)`; `lengths` are those of all queries' prompts, in tokens.

    Every query is asked once before any is asked again, but for the fewer than `batch` that are left over. Queries of
    a step have prompts of like length; which lengths come when is chance. Raises UserError for fewer than `batch`.
    """
    count = len(lengths) // batch
    if not count:
        of = f" of {task}" if task else ""
        raise UserError(f"a step asks {batch} queries, and there are {len(lengths)}{of}", fix="set a smaller batch")
    rounds = [_round(np.asarray(lengths), count, batch, [seed, number]) for number in range(-(-steps // count) or 1)]
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
