"""Rewrites that were tried, and the images that they are judged among."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from grapebench.records import Ranking

if TYPE_CHECKING:
    from grapebench.retrieval.ranking import Examination


@dataclass(frozen=True)
class Attempts:
    """What a reward looks at; each figure is computed when it is first asked for, and once."""

    vectors: np.ndarray
    """Of the attempts, `(attempts, dimension)`, float32 unit rows."""
    images: np.ndarray
    """Of the pool that they rank, `(pool, dimension)`, float32 unit rows."""
    positives: Sequence[np.ndarray]
    """Columns of the pool, one array an attempt: the images that are right."""
    excluded: Sequence[np.ndarray]
    """Columns of the pool, one array an attempt: the images that leave its ranking before anything is counted."""
    subsets: Sequence[np.ndarray] = ()
    """Columns of the pool, one array an attempt: look-alikes ranked among themselves; empty where there are none."""
    device: str = "cpu"
    longest: float | None = None
    """What no row of `images` is longer than; None: not known, and measured whenever they are ranked."""
    watched: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Places of the attempts, ascending, whose similarities the log tells: of few, as they cost more than a rank."""

    @cached_property
    def examined(self) -> Examination:
        """Where the best right image of each attempt came, by counting, and how similar those watched are to all."""
        from grapebench.evaluation.inflation import TOP
        from grapebench.retrieval.ranking import examine

        return examine(
            self.vectors, self.images, self.positives, self.excluded,
            top=TOP, device=self.device, longest=self.longest, rows=self.watched,
        )  # fmt: skip

    @property
    def ranking(self) -> Ranking:
        """Where the best right image of each attempt came."""
        return self.examined.ranking

    @property
    def rank(self) -> np.ndarray:
        """Rank of the best right image with ties counted half, `(attempts,)`, from 1."""
        return self.ranking.middle

    @property
    def candidates(self) -> np.ndarray:
        """N: how many images each attempt ranks, `(attempts,)`."""
        return self.ranking.candidates

    @cached_property
    def worst(self) -> np.ndarray:
        """The last rank that the best right image can have, `(attempts,)`: N - P + 1 with P right among N images."""
        rights = [len(np.setdiff1d(*both)) for both in zip(self.positives, self.excluded, strict=True)]
        found: np.ndarray = self.candidates - np.array(rights, np.int64) + 1
        return found

    @cached_property
    def positive_ranks(self) -> list[np.ndarray]:
        """Ranks of all right images of each attempt, ascending; ties count against them."""
        from grapebench.retrieval.ranking import positive_ranks

        return positive_ranks(
            self.vectors, self.images, self.positives, self.excluded, device=self.device, longest=self.longest
        )

    @cached_property
    def similarities(self) -> np.ndarray:
        """Cosine with every image of the pool, `(attempts, pool)`, float32; -inf for excluded ones."""
        found: np.ndarray = self.vectors @ self.images.T
        for row, columns in enumerate(self.excluded):
            found[row, columns] = -np.inf
        return found

    @cached_property
    def among_look_alikes(self) -> Attempts:
        """The same attempts, each ranked in its own subset alone."""
        from dataclasses import replace

        # The other images of the pool, of which there may be a million, are not looked at.
        kept = np.unique(np.concatenate([*self.subsets, *self.positives]))
        inside = [np.searchsorted(kept, columns) for columns in self.subsets]
        return replace(
            self,
            images=self.images[kept],
            positives=[np.searchsorted(kept, columns) for columns in self.positives],
            excluded=[np.setdiff1d(np.arange(len(kept)), columns) for columns in inside],
            subsets=(),
            watched=self.watched[:0],
        )
