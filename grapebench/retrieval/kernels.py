"""One block of similarities at a time, and the counting on it: with numpy, and with torch on any device.

Two numbers that ought to be equal come out of a matrix product with different last bits, depending on where in the
block they stand: an exact duplicate of the target would count as above it or below it by chance. So the float32
product only sorts out what is clearly above or below a target. Whatever is closer than rounding could have moved it
is computed once more, pair by pair, accumulated in float64 and rounded to float32. That rounded number is the score
everywhere: equal images tie, the order of the gallery does not matter, and ranks agree between machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

_PAIRS = 256
"""How many pairs are computed again at a time: what stays in the cache."""
_CROWDED = 64
"""With more than one in so many columns too close to call, the whole row is multiplied again in float64 …"""
_STRIP = 8192
"""… over so many columns at a time."""

_SPARE: list[np.ndarray] = []
"""At most one block of an earlier call: for short rankings, fresh memory costs as much as counting does."""
_KEPT_BYTES = 160 * 2**20


class Kernel(Protocol):
    """Queries `(q, d)` against a gallery `(n, d)`; `load` computes a block, the rest read it."""

    shape: tuple[int, int, int]
    """q, n, d"""

    def query_norms(self) -> np.ndarray:
        """Euclidean length of each query, `(q,)`."""

    def gallery_norms(self, columns: slice) -> np.ndarray:
        """Euclidean length of some gallery rows."""

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The scores of pairs, `(pairs,)` float32: dot products accumulated in float64, then rounded."""

    def load(self, rows: slice, columns: slice) -> None:
        """Compute the block of these queries and these gallery rows."""

    def take(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Entries of the block, indexed within it."""

    def drop(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Take entries of the block out of all counting."""

    def count(self, owner: np.ndarray, score: np.ndarray, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each threshold `(t,)` on the row `owner` of the block: how many entries are above, how many equal."""

    def sums(self, rows: np.ndarray) -> np.ndarray:
        """Sums of some rows of the block, float64; to be asked for before anything is dropped."""

    def highest(self, k: int, rows: np.ndarray) -> np.ndarray:
        """The k highest entries of some rows, in no order; -inf where there are fewer."""

    def reaching(self, k: int, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of all entries that are at most `slack` (one a row) below the k-th highest of their row."""


def _lengths(rows: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        lengths: np.ndarray = np.sqrt(np.vecdot(rows, rows))
    return lengths


def _highest(row: np.ndarray, k: int) -> np.ndarray:
    if len(row) > 64 * k:
        # the k-th highest of a sample is no higher than that of all: little is left to be partitioned
        row = row[row >= np.partition(row[::16], -k)[-k]]
    return np.partition(row, -k)[-k:]


class NumpyKernel:
    """The kernel for the CPU: BLAS into one reused block, counted row by row while it is in the cache."""

    def __init__(self, queries: np.ndarray, gallery: np.ndarray) -> None:
        self.queries, self.gallery = queries, gallery
        self.shape = (len(queries), len(gallery), gallery.shape[1])
        self._buffer = _SPARE.pop() if _SPARE else np.empty(0, np.float32)
        self._scores = self._buffer[:0].reshape(0, 0)
        self._rows = self._columns = slice(0, 0)

    def __del__(self) -> None:
        if self._buffer.nbytes <= _KEPT_BYTES and not _SPARE:
            _SPARE.append(self._buffer)

    def query_norms(self) -> np.ndarray:
        return _lengths(self.queries)

    def gallery_norms(self, columns: slice) -> np.ndarray:
        return _lengths(self.gallery[columns])

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _PAIRS):
            part = slice(start, start + _PAIRS)
            left = self.queries[rows[part]].astype(np.float64)
            scores[part] = np.vecdot(left, self.gallery[columns[part]].astype(np.float64))
        return scores

    def load(self, rows: slice, columns: slice) -> None:
        self._rows, self._columns = rows, columns
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if len(self._buffer) < shape[0] * shape[1]:
            self._buffer = np.empty(shape[0] * shape[1], np.float32)
        self._scores = self._buffer[: shape[0] * shape[1]].reshape(shape)
        np.matmul(self.queries[rows], self.gallery[columns].T, out=self._scores)

    def take(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        entries: np.ndarray = self._scores[rows, columns]
        return entries

    def drop(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self._scores[rows, columns] = -np.inf

    def count(self, owner: np.ndarray, score: np.ndarray, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        above, equal = np.zeros(len(owner), np.int64), np.zeros(len(owner), np.int64)
        reached, passed = np.empty((2, self._scores.shape[1]), bool)
        crowd = max(64, len(reached) // _CROWDED)
        which: list[np.ndarray] = []
        where: list[np.ndarray] = []
        crowded = []
        # once for every query and block: what is looked up or called here in vain is felt
        scores, count = self._scores, np.count_nonzero
        for i, (row, low, high) in enumerate(zip(owner.tolist(), score - margin, score + margin, strict=True)):
            line = scores[row]
            np.greater_equal(line, low, reached)
            if not (at_least := count(reached)):
                continue
            np.greater(line, high, passed)
            above[i] = clearly = count(passed)
            if at_least - clearly > crowd:
                crowded.append(i)
            elif at_least > clearly:
                where.append(np.flatnonzero(np.not_equal(reached, passed, reached)))
                which.append(np.full(len(where[-1]), i))
        if which:
            index, columns = np.concatenate(which), np.concatenate(where)
            found = self.exact(self._rows.start + owner[index], self._columns.start + columns)
            above += np.bincount(index[found > score[index]], minlength=len(owner))
            equal += np.bincount(index[found == score[index]], minlength=len(owner))
        if crowded:
            self._count_crowded(np.array(crowded), owner, score, above, equal)
        return above, equal

    def _count_crowded(
        self, which: np.ndarray, owner: np.ndarray, score: np.ndarray, above: np.ndarray, equal: np.ndarray
    ) -> None:
        above[which] = equal[which] = 0
        for left in range(self._columns.start, self._columns.stop, _STRIP):
            strip = slice(left, min(left + _STRIP, self._columns.stop))
            gallery = self.gallery[strip].astype(np.float64)
            entries = slice(strip.start - self._columns.start, strip.stop - self._columns.start)
            for start in range(0, len(which), 64):
                part = which[start : start + 64]
                rows = owner[part]
                found = (self.queries[self._rows.start + rows].astype(np.float64) @ gallery.T).astype(np.float32)
                found[np.isneginf(self._scores[rows, entries])] = -np.inf
                above[part] += np.count_nonzero(found > score[part, None], axis=1)
                equal[part] += np.count_nonzero(found == score[part, None], axis=1)

    def sums(self, rows: np.ndarray) -> np.ndarray:
        return np.array([self._scores[row].sum() for row in rows], np.float64)

    def highest(self, k: int, rows: np.ndarray) -> np.ndarray:
        found = np.full((len(rows), k), -np.inf, np.float32)
        wide = min(k, self._scores.shape[1])
        for place, row in enumerate(rows):
            found[place, :wide] = _highest(self._scores[row], wide)
        return found

    def reaching(self, k: int, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        least = self.highest(k, np.arange(len(self._scores))).min(axis=1) - slack
        lowest = np.finfo(np.float32).min
        where = [np.flatnonzero(row >= max(low, lowest)) for row, low in zip(self._scores, least, strict=True)]
        rows = np.repeat(np.arange(len(where)), [len(columns) for columns in where])
        return rows, np.concatenate([np.zeros(0, np.int64), *where])


@contextmanager
def float32_products() -> Iterator[None]:
    """Multiply float32 as float32: with TF32 or bfloat16 inside, similarities are off in the third digit."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class TorchKernel:
    """The same on any torch device that has float64."""

    def __init__(self, queries: torch.Tensor, gallery: torch.Tensor) -> None:
        self.queries, self.gallery = queries, gallery
        self.shape = (len(queries), len(gallery), gallery.shape[1])
        self._rows = self._columns = slice(0, 0)

    def _index(self, values: np.ndarray) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(values, np.int64)).to(self.gallery.device)

    def query_norms(self) -> np.ndarray:
        return np.asarray(self.queries.norm(dim=1).cpu())

    def gallery_norms(self, columns: slice) -> np.ndarray:
        return np.asarray(self.gallery[columns].norm(dim=1).cpu())

    def exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _PAIRS):
            part = slice(start, start + _PAIRS)
            left = self.queries[self._index(rows[part])].double()
            right = self.gallery[self._index(columns[part])].double()
            scores[part] = (left * right).sum(1).float().cpu().numpy()
        return scores

    def load(self, rows: slice, columns: slice) -> None:
        self._rows, self._columns = rows, columns
        with float32_products():
            self._scores = self.queries[rows] @ self.gallery[columns].T

    def take(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return self._scores[self._index(rows), self._index(columns)].cpu().numpy()

    def drop(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self._scores[self._index(rows), self._index(columns)] = float("-inf")

    def count(self, owner: np.ndarray, score: np.ndarray, margin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        device = self.gallery.device
        above, equal = np.zeros(len(owner), np.int64), np.zeros(len(owner), np.int64)
        for start in range(0, len(owner), self._scores.shape[0]):
            part = slice(start, start + self._scores.shape[0])
            lines = self._scores[self._index(owner[part])]
            passed = lines > torch.from_numpy(score[part] + margin[part]).to(device)[:, None]
            above[part] = passed.sum(1).cpu().numpy()
            close = (lines >= torch.from_numpy(score[part] - margin[part]).to(device)[:, None]) & ~passed
            index, columns = (found.cpu().numpy() for found in close.nonzero(as_tuple=True))
            index += start
            found = self.exact(self._rows.start + owner[index], self._columns.start + columns)
            above += np.bincount(index[found > score[index]], minlength=len(owner))
            equal += np.bincount(index[found == score[index]], minlength=len(owner))
        return above, equal

    def sums(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self._scores[self._index(rows)].sum(1).double().cpu())

    def highest(self, k: int, rows: np.ndarray) -> np.ndarray:
        import torch

        short = max(0, k - self._scores.shape[1])
        scores = torch.nn.functional.pad(self._scores[self._index(rows)], (0, short), value=float("-inf"))
        return scores.topk(k, dim=1).values.cpu().numpy()

    def reaching(self, k: int, slack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        least = self.highest(k, np.arange(len(self._scores))).min(axis=1) - slack
        bound = torch.from_numpy(np.maximum(least, np.finfo(np.float32).min)).to(self._scores.device)
        rows, columns = (self._scores >= bound[:, None]).nonzero(as_tuple=True)
        return np.asarray(rows.cpu()), np.asarray(columns.cpu())
