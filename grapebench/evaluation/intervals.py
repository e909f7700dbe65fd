"""95 % intervals by a bootstrap over clusters: their queries are not independent, so they are drawn together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
_DIGITS = 6
_BLOCK_VALUES = 2_000_000

Interval = tuple[float, float]


def intervals(
    values: Mapping[str, np.ndarray],
    clusters: Sequence[str] | np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    macro: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Percentile intervals of means of `(queries,)` columns, clusters drawn with replacement.

    For paired differences give the differences as values. With `groups` (languages, categories) `key/group` stands
    beside each key, except for the group ''; the key itself is then the mean over the groups' means, or with
    `macro=False` over all queries. All keys share their draws, and the same seed gives the same intervals (rounded to
    six digits).
    """
    names, codes = _codes(clusters)
    tags, group_codes = _codes(groups) if groups is not None else ([""], np.zeros(len(codes), dtype=np.intp))
    keys = list(values)
    table = np.stack([np.asarray(values[key], dtype=np.float64) for key in keys], axis=1)
    # A cluster's contribution to each group's mean is a sum and a count: a resample is then one matrix product.
    sums = np.zeros((len(names), len(tags), len(keys)))
    counts = np.zeros((len(names), len(tags)))
    np.add.at(sums, (codes, group_codes), table)
    np.add.at(counts, (codes, group_codes), 1.0)

    means, overall = [], []
    for weights in _draws(len(names), resamples, seed):
        size = weights @ counts
        total = (weights @ sums.reshape(len(names), -1)).reshape(len(weights), len(tags), len(keys))
        # A small group can be missing from a resample altogether: it is then left out of that resample's mean.
        with np.errstate(invalid="ignore"):
            means.append(total / size[:, :, None])
        overall.append(np.nanmean(means[-1], axis=1) if macro else total.sum(axis=1) / size.sum(axis=1)[:, None])
    tails = [50 * (1 - level), 100 - 50 * (1 - level)]
    whole = np.percentile(np.concatenate(overall), tails, axis=0)
    found = {key: _rounded(whole[:, column]) for column, key in enumerate(keys)}
    if groups is not None:
        each = np.nanpercentile(np.concatenate(means), tails, axis=0)
        for position, tag in enumerate(tags):
            if not tag:
                continue
            for column, key in enumerate(keys):
                found[f"{key}/{tag}"] = _rounded(each[:, position, column])
    return found


def exact_interval(value: int, clusters: int, level: float = LEVEL) -> Interval:
    """Clopper–Pearson for a share that was 0 or 1 in every one of `clusters` clusters.

    A bootstrap of equal values has no width, which would claim certainty from a handful of clusters. At these two ends
    the bound is that share which would give so many equal outcomes with a chance of (1 - level) / 2.
    """
    bound = ((1 - level) / 2) ** (1 / clusters)
    low, high = (0.0, 1 - bound) if value == 0 else (bound, 1.0)
    return round(low, _DIGITS), round(high, _DIGITS)


def share_intervals(
    values: Mapping[str, np.ndarray],
    clusters: Sequence[str] | np.ndarray,
    *,
    groups: Sequence[str] | None = None,
    macro: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """`intervals` for columns of shares (each value in 0..1), with the exact interval where all queries agree."""
    found = intervals(values, clusters, groups=groups, macro=macro, seed=seed, resamples=resamples, level=level)
    ids = np.asarray(clusters)
    selections = {"": np.ones(len(ids), dtype=bool)}
    if groups is not None:
        tags = np.asarray(groups)
        selections |= {f"/{tag}": tags == tag for tag in sorted(set(groups) - {""})}
    for key, column in values.items():
        for suffix, chosen in selections.items():
            seen = np.unique(np.asarray(column)[chosen])
            if len(seen) == 1 and seen[0] in (0.0, 1.0):
                found[key + suffix] = exact_interval(int(seen[0]), len(np.unique(ids[chosen])), level)
    return found


def _codes(labels: Sequence[str] | np.ndarray) -> tuple[list[str], np.ndarray]:
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    return [str(name) for name in names], codes


def _draws(clusters: int, resamples: int, seed: int) -> Iterable[np.ndarray]:
    """How often each cluster was drawn, `(block, clusters)` float64, until there were `resamples` of them."""
    return (_kept if resamples * clusters <= _BLOCK_VALUES else _drawn)(clusters, resamples, seed)


@lru_cache(maxsize=4)
def _kept(clusters: int, resamples: int, seed: int) -> list[np.ndarray]:
    """The draws of a small benchmark, which each of a result's figures asks for again."""
    return list(_drawn(clusters, resamples, seed))


def _drawn(clusters: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(seed)
    block = max(1, min(resamples, _BLOCK_VALUES // clusters))
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        chosen = random.integers(clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
        yield np.bincount(chosen.ravel(), minlength=rows * clusters).reshape(rows, clusters).astype(np.float64)


def _rounded(bounds: np.ndarray) -> Interval:
    return round(float(bounds[0]), _DIGITS), round(float(bounds[1]), _DIGITS)
