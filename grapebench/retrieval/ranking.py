"""Ranks by counting: how many gallery images score above a query's target, without sorting anything.

A target's rank is `1 + above + equal`, counted over the gallery without the query's excluded images and without its
other positives. Ties count against the target, so that a scorer without an opinion gets the worst rank. A score is
the dot product of two float32 rows accumulated in float64 and rounded to float32 (see kernels.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from grapebench.errors import UserError
from grapebench.records import Ranking
from grapebench.retrieval.kernels import Kernel
from grapebench.retrieval.sweep import (
    Columns,
    Matrix,
    Pairs,
    Similarities,
    Summary,
    Sweep,
    open_kernel,
    require_finite,
)


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that one pass over the similarities gives."""

    ranking: Ranking
    similarities: Similarities


def _best(positives: Pairs, score: np.ndarray) -> np.ndarray:
    """Which of the pairs is each query's best, one for each query that has any."""
    order = np.lexsort((-score, positives.row))
    rows = positives.row[order]
    return order[np.flatnonzero(np.diff(rows, prepend=-1))]


def _ranking(
    queries: int, candidates: np.ndarray, row: np.ndarray, above: np.ndarray, equal: np.ndarray, score: np.ndarray
) -> Ranking:
    """A ranking of all queries from those that have a positive; the others missed everything."""
    all_above, all_equal = candidates.copy(), np.zeros(queries, np.int64)
    all_score = np.full(queries, np.nan, np.float32)
    all_above[row], all_equal[row], all_score[row] = above, equal, score
    return Ranking(1 + all_above + all_equal, all_above, all_equal, all_score, candidates)


def _prepare(
    kernel: Kernel, size: tuple[int, int], positives: Columns, excluded: Columns | None, longest: float | None
) -> tuple[Sweep, Pairs, np.ndarray]:
    """The sweep, the positives that stand in the ranking, and the number of candidates of each query."""
    queries, gallery, _ = kernel.shape
    out = Pairs.of(excluded, queries, gallery, "excluded")
    good = Pairs.of(positives, queries, gallery, "positives").without(out, gallery)
    hidden = Pairs(np.concatenate([out.row, good.row]), np.concatenate([out.column, good.column]))
    candidates = gallery - np.bincount(out.row, minlength=queries)
    return Sweep(kernel, size, hidden, longest), good, candidates


def count_ranks(
    queries: Matrix,
    gallery: Matrix,
    positives: Columns,
    excluded: Columns | None = None,
    *,
    device: str = "cpu",
    backend: str | None = None,
    block_bytes: int | None = None,
    longest: float | None = None,
) -> Ranking:
    """Rank of each query's best positive.

    `queries` is `(queries, dimension)`, `gallery` `(gallery, dimension)`, float32, unit rows; `positives` and
    `excluded` hold one array of gallery columns a query. A query without a positive among its candidates ranks last
    plus one, with score NaN. Beside its inputs this takes about twice `block_bytes`. A NaN or infinity in either
    matrix is a UserError.

    Whoever asks again and again of one gallery measures its rows once (`sweep.longest_row`): given `longest`, a length
    that no row exceeds, they are neither measured nor looked through for a NaN.
    """
    kernel, size = open_kernel(queries, gallery, device=device, backend=backend, block_bytes=block_bytes)
    return _examine(kernel, size, positives, excluded, longest, None)[0]


def examine(
    queries: Matrix,
    gallery: Matrix,
    positives: Columns,
    excluded: Columns | None = None,
    *,
    top: int = 10,
    device: str = "cpu",
    backend: str | None = None,
    block_bytes: int | None = None,
    longest: float | None = None,
    rows: np.ndarray | None = None,
) -> Examination:
    """`count_ranks` and, in the same pass, the similarities behind score inflation.

    `top` is how many of the highest others go into their mean. `rows` are the queries whose similarities are wanted,
    ascending; None: all. They cost a fifth of the product, and the ranks are the same whichever are asked for.
    """
    kernel, size = open_kernel(queries, gallery, device=device, backend=backend, block_bytes=block_bytes)
    rows = np.arange(kernel.shape[0]) if rows is None else rows
    summary = Summary(rows, top)
    ranking, others = _examine(kernel, size, positives, excluded, longest, summary)
    return Examination(ranking, summary.similarities(ranking.score[rows], others[rows]))


def _examine(
    kernel: Kernel,
    size: tuple[int, int],
    positives: Columns,
    excluded: Columns | None,
    longest: float | None,
    summary: Summary | None,
) -> tuple[Ranking, np.ndarray]:
    sweep, good, candidates = _prepare(kernel, size, positives, excluded, longest)
    score = kernel.exact(good.row, good.column)
    best = _best(good, score)
    row, score = good.row[best], score[best]
    above, equal = sweep.count(row, good.column[best], score, summary)
    queries = kernel.shape[0]
    others = candidates - np.bincount(good.row, minlength=queries)
    return _ranking(queries, candidates, row, above, equal, score), others


def positive_ranks(
    queries: Matrix,
    gallery: Matrix,
    positives: Columns,
    excluded: Columns | None = None,
    *,
    device: str = "cpu",
    backend: str | None = None,
    block_bytes: int | None = None,
    longest: float | None = None,
) -> list[np.ndarray]:
    """The ranks of all positives of each query, ascending: 1 + others above + others equal + better positives.

    Excluded positives are left out. Arguments and errors as in `count_ranks`.
    """
    kernel, size = open_kernel(queries, gallery, device=device, backend=backend, block_bytes=block_bytes)
    sweep, good, _ = _prepare(kernel, size, positives, excluded, longest)
    score = kernel.exact(good.row, good.column)
    above, equal = sweep.count(good.row, good.column, score)
    ends = np.searchsorted(good.row, np.arange(1, kernel.shape[0]))
    return [np.sort(part) + 1 + np.arange(len(part)) for part in np.split(above + equal, ends)]


def subset_ranks(queries: Matrix, gallery: Matrix, positives: Columns, subsets: Columns) -> Ranking:
    """Rank of each query's best positive among the gallery columns of its subset alone.

    Arguments and errors as in `count_ranks`; positives outside the subset do not count.
    """
    kernel, _ = open_kernel(queries, gallery, backend="numpy")
    count, width, _ = kernel.shape
    require_finite(kernel.query_norms(), "query vector")
    members = Pairs.of(subsets, count, width, "subsets")
    others = members.without(Pairs.of(positives, count, width, "positives"), width)
    good = members.without(others, width)
    good_score, other_score = kernel.exact(good.row, good.column), kernel.exact(others.row, others.column)
    if not np.isfinite(other_score).all() or not np.isfinite(good_score).all():
        raise UserError("similarities are not finite: the gallery holds vectors that are not")
    best = _best(good, good_score)
    row = good.row[best]
    target = np.full(count, np.nan, np.float32)
    target[row] = good_score[best]
    above = np.bincount(others.row[other_score > target[others.row]], minlength=count)
    equal = np.bincount(others.row[other_score == target[others.row]], minlength=count)
    candidates = np.bincount(members.row, minlength=count)
    return _ranking(count, candidates, row, above[row], equal[row], target[row])
