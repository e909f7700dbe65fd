"""The best images of each query, for run files: exact, and the same with every backend.

Candidates come from numpy, torch or faiss; their order comes from the same rounded scores that ranks are counted
with (see kernels.py), equal ones in the order of the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grapebench.errors import UserError, missing_extra
from grapebench.retrieval.kernels import Kernel
from grapebench.retrieval.sweep import (
    CPU_BLOCK,
    Matrix,
    Pairs,
    as_numpy,
    open_kernel,
    require_finite,
    rounding_margin,
    slices,
)

BACKENDS = ("numpy", "torch", "faiss")


def top_k(
    queries: Matrix,
    gallery: Matrix,
    k: int,
    excluded: Sequence[np.ndarray] | None = None,
    *,
    backend: str = "numpy",
    device: str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:
    """Gallery columns `(queries, k)` and their scores, best first; excluded ones are left out.

    `k` is cut to the size of the gallery. Where a query has fewer candidates, column -1 and score -inf fill its row.
    `device` is for torch. Raises UserError where faiss is asked for and not installed, or a vector is not finite.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown backend {backend!r}", fix=f"there is: {', '.join(BACKENDS)}")
    kernel, _ = open_kernel(queries, gallery, device=device, backend="torch" if backend == "torch" else "numpy")
    count, width, dimension = kernel.shape
    k = min(k, width)
    out = Pairs.of(excluded, count, width, "excluded")
    longest = require_finite(kernel.gallery_norms(slice(0, width)), "gallery vector").max(initial=0.0)
    lengths = require_finite(kernel.query_norms(), "query vector")
    # two scores may each have strayed
    slack = (2 * rounding_margin(dimension) * longest * lengths).astype(np.float32)
    if k == 0 or count == 0:
        return np.zeros((count, k), np.int64), np.zeros((count, k), np.float32)
    if backend == "faiss":
        found = _from_faiss(as_numpy(queries), as_numpy(gallery), k, out, slack)
    else:
        found = _from_blocks(kernel, k, out, slack)
    return _best(kernel, found, k)


def rank_members(queries: Matrix, gallery: Matrix, members: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Each query's own list of gallery columns in the order of their scores: columns and scores, `(queries, most)`.

    Where a query has fewer than the longest list, column -1 and score -inf fill its row. Raises UserError where a
    vector is not finite.
    """
    kernel, _ = open_kernel(queries, gallery, backend="numpy")
    count, width, _ = kernel.shape
    require_finite(kernel.query_norms(), "query vector")
    require_finite(kernel.gallery_norms(slice(0, width)), "gallery vector")
    found = Pairs.of(members, count, width, "members")
    return _best(kernel, found, int(np.bincount(found.row, minlength=1).max()))


def _from_blocks(kernel: Kernel, k: int, out: Pairs, slack: np.ndarray) -> Pairs:
    count, width, _ = kernel.shape
    rows_found, columns_found = [], []
    columns = slice(0, width)
    for rows in slices(count, max(1, CPU_BLOCK // (4 * width))):
        kernel.load(rows, columns)
        kernel.drop(*out.within(rows, columns))
        row, column = kernel.reaching(k, slack[rows])
        rows_found.append(row + rows.start)
        columns_found.append(column)
    return Pairs(np.concatenate(rows_found), np.concatenate(columns_found))


def _from_faiss(queries: np.ndarray, gallery: np.ndarray, k: int, out: Pairs, slack: np.ndarray) -> Pairs:
    try:
        import faiss
    except ImportError as error:
        raise missing_extra("faiss", "faiss") from error
    width = len(gallery)
    index = faiss.IndexFlatIP(gallery.shape[1])
    index.add(gallery)
    spare = int(np.bincount(out.row, minlength=1).max())
    rows_found, columns_found = [], []
    pending, depth = np.arange(len(queries)), min(width, k + spare + 16)
    while len(pending):
        scores, columns = index.search(queries[pending], depth)
        # Done where the list goes on until no image can tie with the k-th any more.
        done = scores[:, -1] < scores[:, min(k + spare, depth) - 1] - slack[pending]
        done |= depth == width
        rows_found.append(np.repeat(pending[done], depth))
        columns_found.append(columns[done].ravel())
        pending, depth = pending[~done], min(width, 2 * depth)
    found = Pairs(np.concatenate(rows_found), np.concatenate(columns_found))
    return found.without(out, width)


def _best(kernel: Kernel, found: Pairs, k: int) -> tuple[np.ndarray, np.ndarray]:
    score = kernel.exact(found.row, found.column)
    order = np.lexsort((found.column, -score, found.row))
    row = found.row[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    keep = place < k
    columns = np.full((kernel.shape[0], k), -1, np.int64)
    scores = np.full((kernel.shape[0], k), -np.inf, np.float32)
    columns[row[keep], place[keep]] = found.column[order][keep]
    scores[row[keep], place[keep]] = score[order][keep]
    return columns, scores
