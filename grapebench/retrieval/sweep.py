"""The pass over all blocks of similarities: which of them are above a target, and what they are like on the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.errors import UserError
from grapebench.retrieval.kernels import Kernel, NumpyKernel, TorchKernel

if TYPE_CHECKING:
    import torch

    Matrix = np.ndarray | torch.Tensor
else:
    Matrix = Any
Columns = Sequence[np.ndarray]

CPU_BLOCK = 128 * 2**20
"""Bytes of one block of similarities: a smaller one slows the product down, a larger one gains nothing."""
DEVICE_BLOCK = 256 * 2**20
_QUERIES = 1024
_ROUNDING = 2.0**-24
"""Largest relative error of rounding to float32."""


@dataclass(frozen=True, slots=True)
class Similarities:
    """What score inflation is read from; arrays of shape `(queries,)`, NaN where there is nothing to take.

    The queries are all of them, or those that were asked for.
    """

    positive: np.ndarray
    """Of the best positive."""
    others: np.ndarray
    """Mean over all candidates that are not positive."""
    top: np.ndarray
    """Mean over the highest of them."""
    margin: np.ndarray
    """Best positive minus best other."""


@dataclass(frozen=True)
class Pairs:
    """A list of columns for each query, flat: `column[i]` belongs to query `row[i]`."""

    row: np.ndarray
    column: np.ndarray

    @classmethod
    def of(cls, lists: Columns | None, queries: int, gallery: int, what: str) -> Pairs:
        if lists is None:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        if len(lists) != queries:
            raise ValueError(f"{what}: {len(lists)} lists for {queries} queries")
        column = np.concatenate([np.zeros(0, np.int64), *lists]).astype(np.int64)
        if not len(column):
            return cls(column, column)
        if column.min() < 0 or column.max() >= gallery:
            raise ValueError(f"{what}: a column outside the gallery of {gallery}")
        pairs = np.unique(np.repeat(np.arange(queries), list(map(len, lists))) * gallery + column)
        return cls(pairs // gallery, pairs % gallery)

    def without(self, other: Pairs, gallery: int) -> Pairs:
        keep = ~np.isin(self.row * gallery + self.column, other.row * gallery + other.column)
        return Pairs(self.row[keep], self.column[keep])

    def within(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that fall into a block, indexed within it."""
        keep = (self.row >= rows.start) & (self.row < rows.stop)
        keep &= (self.column >= columns.start) & (self.column < columns.stop)
        return self.row[keep] - rows.start, self.column[keep] - columns.start


class Summary:
    """Collects the similarity statistics of some queries, `rows`, while the blocks pass by."""

    def __init__(self, rows: np.ndarray, top: int) -> None:
        self.rows = rows
        self.total = np.zeros(len(rows))
        self.highest = np.full((len(rows), top), -np.inf, np.float32)

    def add(self, kernel: Kernel, rows: slice, hidden: tuple[np.ndarray, np.ndarray]) -> None:
        """Take in the loaded block, and drop its hidden entries."""
        part = slice(*np.searchsorted(self.rows, [rows.start, rows.stop]))
        own = self.rows[part] - rows.start
        total = np.zeros(rows.stop - rows.start)
        total[own] = kernel.sums(own)
        np.subtract.at(total, hidden[0], kernel.take(*hidden))
        self.total[part] += total[own]
        kernel.drop(*hidden)
        top = self.highest.shape[1]
        both = np.concatenate([self.highest[part], kernel.highest(top, own)], axis=1)
        self.highest[part] = np.partition(both, -top, axis=1)[:, -top:]

    def similarities(self, positive: np.ndarray, others: np.ndarray) -> Similarities:
        found = np.isfinite(self.highest)
        count = found.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            top = np.where(found, self.highest, 0.0).sum(axis=1, dtype=np.float64) / count
            best = np.where(count > 0, self.highest.max(axis=1), np.nan)
            return Similarities(positive, self.total / others, top, positive.astype(np.float64) - best)


def as_numpy(matrix: Matrix) -> np.ndarray:
    """Either kind of matrix as a contiguous float32 array; not copied where it is one."""
    host = matrix if isinstance(matrix, np.ndarray) else matrix.detach().float().cpu().numpy()
    return np.ascontiguousarray(host, np.float32)


