"""Pseudo-relevance feedback on vectors: the query moves towards what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict, Field

from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher, attached


class Feedback:
    """Searches q + weight · mean(v_1, …, v_k), the v being the gallery images nearest to the query's text q.

    Rocchio, Relevance Feedback in Information Retrieval, 1971, without its negative term, with the first k in place of
    judged documents. What is right is never looked at; excluded images (composed retrieval: the reference) are not
    among the k.
    """

    language_model = False
    sampled = False
    stored = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        k: int = Field(5, ge=1)
        """How many images are taken for right; all there are where the gallery holds fewer."""
        weight: float = Field(0.5, gt=0)
        """Of their mean; the query's own text has the weight 1."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._searcher: Searcher | None = None

    def attach(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def fingerprint(self) -> str:
        return sha256_json(["prf", 1, self.settings.model_dump()])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query: its text and the k images nearest to it, best first."""
        if not queries:
            return
        searcher = attached(self._searcher)
        vectors = searcher.texts([query.text for query in queries])
        found, _ = searcher.nearest(vectors, self.settings.k, [query.excluded for query in queries])
        for query, images in zip(queries, found, strict=True):
            each = self.settings.weight / max(1, len(images))
            weights = (1.0, *(each for _ in images))
            yield Rewrite(query.id, texts=(query.text,), images=tuple(images), weights=weights)
