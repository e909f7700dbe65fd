from __future__ import annotations

import sys

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.retrieval.ranking import count_ranks
from grapebench.retrieval.topk import BACKENDS, top_k


def unit(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    matrix = rng.standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def by_sorting(queries: np.ndarray, gallery: np.ndarray, k: int, excluded: list[np.ndarray]) -> list[list[int]]:
    scores = (queries.astype(np.float64) @ gallery.T.astype(np.float64)).astype(np.float32)
    orders = [sorted(range(len(gallery)), key=lambda c, row=row: (-row[c], c)) for row in scores]
    return [[c for c in order if c not in out][:k] for order, out in zip(orders, excluded, strict=True)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [1, 7, 60])
def test_agrees_with_a_full_sort(backend: str, k: int) -> None:
    if backend == "faiss":
        pytest.importorskip("faiss")
    rng = np.random.default_rng(1)
    queries, gallery = unit(rng, 40, 48), unit(rng, 300, 48)
    gallery[150:] = gallery[:150]  # every score occurs twice
    excluded = [rng.choice(300, 5) for _ in range(40)]
    columns, scores = top_k(queries, gallery, k, excluded, backend=backend)
    assert columns.tolist() == by_sorting(queries, gallery, k, excluded)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_equal_scores_stand_in_the_order_of_the_gallery(backend: str) -> None:
    if backend == "faiss":
        pytest.importorskip("faiss")
    rng = np.random.default_rng(2)
    gallery = np.repeat(unit(rng, 1, 512), 999, axis=0)
    columns, _ = top_k(unit(rng, 3, 512), gallery, 20, backend=backend)
    assert columns.tolist() == [list(range(20))] * 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_short_rows_are_filled(backend: str) -> None:
    if backend == "faiss":
        pytest.importorskip("faiss")
    eye = np.eye(3, dtype=np.float32)
    columns, scores = top_k(eye, eye, 10, [np.array([0, 1]), np.array([], int), np.array([2])], backend=backend)
    assert columns.tolist() == [[2, -1, -1], [1, 0, 2], [0, 1, -1]]
    assert scores[0].tolist() == [0.0, -np.inf, -np.inf]


def test_the_best_image_has_rank_one() -> None:
    rng = np.random.default_rng(3)
    queries, gallery = unit(rng, 200, 64), unit(rng, 500, 64)
    columns, scores = top_k(queries, gallery, 5)
    ranking = count_ranks(queries, gallery, [row[:1] for row in columns])
    assert (ranking.above == 0).all()
    assert ranking.score.tolist() == scores[:, 0].tolist()
    third = count_ranks(queries, gallery, [row[2:3] for row in columns])
    assert (third.above == 2).all()


def test_what_is_not_finite_is_refused() -> None:
    eye = np.eye(3, dtype=np.float32)
    eye[1, 1] = np.nan
    with pytest.raises(UserError, match="gallery vector 1"):
        top_k(np.eye(3, dtype=np.float32), eye, 1)


def test_a_missing_faiss_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UserError, match=r"grapebench\[faiss\]"):
        top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1, backend="faiss")
    with pytest.raises(UserError, match="unknown backend"):
        top_k(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1, backend="annoy")
