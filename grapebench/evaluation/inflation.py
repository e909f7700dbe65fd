"""Score inflation: whether rewriting brought the positive closer, or everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from grapebench.evaluation import metrics
from grapebench.leaderboard.results import Similarities

if TYPE_CHECKING:
    from grapebench.retrieval.ranking import Examination

TOP = 10
"""How many of the most similar others count as those that compete with the positive."""
_STEP = 2.0**-13


def figures(examined: Examination) -> dict[str, np.ndarray]:
    """Each query's cosines by name, float32 `(queries,)`; NaN where the gallery is too small to tell.

    They are put on a grid of 1/8192: finer than any difference that matters, and packed to a third in the result's
    file. What is averaged is what is stored, so that anyone gets the same averages.
    """
    measured = examined.similarities
    columns = {
        "positive": measured.positive,
        "others": measured.others,
        "top_others": measured.top,
        "margin": measured.margin,
    }
    return {name: _on_grid(column) for name, column in columns.items()}


def summary(columns: Mapping[str, np.ndarray]) -> Similarities:
    """The means over the queries that have the figure."""
    return Similarities(**{name: _mean(column) for name, column in columns.items()})


def _on_grid(values: np.ndarray) -> np.ndarray:
    return (np.round(np.asarray(values, dtype=np.float64) / _STEP) * _STEP).astype(np.float32)


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return metrics.mean(known) if len(known) else None
