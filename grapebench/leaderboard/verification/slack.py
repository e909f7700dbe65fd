"""How far a rank may move when vectors are encoded on another machine.

The same model gives vectors that differ in their last bits where another kernel, batch or processor made them, and
ranks change where two scores are that near to each other. So each score is given an interval, and a stored rank is
accepted if it lies between those that the right images have at their best and at their worst.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grapebench.evaluation import metrics
from grapebench.retrieval.fused import RRF, Fused, places, turn_keys

FP32 = 1e-5
"""Of a cosine, encoded in fp32 on a CPU."""
OTHERWISE = 1e-3
"""The same in half precision, or on an accelerator, whose kernels round more coarsely."""


def of(description: Mapping[str, Any]) -> float:
    """How far the cosines of a retriever may lie apart between machines, by its description."""
    exact = description.get("precision", "fp32") == "fp32" and str(description.get("device", "cpu")) == "cpu"
    return FP32 if exact else OTHERWISE


@dataclass(frozen=True)
class Band:
    """Scores of one query's candidates: each lies within `low` … `high`, `(candidates,)` float64."""

    low: np.ndarray
    high: np.ndarray

    def rank(self, right: np.ndarray) -> tuple[float, float]:
        """Between which ranks the best of the right candidates, `(candidates,)` bool, can stand."""
        if not right.any():
            return np.inf, np.inf
        best, worst = self.high[right].max(), self.low[right].max()
        rest = ~right
        return 1.0 + np.count_nonzero(self.low[rest] > best), 1.0 + np.count_nonzero(self.high[rest] >= worst)

    def precision(self, right: np.ndarray) -> tuple[float, float]:
        """Between which values average precision can lie."""
        total = int(np.count_nonzero(right))
        worst, best = (
            metrics.average_precision(own[right], others[~right], total)
            for own, others in ((self.low, self.high), (self.high, self.low))
        )
        return worst, best


def bands(vectors: np.ndarray | Fused, row: int, images: np.ndarray, kept: np.ndarray, slack: float) -> Iterator[Band]:
    """The scores of one query against the kept images; of one fused by 'best', with each part that may be the best.

    `images` is `(gallery, dimension)`, `kept` columns of it. That an image stands among others is not looked at.
    """
    if isinstance(vectors, Fused):
        parts, weights = vectors.parts[vectors.of(row)], vectors.weights[vectors.of(row)]
        fusion: str = vectors.fusions[row]
    else:
        parts, weights, fusion = vectors[row : row + 1], np.ones(1), "mean"
    cosines = parts.astype(np.float64) @ images[kept].astype(np.float64).T
    if fusion == "rrf" and len(parts) > 1:
        yield _by_ranks(cosines, weights, slack)
    elif fusion == "turns" and len(parts) > 1:
        yield _in_turns(cosines, weights, slack)
    elif fusion == "best":
        for line in cosines:
            yield Band(line - slack, line + slack)
    else:
        nearest = cosines.max(axis=0)
        yield Band(nearest - slack, nearest + slack)


def _by_ranks(cosines: np.ndarray, weights: np.ndarray, slack: float) -> Band:
    """Reciprocal rank fusion, each image's rank in each part lying between two."""
    best, worst = _ranks(cosines, slack)
    low, high = (weights @ (1 / (RRF + ranks)) for ranks in (worst, best))
    rounding = 1e-12  # terms are added in another order here
    return Band(low - rounding, high + rounding)


def _in_turns(cosines: np.ndarray, weights: np.ndarray, slack: float) -> Band:
    """Parts that take turns: minus the places, of images that may be listed in another turn as far as that allows."""
    best, worst = _ranks(cosines, slack)
    exact = turn_keys(worst, weights)
    certain = (best == worst).all(axis=0)
    ends = np.array([[-np.inf], [-1.0]]), np.array([[np.inf], [float(len(weights))]])
    earliest, latest = (
        np.where(certain, exact, np.vstack([ranks.min(axis=0), np.broadcast_to(end, (2, len(certain)))]))
        for ranks, end in zip((best, worst), ends, strict=True)
    )
    order = places(np.hstack([earliest, latest]))
    first, last = order[: len(certain)], order[len(certain) :]
    # Before an image stands what is surely listed earlier, and at most all that may be.
    surely = np.searchsorted(np.sort(last), first, side="left")
    maybe = np.searchsorted(np.sort(first), last, side="left") - (first < last)
    return Band(-1.0 - maybe, -1.0 - surely)


def _ranks(cosines: np.ndarray, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """The best and the worst rank that each image may have in each part, `(parts, candidates)` both."""
    best, worst = [], []
    for line in cosines:
        ascending = np.sort(line)
        # Two images may change places when both move towards each other.
        worst.append(len(line) - np.searchsorted(ascending, line - 2 * slack, side="left"))
        best.append(1 + len(line) - np.searchsorted(ascending, line + 2 * slack, side="right"))
    return np.stack(best), np.stack(worst)


def widest(found: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """All that several bands allow."""
    return min(low for low, _ in found), max(high for _, high in found)
