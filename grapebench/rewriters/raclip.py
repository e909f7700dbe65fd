"""Retrieval augmentation: training pairs like the query lend it the vectors of their other half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from grapebench.datasets.seen import Seen, whole
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher, attached
from grapebench.rewriters.setup import Setup
from grapebench.rewriters.training_split import SPLIT, training_split

Side = Literal["captions", "images"]


class Augmented:
    """Searches q + weight · mean(v_1, …, v_k), the v belonging to the k training pairs that are nearest to the query.

    After RA-CLIP (Xie et al., CVPR 2023). There, pairs whose image is like an image enrich that image's vector, by a
    module that is trained; here the pairs enrich the query's vector, with one fixed weight and nothing trained.
    """

    language_model = False
    sampled = False
    stored = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        match: Side = "captions"
        """What of a training pair is compared with the query's text."""
        add: Side = "images"
        """What of a training pair is added to it."""
        k: int = Field(8, ge=1)
        """How many pairs; all there are where the split holds fewer."""
        weight: float = Field(1.0, gt=0)
        """Of the mean of what is added (RA-CLIP's place for it: α); the query's own text has the weight 1."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        """Loads the annotations of the task's training split. Raises UserError where it has none."""
        self.settings = settings
        self.train = training_split(setup)
        self.pairs = [(query.text, image) for query in self.train.queries for image in query.positives]
        if not self.pairs:
            raise UserError("the training split has no labelled queries to learn from", file=self.train.root)
        self._searcher: Searcher | None = None

    def attach(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def seen(self) -> Seen:
        """The training split: searching its images is refused as if they had been trained on."""
        return whole([self.train])

    @cached_property
    def description(self) -> dict[str, Any]:
        gallery = self.train.gallery
        return {
            "looks_at": {
                "task": self.train.name,
                "split": SPLIT,
                "pairs": len(self.pairs),
                "dataset": self.train.dataset.fingerprint,
                "images": sha256_json(gallery.images.sha256(gallery.ids)),
            }
        }

    @property
    def fingerprint(self) -> str:
        return sha256_json(["raclip", 1, self.settings.model_dump(), self.description])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query; its trace names the training images of its pairs, the nearest first."""
        from grapebench.retrieval.topk import top_k

        if not queries:
            return
        given = attached(self._searcher)
        train = Searcher(self.train.gallery, given.retriever, given.store)
        captions, images = (list(side) for side in zip(*self.pairs, strict=True))
        compared = train.texts(captions) if self.settings.match == "captions" else train.images(images)
        nearest, _ = top_k(given.texts([query.text for query in queries]), compared, self.settings.k)
        vectors = train.images(images) if self.settings.add == "images" else None
        for query, rows in zip(queries, nearest, strict=True):
            trace = {SPLIT: " ".join(images[row] for row in rows)}
            weight = self.settings.weight
            if vectors is None:
                texts = (query.text, *(captions[row] for row in rows))
                weights = (1.0, *(weight / len(rows) for _ in rows))
                yield Rewrite(query.id, texts=texts, weights=weights, trace=trace)
                continue
            # One part for all of them: k vectors a query would fill the store to no one's use.
            mean = vectors[rows].astype(np.float64).mean(axis=0)
            length = float(np.linalg.norm(mean))
            unit = tuple((mean / length).astype(np.float32).tolist())
            yield Rewrite(query.id, texts=(query.text,), vectors=(unit,), weights=(1.0, weight * length), trace=trace)
