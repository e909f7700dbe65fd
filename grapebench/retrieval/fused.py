"""Queries of several vectors: how the scores of the parts come to one score of each image.

One vector a query is the rule, and then nothing here is used (see ranking.py). With several, all scores of some queries
lie in memory at a time, never those of all; they are read in dense.py. A cosine is the dot product accumulated in
float64 and rounded to float32, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from grapebench.records import Fusion
from grapebench.retrieval.ranking import count_ranks
from grapebench.retrieval.sweep import Columns, require_finite, slices

RRF = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009)."""
BY_RANK: tuple[Fusion, ...] = ("rrf", "turns")
"""Fusions that look at the ranks of the parts, and at their weights."""
BLOCK = 64 * 2**20
"""Bytes of one block of scores; a single query with all its parts may take more."""
_STRIP = 8192
"""Gallery rows that are turned into float64 at a time."""


@dataclass(frozen=True)
class Fused:
    """Queries with one or more vectors each."""

    parts: np.ndarray
    """`(parts, dimension)`, float32 unit rows, query by query."""
    counts: np.ndarray
    """`(queries,)`: how many parts each query has, at least one."""
    weights: np.ndarray
    """`(parts,)` float64, above 0; only those of `BY_RANK` look at them."""
    fusions: tuple[Fusion, ...]
    """One a query. That of a query with one part does not matter."""

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def starts(self) -> np.ndarray:
        """`(queries + 1,)`: where each query's parts begin, and where the last one's end."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def reciprocal(self) -> np.ndarray:
        """`(queries,)` bool: those with several parts that are fused by reciprocal rank."""
        return self._several("rrf")

    @cached_property
    def in_turns(self) -> np.ndarray:
        """`(queries,)` bool: those with several parts that take turns."""
        return self._several("turns")

    def _several(self, wanted: Fusion) -> np.ndarray:
        return np.array(
            [fusion == wanted and count > 1 for fusion, count in zip(self.fusions, self.counts, strict=True)], bool
        )

    def of(self, row: int) -> slice:
        """The parts of one query."""
        return slice(int(self.starts[row]), int(self.starts[row + 1]))

    def take(self, rows: np.ndarray) -> Fused:
        """Some of the queries, in the order given."""
        kept = np.concatenate([np.zeros(0, np.int64), *(np.arange(self.starts[r], self.starts[r + 1]) for r in rows)])
        fusions = tuple(self.fusions[row] for row in rows)
        return Fused(self.parts[kept], self.counts[rows], self.weights[kept], fusions)


class Block(NamedTuple):
    """All scores of some rows."""

    rows: slice
    scores: np.ndarray
    """`(rows, columns)`: what is ranked by; float64 where anything is fused by rank, else the cosines themselves. -inf
    where a column is excluded from the row."""
    cosines: np.ndarray
    """`(rows, columns)` float32: of the nearest part, whatever the fusion."""


class Table(Protocol):
    """Scores of rows against columns, some rows at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def dtype(self) -> type[np.floating]:
        """Of the scores."""

    def blocks(self) -> Iterator[Block]:
        """All rows in their order; what is yielded may be written to. Raises UserError for what is not finite."""


