"""Is a paired difference more than chance? Permutation tests over clusters of queries, Holm's correction, and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

RESAMPLES = 9999
ALPHA = 0.05
"""The chance of any false claim in a family of tests."""
_DIGITS = 9
_TOLERANCE = 10.0**-_DIGITS
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

    If two rewriters do the same, the queries of a cluster could as well have been answered the other way
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
    sums = sums[np.abs(sums) > _TOLERANCE]
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


def pairs_p(sums: np.ndarray, pairs: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """`paired_p` of many pairs of rewriters at once, `(pairs,)`.

    `sums` is `(clusters, rewriters)`, each cluster's sum of the figure over its queries, weighted where the figure is;
    `pairs` is `(pairs, 2)`, the two columns that are compared.

    A flip is linear: one product of random signs and `sums` gives every rewriter's flipped total, and a pair's is the
    difference of two. All pairs share their flips, and no p that is counted from them is below 1 / (resamples + 1):
    too much for a correction for hundreds of pairs. So where Hoeffding's inequality promises less, P(|total| >= t) <=
    2 exp(-t² / 2 Σ d²) for differences d of the clusters, p is that bound, which the true p does not exceed.
    Exact, as `paired_p`, where few clusters differ.
    """
    sums = np.asarray(sums, dtype=np.float64)
    first, second = np.asarray(pairs, dtype=np.intp).reshape(-1, 2).T
    found = np.ones(len(first))
    observed, spread, differing = np.zeros(len(first)), np.zeros(len(first)), np.zeros(len(first), np.intp)
    for part in _slices(len(first), len(sums)):
        differences = sums[:, first[part]] - sums[:, second[part]]
        observed[part] = np.abs(differences.sum(axis=0))
        spread[part] = np.square(differences).sum(axis=0)
        differing[part] = np.count_nonzero(np.abs(differences) > _TOLERANCE, axis=0)
    some = differing > 0
    found[some] = 2 * np.exp(-np.square(observed[some]) / (2 * spread[some]))
    few = some & (differing <= np.log2(resamples))
    for place in np.flatnonzero(few):
        found[place] = _exact_p(sums[:, first[place]] - sums[:, second[place]])
    drawn = np.flatnonzero(some & ~few & (found > 1 / (resamples + 1)))
    found[drawn] = _drawn_p(sums, first[drawn], second[drawn], observed[drawn], seed, resamples)
    return found


def _exact_p(differences: np.ndarray) -> float:
    """The share of all flips whose total is as far from 0, by `(clusters,)` differences of which few are not 0."""
    totals = np.zeros(1)
    for size in differences[np.abs(differences) > _TOLERANCE]:
        totals = np.concatenate([totals + size, totals - size])
    return float(np.mean(np.abs(totals) >= abs(differences.sum()) - _TOLERANCE))


def _drawn_p(
    sums: np.ndarray, first: np.ndarray, second: np.ndarray, observed: np.ndarray, seed: int, resamples: int
) -> np.ndarray:
    """The share of random flips, the observed one counted among them, whose total is as far from 0, `(pairs,)`."""
    extreme = np.ones(len(first))
    for signs in _signs(len(sums), resamples, seed) if len(first) else ():
        totals = np.ascontiguousarray((signs @ sums).T)
        for part in _slices(len(first), len(signs)):
            distances = np.abs(totals[first[part]] - totals[second[part]])
            extreme[part] += np.count_nonzero(distances >= observed[part, None] - _TOLERANCE, axis=1)
    return extreme / (resamples + 1)


def _signs(clusters: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Random signs, `(block, clusters)` float64, until there were `resamples` of them."""
    bits = np.random.PCG64(seed)
    for part in _slices(resamples, clusters):
        rows = part.stop - part.start
        words = bits.random_raw((rows * clusters + 63) // 64)
        yield np.unpackbits(words.view(np.uint8), count=rows * clusters).reshape(rows, clusters) * 2.0 - 1.0


def _slices(count: int, each: int) -> Iterator[slice]:
    """Of `count` things with so many values each, as many at once as the memory is meant for."""
    block = max(1, _BLOCK_VALUES // max(1, each))
    return (slice(start, min(count, start + block)) for start in range(0, count, block))


def ranks(sums: np.ndarray, *, alpha: float = ALPHA, seed: int = 0, resamples: int = RESAMPLES) -> list[int]:
    """For each rewriter, 1 + the number of those that are better beyond chance.

    `sums` is as in `pairs_p`. All pairs are tested and corrected together (Holm): with a chance of at least 1 - alpha
    no rewriter is put behind one that is no better, and those that nothing tells from the best share rank 1.
    """
    rewriters = sums.shape[1]
    pairs = np.array([(i, j) for i in range(rewriters) for j in range(i)], dtype=np.intp).reshape(-1, 2)
    told = np.array(holm(pairs_p(sums, pairs, seed=seed, resamples=resamples).tolist())) <= alpha
    totals, found = sums.sum(axis=0), np.ones(rewriters, dtype=int)
    first, second = pairs[told].T
    np.add.at(found, np.where(totals[first] < totals[second], first, second), 1)
    return [int(rank) for rank in found]


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
