"""How ambiguous a text is: at what rank the retriever finds the right image with it, in the training gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from grapebench.records import Gallery, Query, Retriever

_CHUNK = 4096
"""Texts that are encoded and ranked at once."""


@dataclass(frozen=True)
class Search:
    """The training gallery and the frozen retriever."""

    gallery: Gallery
    images: np.ndarray
    """`(gallery, dimension)`, float32 unit rows."""
    retriever: Retriever

    @cached_property
    def _longest(self) -> float:
        from grapebench.retrieval.sweep import longest_row

        return longest_row(self.images)

    def places(
        self, queries: Sequence[Query], texts: Sequence[str], progress: Callable[[int, int], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rank of each query's best right image by its text and the cosine with that image, both `(texts,)`.

        Exact, ties counted against the text, excluded images left out. Vectors are not stored: few texts come again.
        """
        from grapebench.retrieval.ranking import count_ranks

        rank, cosine = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.float32)
        for start in range(0, len(texts), _CHUNK):
            progress(start, len(texts))
            part = slice(start, start + _CHUNK)
            found = count_ranks(
                self._vectors(texts[part]), self.images, self._columns(queries[part], lambda query: query.positives),
                self._columns(queries[part], lambda query: query.excluded), longest=self._longest,
            )  # fmt: skip
            rank[part], cosine[part] = found.rank, found.score
        progress(len(texts), len(texts))
        return rank, cosine

    def wrong(self, queries: Sequence[Query], texts: Sequence[str], k: int) -> list[list[str]]:
        """Ids of the images that each text finds first and that are not right, best first, at most `k`."""
        from grapebench.retrieval.topk import top_k

        out = self._columns(queries, lambda query: (*query.positives, *query.excluded))
        columns, _ = top_k(self._vectors(texts), self.images, k, [np.unique(some) for some in out])
        return [[self.gallery.ids[column] for column in row if column >= 0] for row in columns]

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        from grapebench.retrieval.encode import Lookup

        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return np.zeros((0, self.images.shape[1]), np.float32)
        known = self.retriever.look_up_texts(distinct) if isinstance(self.retriever, Lookup) else None
        vectors = self.retriever.encode_texts(distinct) if known is None else known
        place = {text: row for row, text in enumerate(distinct)}
        found: np.ndarray = vectors[[place[text] for text in texts]]
        return found

    def _columns(self, queries: Sequence[Query], of: Callable[[Query], tuple[str, ...]]) -> list[np.ndarray]:
        return [np.array([self.gallery.index[image] for image in of(query)], np.int64) for query in queries]
