"""Ranks, similarities and best columns read from whole rows of scores: the counterpart of ranking.py and topk.py for
queries of several vectors (see fused.py). The rules are the same: counted, ties against the target, excluded is out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grapebench.records import Ranking
from grapebench.retrieval.fused import Table
from grapebench.retrieval.ranking import Examination
from grapebench.retrieval.sweep import Columns, Similarities


def lines(table: Table) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each row's number, its scores `(columns,)` (-inf where excluded) and its cosines `(columns,)`."""
    for block in table.blocks():
        for row, (scores, cosines) in enumerate(zip(block.scores, block.cosines, strict=True), block.rows.start):
            yield row, scores, cosines


def examine(table: Table, positives: Columns, *, top: int = 10) -> Examination:
    """Rank of each row's best positive, and the cosines behind score inflation.

    `positives` holds one array of columns a row; `top` is how many of the highest others go into their mean. A row
    without a positive among its candidates ranks last plus one, with score NaN. The score and all similarities are
    cosines of the part nearest to each image, also where the ranking is by something else.
    """
    rows = table.shape[0]
    candidates, above, equal = (np.zeros(rows, np.int64) for _ in range(3))
    score = np.full(rows, np.nan, np.float32)
    others, highest, margin = (np.full(rows, np.nan) for _ in range(3))
    for row, scores, cosines in lines(table):
        rest = scores > -np.inf
        candidates[row] = above[row] = np.count_nonzero(rest)
        good = _within(positives[row], scores)
        rest[good] = False
        if len(good):
            best = good[np.argmax(scores[good])]
            score[row] = cosines[best]
            above[row] = np.count_nonzero(rest & (scores > scores[best]))
            equal[row] = np.count_nonzero(rest & (scores == scores[best]))
        if len(near := cosines[rest]):
            others[row] = near.mean(dtype=np.float64)
            most = np.partition(near, -top)[-top:] if len(near) > top else near
            highest[row] = most.mean(dtype=np.float64)
            margin[row] = score[row].astype(np.float64) - near.max()
    ranking = Ranking(1 + above + equal, above, equal, score, candidates)
    return Examination(ranking, Similarities(score, others, highest, margin))


def subset_ranks(table: Table, positives: Columns, subsets: Columns) -> Ranking:
    """Rank of each row's best positive among the columns of its subset alone, by the same scores.

    An image has one score, whatever it is listed with: fusion by rank does not count anew among the subset.
    """
    rows = table.shape[0]
    candidates, above, equal = (np.zeros(rows, np.int64) for _ in range(3))
    score = np.full(rows, np.nan, np.float32)
    for row, scores, cosines in lines(table):
        members = _within(subsets[row], scores)
        right = np.isin(members, positives[row])
        candidates[row] = above[row] = len(members)
        if right.any():
            good, rest = members[right], scores[members[~right]]
            best = good[np.argmax(scores[good])]
            score[row] = cosines[best]
            above[row] = np.count_nonzero(rest > scores[best])
            equal[row] = np.count_nonzero(rest == scores[best])
    return Ranking(1 + above + equal, above, equal, score, candidates)


def top_k(table: Table, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best columns of each row and their scores, `(rows, k)`, equal ones in the order of the columns.

    `k` is cut to the number of columns. Where a row has fewer candidates, column -1 and score -inf fill it.
    """
    k = min(k, table.shape[1])
    found = _empty(table, k)
    for row, scores, _ in lines(table) if k else ():
        least = np.partition(scores, -k)[-k]
        _fill(found, row, scores, _within(np.flatnonzero(scores >= least), scores))
    return found


def rank_members(table: Table, members: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Each row's own list of columns in the order of their scores, filled up as in `top_k`."""
    found = _empty(table, max((len(np.unique(columns)) for columns in members), default=0))
    for row, scores, _ in lines(table):
        _fill(found, row, scores, _within(members[row], scores))
    return found


def _within(columns: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Those of some columns that are candidates, each once, in the order of the columns."""
    once = np.unique(np.asarray(columns, np.int64))
    kept: np.ndarray = once[scores[once] > -np.inf]
    return kept


def _empty(table: Table, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((table.shape[0], k), -1, np.int64), np.full((table.shape[0], k), -np.inf, table.dtype)


def _fill(found: tuple[np.ndarray, np.ndarray], row: int, scores: np.ndarray, columns: np.ndarray) -> None:
    order = columns[np.argsort(-scores[columns], kind="stable")][: found[0].shape[1]]
    found[0][row, : len(order)], found[1][row, : len(order)] = order, scores[order]
