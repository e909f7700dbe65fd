"""A task's gallery and the retriever together: for rewriters that look before they write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grapebench.errors import UserError
from grapebench.records import Gallery, Retriever

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore


@dataclass(frozen=True)
class Searcher:
    """What a rewriter with a method `attach(searcher)` is given before it is asked. Nothing here knows the answers."""

    gallery: Gallery
    retriever: Retriever
    store: EmbeddingStore

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors `(texts, dimension)`, float32."""
        from grapebench.retrieval.encode import text_vectors

        return text_vectors(texts, self.retriever, self.store)

    def images(self, ids: Sequence[str]) -> np.ndarray:
        """Unit vectors of gallery images, `(ids, dimension)`, float32."""
        from grapebench.retrieval.encode import image_vectors

        return image_vectors(ids, self.gallery, self.retriever, self.store)

    def nearest(
        self, vectors: np.ndarray, k: int, excluded: Iterable[tuple[str, ...]] = ()
    ) -> tuple[list[list[str]], np.ndarray]:
        """Ids of the `k` nearest gallery images of each vector, best first, and their cosines `(vectors, k)`.

        `excluded` are ids that leave each vector's list; lists are shorter than `k` where the gallery is.
        """
        from grapebench.retrieval.encode import gallery_vectors
        from grapebench.retrieval.topk import top_k

        images = gallery_vectors(self.gallery, self.retriever, self.store)
        columns = [np.array([self.gallery.index[one] for one in some], np.int64) for some in excluded]
        found, scores = top_k(vectors, images, k, columns or None)
        return [[self.gallery.ids[column] for column in row if column >= 0] for row in found], scores


def attached(searcher: Searcher | None) -> Searcher:
    """What a rewriter was given by `attach`. Raises UserError where it was given nothing."""
    if searcher is None:
        raise UserError(
            "this rewriter looks at the retriever and the gallery, and was given neither",
            fix="call its attach(searcher) before rewrite(queries)",
        )
    return searcher
