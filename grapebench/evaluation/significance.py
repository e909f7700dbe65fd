"""Is a paired difference more than chance? A permutation test over images, and Holm's correction for several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 9999
_DIGITS = 9
_BLOCK_VALUES = 2_000_000


def paired_p(
    differences: np.ndarray,
    clusters: Sequence[str] | np.ndarray,
    weights: np.ndarray | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> float:
    """Two-sided p of the mean of `(queries,)` differences, by sign flips of whole clusters.

    If two rewriters do the same, those queries that share an image could as well have been answered the other way
    round, all together: the sum of a cluster's differences keeps its size and loses its sign. The number of queries
    is the same under every flip, so the total of the sums orders the flips as the mean does, however unequal the
    clusters (Smucker, Allan and Carterette, CIKM 2007, for queries that are independent). With `weights` the test is of
    the weighted sum.

    Exact, over all flips, where there are at most `resamples` of them; otherwise estimated from that many random
    ones, the observed one counted among them, so that p is never 0 (Phipson and Smyth, 2010).
    The same seed gives the same p.
    """
    from scipy.stats import permutation_test

    values = np.asarray(differences, dtype=np.float64)
    if weights is not None:
        values = values * weights
    sums = np.bincount(np.unique(np.asarray(clusters), return_inverse=True)[1], weights=values)
    # Without a difference there is no sign to flip, and the distribution is the same without such clusters.
    sums = sums[np.abs(sums) > 10.0**-_DIGITS]
    if not len(sums):
        return 1.0

    def total(sample: np.ndarray, axis: int) -> np.ndarray:
        # Rounded, so that totals that are equal on paper are equal here, whatever the order of the sums.
        found: np.ndarray = np.round(sample.sum(axis=axis), _DIGITS)
        return found

    if len(sums) == 1:
        return 1.0  # both signs are as far from 0, and scipy wants two observations
    found = permutation_test(
        (sums,), total, permutation_type="samples", n_resamples=resamples,
        batch=max(1, _BLOCK_VALUES // len(sums)), rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several, in their order (Holm, Scandinavian Journal of Statistics, 1979).

    Rejecting those at or below a level keeps the chance of any false rejection at or below that level, whatever the
    dependence between the tests.
    """
    adjusted, highest = [0.0] * len(values), 0.0
    for step, place in enumerate(sorted(range(len(values)), key=lambda place: values[place])):
        highest = max(highest, min(1.0, (len(values) - step) * values[place]))
        adjusted[place] = highest
    return adjusted
