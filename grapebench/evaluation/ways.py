"""How queries and images find each other, both ways: with one vector a query, or with several that are fused.

One vector a query goes through the fast counting of `retrieval.ranking` and `retrieval.topk`, several go through the
tables of `retrieval.fused`, read in `retrieval.dense`. Both answer the same questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grapebench.evaluation import metrics
from grapebench.records import Ranking
from grapebench.retrieval import dense, ranking, topk
from grapebench.retrieval.fused import Fused, ImagesByQuery, QueriesByImage, Table
from grapebench.retrieval.ranking import Examination

_BLOCK_VALUES = 8 * 2**20

Vectors = np.ndarray | Fused
"""The queries' vectors: `(queries, dimension)` unit rows, float32, or several of each."""
Listing = tuple[np.ndarray, np.ndarray]
"""Columns and scores, `(rows, k)`, best first; column -1 where there is nothing more."""
Columns = Sequence[np.ndarray]


class Ways(Protocol):
    """The questions. Positives, subsets and members are one array of columns for each row that is asked."""

    def examine(self, positives: Columns, top: int) -> Examination:
        """Every query's best positive in the gallery, and its similarities."""

    def ranks(self, rows: np.ndarray, positives: Columns) -> Ranking:
        """The best positive of some of the queries in the gallery."""

    def subset_ranks(self, rows: np.ndarray, positives: Columns, subsets: Columns) -> Ranking:
        """The best positive of some of the queries among its subset."""

    def precisions(self, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Average precision of every query; see `precisions`."""

    def best_images(self, k: int) -> Listing:
        """The best gallery images of every query."""

    def members(self, members: Columns) -> Listing:
        """Some gallery images of every query in the order of their scores."""

    def text_ranks(self, images: np.ndarray, texts: np.ndarray, positives: Columns) -> np.ndarray:
        """Of some gallery images the rank of the best positive among some of the queries, `(images,)`."""

    def text_precisions(self, images: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Average precision of some gallery images over all queries."""

    def best_texts(self, texts: np.ndarray, k: int) -> Listing:
        """The best of some of the queries for every gallery image, as places among these."""


def open_ways(vectors: Vectors, images: np.ndarray, excluded: Columns | None = None) -> Ways:
    """`images` are the gallery's `(gallery, dimension)`; `excluded` columns leave each query's ranking."""
    if isinstance(vectors, Fused):
        return Several(vectors, images, excluded)
    return Single(vectors, images, excluded)


@dataclass(frozen=True)
class Single:
    """One vector a query."""

    vectors: np.ndarray
    images: np.ndarray
    excluded: Columns | None

    def examine(self, positives: Columns, top: int) -> Examination:
        return ranking.examine(self.vectors, self.images, positives, self.excluded, top=top)

    def ranks(self, rows: np.ndarray, positives: Columns) -> Ranking:
        return ranking.count_ranks(self.vectors[rows], self.images, positives, _of(self.excluded, rows))

    def subset_ranks(self, rows: np.ndarray, positives: Columns, subsets: Columns) -> Ranking:
        return ranking.subset_ranks(self.vectors[rows], self.images, positives, subsets)

    def precisions(self, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        return precisions(self.vectors, self.images, wanted, found, self.excluded)

    def best_images(self, k: int) -> Listing:
        return topk.top_k(self.vectors, self.images, k, self.excluded)

    def members(self, members: Columns) -> Listing:
        return topk.rank_members(self.vectors, self.images, members)

    def text_ranks(self, images: np.ndarray, texts: np.ndarray, positives: Columns) -> np.ndarray:
        return ranking.count_ranks(self.images[images], self.vectors[texts], positives).rank

    def text_precisions(self, images: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        return precisions(self.images[images], self.vectors, wanted, found)

    def best_texts(self, texts: np.ndarray, k: int) -> Listing:
        return topk.top_k(self.images, self.vectors[texts], k)


@dataclass(frozen=True)
class Several:
    """Several vectors a query."""

    vectors: Fused
    images: np.ndarray
    excluded: Columns | None

    def examine(self, positives: Columns, top: int) -> Examination:
        return dense.examine(self._table(), positives, top=top)

    def ranks(self, rows: np.ndarray, positives: Columns) -> Ranking:
        return dense.examine(self._table(rows), positives).ranking

    def subset_ranks(self, rows: np.ndarray, positives: Columns, subsets: Columns) -> Ranking:
        return dense.subset_ranks(self._table(rows), positives, subsets)

    def precisions(self, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        return _precisions(self._table(), wanted, found)

    def best_images(self, k: int) -> Listing:
        return dense.top_k(self._table(), k)

    def members(self, members: Columns) -> Listing:
        return dense.rank_members(self._table(), members)

    def text_ranks(self, images: np.ndarray, texts: np.ndarray, positives: Columns) -> np.ndarray:
        return dense.examine(QueriesByImage(self.images[images], self.vectors.take(texts)), positives).ranking.rank

    def text_precisions(self, images: np.ndarray, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
        return _precisions(QueriesByImage(self.images[images], self.vectors), wanted, found)

    def best_texts(self, texts: np.ndarray, k: int) -> Listing:
        return dense.top_k(QueriesByImage(self.images, self.vectors.take(texts)), k)

    def _table(self, rows: np.ndarray | None = None) -> Table:
        if rows is None:
            return ImagesByQuery(self.vectors, self.images, self.excluded)
        return ImagesByQuery(self.vectors.take(rows), self.images, _of(self.excluded, rows))


def precisions(
    queries: np.ndarray,
    gallery: np.ndarray,
    wanted: np.ndarray,
    found: np.ndarray,
    excluded: Columns | None = None,
) -> np.ndarray:
    """Average precision of each query over its whole ranking, `(queries,)` float64.

    `queries` is `(queries, dimension)` and `gallery` `(gallery, dimension)`, float32, unit rows; `wanted` is each
    query's category and `found` each gallery row's, and what has the query's is right. Excluded columns leave the
    ranking. Scores are rounded as everywhere (see retrieval/kernels.py); of equal ones the right ones come last.
    """
    values = np.zeros(len(queries))
    right = gallery.T.astype(np.float64)
    step = max(1, _BLOCK_VALUES // max(1, len(gallery)))
    for start in range(0, len(queries), step):
        scores = (queries[start : start + step].astype(np.float64) @ right).astype(np.float32)
        for row, line in enumerate(scores, start):
            if excluded is not None:
                line[excluded[row]] = -np.inf
            values[row] = _precision(line, found == wanted[row])
    return values


def _precisions(table: Table, wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    values = np.zeros(table.shape[0])
    for row, scores, _ in dense.lines(table):
        values[row] = _precision(scores, found == wanted[row])
    return values


def _precision(scores: np.ndarray, right: np.ndarray) -> float:
    """Average precision of one ranking; what is excluded scores -inf."""
    kept = scores > -np.inf
    good = scores[right & kept]
    return metrics.average_precision(good, scores[~right & kept], len(good))


def _of(lists: Columns | None, rows: np.ndarray) -> Columns | None:
    return None if lists is None else [lists[row] for row in rows]
