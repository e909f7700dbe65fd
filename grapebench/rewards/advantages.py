"""What rollouts are worth beside those of their own group, those that break the rules of form apart.

A group's rewards are divided by their standard deviation. A broken rollout that counted in it would be most of it: with
ranks among thousands, what the others differ by would be gone. So mean and deviation are those of the well-formed
rollouts, and broken ones are put below the worst of these.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EPSILON = 1e-4
"""TRL's: added to the deviation that a group's rewards are divided by."""
GAP = 1.0
"""How far below the worst well-formed rollout of its group a broken one is, in the deviation of these; to it comes the
share of rules that it breaks."""


def replaced(reward: np.ndarray, broken: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Rewards, `(rollouts,)`, with those of broken rollouts below all well-formed ones of their group.

    `broken` is the share of rules that each breaks, 0 for the well-formed; `starts` are the places at which the groups
    begin after the first. Where well-formed rewards are all the same, one counts as their deviation. Where there are
    none, a rollout is worth less the more rules it breaks.
    """

    def one(reward: np.ndarray, broken: np.ndarray) -> np.ndarray:
        whole = reward[broken == 0]
        if not len(whole):
            return -broken
        spread = _deviation(whole)
        floor = whole.min() - (GAP + broken) * (spread if spread > EPSILON else 1.0)
        return np.where(broken == 0, reward, floor)

    return _by_group(one, reward, broken, starts)


def normalized(reward: np.ndarray, broken: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Rewards less the mean, and divided by the standard deviation (n − 1), of their group's well-formed rollouts.

    Without broken rollouts these are GRPO's advantages as TRL computes them. Where there are some, the well-formed have
    the same advantages as without them but for a constant, which the trainer takes off: it is their common mean.
    Arguments as in `replaced`.
    """

    def one(reward: np.ndarray, broken: np.ndarray) -> np.ndarray:
        whole = reward[broken == 0]
        if not len(whole):
            whole, broken = -broken, np.zeros_like(broken)
            reward = whole
        scaled: np.ndarray = (reward - whole.mean()) / (_deviation(whole) + EPSILON)
        return np.where(broken == 0, scaled, scaled[broken == 0].min() - (GAP + broken))

    return _by_group(one, reward, broken, starts)


def _deviation(values: np.ndarray) -> float:
    """Exactly 0 for equal values, whatever their mean rounds to."""
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def _by_group(
    one: Callable[[np.ndarray, np.ndarray], np.ndarray], reward: np.ndarray, broken: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    groups = zip(np.split(reward, starts), np.split(broken, starts), strict=True)
    return np.concatenate([one(*group) for group in groups])