@dataclass(frozen=True)
class ImagesByQuery:
    """Rows are the queries, columns the gallery `(gallery, dimension)`.

    'turns': minus the image's place in the list that the parts make in turns (see `_in_turns`), by ranks as in 'rrf'.
    'max': the highest cosine of the query's parts. 'rrf': the sum over the parts of weight / (60 + rank); the rank is
    pessimistic (1 + above + equal) and among the candidates, of which excluded images are none. Terms are added in
    float64 from the smallest to the largest: images with the same terms tie, in whichever parts they have them.
    """

    queries: Fused
    gallery: np.ndarray
    excluded: Columns | None = None
    """Gallery columns that leave the ranking, one array a query."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.queries), len(self.gallery)

    @property
    def dtype(self) -> type[np.floating]:
        by_rank = self.queries.reciprocal.any() or self.queries.in_turns.any()
        return np.float64 if by_rank else np.float32

    def blocks(self) -> Iterator[Block]:
        queries = self.queries
        _check(queries.parts, self.gallery)
        if any(fusion == "best" and count > 1 for fusion, count in zip(queries.fusions, queries.counts, strict=True)):
            raise ValueError("'best' has to be settled first")
        for rows in _together(queries.counts, max(1, BLOCK // (8 * max(1, len(self.gallery))))):
            parts = slice(int(queries.starts[rows.start]), int(queries.starts[rows.stop]))
            every = _cosines(queries.parts[parts], self.gallery)
            nearest = np.maximum.reduceat(every, queries.starts[rows] - parts.start, axis=0)
            scores = nearest.astype(self.dtype)
            for row in range(rows.start, rows.stop):
                out = np.zeros(0, np.int64) if self.excluded is None else self.excluded[row]
                own = scores[row - rows.start]
                if queries.reciprocal[row] or queries.in_turns[row]:
                    of = queries.of(row)
                    lines = every[of.start - parts.start : of.stop - parts.start]
                    fuse = _by_ranks if queries.reciprocal[row] else _in_turns
                    own[:] = fuse(lines, queries.weights[of], out)
                own[out] = -np.inf
            yield Block(rows, scores, nearest)


@dataclass(frozen=True)
class QueriesByImage:
    """The way back: rows are images `(images, dimension)`, columns the queries.

    By cosine a query is as near as its nearest part, and so is one whose parts take turns: here the image asks, there
    is one list, and in it the first part is the nearest. Where any query is fused by reciprocal rank, all parts of all
    queries stand in one list for each image, with pessimistic ranks; such a query then scores the mean of
    1 / (60 + rank) over its parts, by their weights, and any other that of its nearest part.
    """

    images: np.ndarray
    queries: Fused

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.images), len(self.queries)

    @property
    def dtype(self) -> type[np.floating]:
        return np.float64 if self.queries.reciprocal.any() else np.float32

    def blocks(self) -> Iterator[Block]:
        queries = self.queries
        _check(self.images, queries.parts)
        padded = len(queries) * int(queries.counts.max(initial=1))
        for rows in slices(len(self.images), max(1, BLOCK // (8 * max(1, padded)))):
            every = _cosines(self.images[rows], queries.parts)
            nearest = np.maximum.reduceat(every, queries.starts[:-1], axis=1)
            scores = self._by_ranks(every) if queries.reciprocal.any() else nearest.copy()
            yield Block(rows, scores, nearest)

    def _by_ranks(self, cosines: np.ndarray) -> np.ndarray:
        queries = self.queries
        place = np.arange(queries.counts.max())
        own = place < queries.counts[:, None]
        part = np.where(own, queries.starts[:-1, None] + place, 0)
        weights = np.where(own & queries.reciprocal[:, None], queries.weights[part], own)
        weights = weights / np.where(queries.reciprocal, weights.sum(axis=1), 1.0)[:, None]
        terms = weights / (RRF + np.stack([_ranks(line) for line in cosines])[:, part])
        return np.where(queries.reciprocal, _sum(np.moveaxis(terms, 2, 0)), terms.max(axis=2))


def settle_best(
    queries: Fused, gallery: np.ndarray, positives: Columns, excluded: Columns | None
) -> np.ndarray | Fused:
    """The queries with only one part left where the fusion is 'best'; as plain vectors where all have one then.

    It is the part that ranks the query's best positive highest in the gallery `(gallery, dimension)`, the first of
    equals; for everything else that is measured it is the query's vector. `positives` and `excluded` are as in
    `count_ranks`.
    """
    rows = np.array([row for row, fusion in enumerate(queries.fusions) if fusion == "best"], np.int64)
    asked = queries.take(rows)
    owner = np.repeat(rows, asked.counts).tolist()
    out = None if excluded is None else [excluded[row] for row in owner]
    ranks = count_ranks(asked.parts, gallery, [positives[row] for row in owner], out).rank
    kept = np.ones(len(queries.parts), bool)
    for place, row in enumerate(rows):
        of = queries.of(row)
        kept[of] = False
        kept[of.start + int(np.argmin(ranks[asked.of(place)]))] = True
    counts = queries.counts.copy()
    counts[rows] = 1
    left = Fused(queries.parts[kept], counts, queries.weights[kept], queries.fusions)
    return left.parts if len(left.parts) == len(left) else left


def _check(left: np.ndarray, right: np.ndarray) -> None:
    for rows, what in ((left, "query vector"), (right, "gallery vector")):
        with np.errstate(all="ignore"):
            require_finite(np.vecdot(rows, rows), what)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`(left, right)` float32, from float64 products."""
    found = np.empty((len(left), len(right)), np.float32)
    exact = left.astype(np.float64)
    for strip in slices(len(right), _STRIP):
        found[:, strip] = exact @ right[strip].astype(np.float64).T
    return found