def open_kernel(
    queries: Matrix, gallery: Matrix, *, device: str = "cpu", backend: str | None = None, block_bytes: int | None = None
) -> tuple[Kernel, tuple[int, int]]:
    """The kernel for a device, and how many queries and gallery rows make a block.

    `backend` is 'numpy' or 'torch'; None takes numpy on the CPU, which is faster there, and torch elsewhere.
    """
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise UserError(
            f"queries of shape {tuple(queries.shape)} cannot be compared with a gallery of shape {tuple(gallery.shape)}"
        )
    backend = backend or ("numpy" if device == "cpu" else "torch")
    block_bytes = block_bytes or (CPU_BLOCK if backend == "numpy" else DEVICE_BLOCK)
    high = min(_QUERIES, max(1, len(queries)))
    blocks = max(1, -(-len(gallery) * 4 * high // block_bytes))
    wide = max(1, -(-len(gallery) // blocks))  # nearly equal widths: a narrow last block would be slow
    if backend == "numpy":
        return NumpyKernel(as_numpy(queries), as_numpy(gallery)), (high, wide)
    import torch

    left, right = (
        torch.as_tensor(matrix, dtype=torch.float32, device=device).contiguous() for matrix in (queries, gallery)
    )
    return TorchKernel(left, right), (high, wide)


def rounding_margin(dimension: int) -> float:
    """How far a float32 dot product of unit vectors strays from the exact one, unless the errors conspire.

    Rounding errors grow like the root of the dimension. Vectors of equal entries, whose errors all point one way,
    were seen to stray by two and a half times that, hence the 3.
    """
    return 3 * (math.sqrt(dimension) + 4) * _ROUNDING


def longest_row(gallery: Matrix) -> float:
    """Greatest Euclidean length of the rows; UserError where one is not finite."""
    kernel, _ = open_kernel(gallery[:0], gallery)
    parts = slices(len(gallery), 65536)
    return max(
        (float(require_finite(kernel.gallery_norms(part), "gallery vector", part.start).max()) for part in parts),
        default=0.0,
    )


def slices(length: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, length)) for start in range(0, length, step)]


def require_finite(norms: np.ndarray, what: str, first: int = 0) -> np.ndarray:
    bad = np.flatnonzero(~(norms < np.inf))
    if len(bad):
        raise UserError(f"similarities are not finite: {what} {first + int(bad[0])} (counted from 0) is not")
    return norms


class Sweep:
    """Counts thresholds over all blocks of one pair of matrices."""

    def __init__(self, kernel: Kernel, size: tuple[int, int], hidden: Pairs, longest: float | None = None) -> None:
        self.kernel, self.size, self.hidden = kernel, size, hidden
        self.lengths = require_finite(kernel.query_norms(), "query vector")
        self.columns = slices(kernel.shape[1], size[1])
        self.longest = [] if longest is None else [longest] * len(self.columns)

    def longest_in(self, block: int) -> float:
        """Bound of the lengths of the gallery rows in a block; found, and checked, on the first visit if not given."""
        if block == len(self.longest):
            columns = self.columns[block]
            norms = require_finite(self.kernel.gallery_norms(columns), "gallery vector", columns.start)
            self.longest.append(float(norms.max()))
        return self.longest[block]

    def count(
        self, owner: np.ndarray, target: np.ndarray, score: np.ndarray, summary: Summary | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """How many entries are above and equal to each score: that of column `target[i]` for query `owner[i]`."""
        # Where a target's own entry shows that they do conspire, all is counted again with the bound that always holds.
        dimension = self.kernel.shape[2]
        above, equal, sound = self._pass(owner, target, score, rounding_margin(dimension), summary)
        if not sound:
            above, equal, _ = self._pass(owner, target, score, (dimension + 4) * _ROUNDING, None)
        return above, equal

    def _pass(
        self, owner: np.ndarray, target: np.ndarray, score: np.ndarray, unit_margin: float, summary: Summary | None
    ) -> tuple[np.ndarray, np.ndarray, bool]:
        above, equal = np.zeros(len(owner), np.int64), np.zeros(len(owner), np.int64)
        sound = True
        for rows in slices(self.kernel.shape[0], self.size[0]):
            part = slice(*np.searchsorted(owner, [rows.start, rows.stop]))
            if part.start == part.stop and summary is None:
                continue
            own, goal = owner[part] - rows.start, target[part]
            for block, columns in enumerate(self.columns):
                margin = (unit_margin * self.longest_in(block)) * self.lengths[owner[part]]
                self.kernel.load(rows, columns)
                here = np.flatnonzero((goal >= columns.start) & (goal < columns.stop))
                entry = self.kernel.take(own[here], goal[here] - columns.start)
                sound &= bool((np.abs(entry - score[part][here]) <= margin[here]).all())
                hidden = self.hidden.within(rows, columns)
                if summary is None:
                    self.kernel.drop(*hidden)
                else:
                    summary.add(self.kernel, rows, hidden)
                more_above, more_equal = self.kernel.count(own, score[part], margin)
                above[part] += more_above
                equal[part] += more_equal
        return above, equal, sound
