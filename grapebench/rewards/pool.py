"""What the attempts of one step are ranked among: the whole corpus, a sample of it, or the batch's own images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from grapebench.records import Gallery, Query
from grapebench.rewards.attempts import Attempts

Size = Literal["corpus", "batch"] | int
"""'corpus': every image. A number: a sample of so many images, drawn anew at every step and shared by its queries, and
the right images of those queries. 'batch': the right images of the step's queries alone. Of several processes each has
its own share of a step's queries."""


@dataclass(frozen=True)
class Pool:
    """The images of a training split, and how many of them a step ranks."""

    gallery: Gallery
    images: np.ndarray
    """`(gallery, dimension)`, float32 unit rows in the gallery's order."""
    size: Size = "corpus"
    seed: int = 0
    device: str = "cpu"

    @cached_property
    def longest(self) -> float:
        """Length of the longest row of `images`, measured once. UserError where one is not finite."""
        from grapebench.retrieval.sweep import longest_row

        return longest_row(self.images)

    def attempts(self, vectors: np.ndarray, queries: Sequence[Query], step: int) -> Attempts:
        """The attempts `(attempts, dimension)`, one for each of `queries` (equal ones follow each other in a group)."""
        columns = self.columns(queries, step)
        place = np.full(len(self.gallery), -1, np.int64)
        place[columns] = np.arange(len(columns))

        def inside(images: tuple[str, ...]) -> np.ndarray:
            found = place[[self.gallery.index[image] for image in images]] if images else place[:0]
            return found[found >= 0]

        subsets = [inside(query.subset) for query in queries] if any(query.subset for query in queries) else []
        return Attempts(
            vectors=vectors,
            images=self.images if len(columns) == len(self.images) else self.images[columns],
            positives=[inside(query.positives) for query in queries],
            excluded=[inside(query.excluded) for query in queries],
            subsets=subsets,
            device=self.device,
            longest=self.longest,
            watched=firsts([query.id for query in queries]),
        )

    def columns(self, queries: Sequence[Query], step: int) -> np.ndarray:
        """The gallery's columns that this step ranks, ascending; the same for the same step and queries."""
        everything = len(self.gallery)
        if self.size == "corpus" or (isinstance(self.size, int) and self.size >= everything):
            return np.arange(everything)
        named = {image for query in queries for image in (*query.positives, *query.subset)}
        own = np.array(sorted(self.gallery.index[image] for image in named), dtype=np.int64)
        if self.size == "batch":
            return own
        drawn = np.random.default_rng([self.seed, step]).choice(everything, self.size, replace=False)
        return np.union1d(own, drawn)


def firsts(keys: Sequence[str]) -> np.ndarray:
    """The place of the first of each run of equal keys, ascending: of each group's first attempt."""
    return np.array([place for place, key in enumerate(keys) if place == 0 or key != keys[place - 1]], np.int64)