def _together(counts: np.ndarray, most: int) -> Iterator[slice]:
    """Consecutive queries with at most so many parts between them, but at least one query."""
    start = held = 0
    for row, count in enumerate(counts.tolist()):
        if row > start and held + count > most:
            yield slice(start, row)
            start, held = row, 0
        held += count
    if start < len(counts):
        yield slice(start, len(counts))


def _ranks(line: np.ndarray) -> np.ndarray:
    """The pessimistic rank of each entry: how many are at least as high."""
    order = np.argsort(line)
    ascending = line[order]
    # Where each run of equal entries begins: twice as fast as looking every entry up.
    first = np.arange(len(line))
    first[1:][ascending[1:] == ascending[:-1]] = 0
    ranks = np.empty(len(line), np.int64)
    ranks[order] = len(line) - np.maximum.accumulate(first)
    return ranks


def _by_ranks(lines: np.ndarray, weights: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Fused scores `(columns,)` from the cosines `(parts, columns)`; of columns that are out they mean nothing."""
    kept = np.ones(lines.shape[1], bool)
    kept[out] = False
    scores = np.zeros(lines.shape[1])
    scores[kept] = _sum([weight / (RRF + _ranks(line[kept])) for weight, line in zip(weights, lines, strict=True)])
    return scores


def _in_turns(lines: np.ndarray, weights: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Minus the places `(columns,)` in the list that parts make in turns, from the cosines `(parts, columns)`.

    In turn r each part votes, with its weight, for the image at rank r of its own. What is not listed yet is, by its
    votes of this turn, then in the order of the first part that voted for it. Equal scores of a part share the rank of
    the last of them, and images with nothing to tell them apart share a place. Of columns that are out they mean
    nothing.
    """
    kept = np.ones(lines.shape[1], bool)
    kept[out] = False
    scores = np.zeros(lines.shape[1])
    if kept.any():
        scores[kept] = -places_in_turns(np.stack([_ranks(line[kept]) for line in lines]), weights)
    return scores


def places_in_turns(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The places `(columns,)` that come of the ranks `(parts, columns)`."""
    return places(turn_keys(ranks, weights))


def turn_keys(ranks: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What the list is ordered by, `(3, columns)`, smaller first: turn, minus the votes in it, and first voter."""
    turn = ranks.min(axis=0)
    voting = ranks == turn
    votes = _sum(np.where(voting, weights[:, None], 0.0))
    return np.stack([turn, -votes, voting.argmax(axis=0)])


def places(keys: np.ndarray) -> np.ndarray:
    """1 + how many columns have a smaller key, `(columns,)`, by keys `(rows, columns)` of which the first row counts
    most."""
    order = np.lexsort(keys[::-1])
    ordered = keys[:, order]
    first = np.arange(len(order))
    first[1:][(ordered[:, 1:] == ordered[:, :-1]).all(axis=0)] = 0
    found = np.empty(len(order), np.int64)
    found[order] = 1 + np.maximum.accumulate(first)
    return found


def _sum(terms: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Over the first axis, from the smallest term to the largest."""
    total = np.zeros(np.shape(terms)[1:])
    for term in np.sort(np.asarray(terms), axis=0):
        total += term
    return total
