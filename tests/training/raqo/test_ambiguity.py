from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from grapebench.records import Gallery, Query
from grapebench.training.raqo.ambiguity import Search


def unit(seed: int, count: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, 6)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Numbers:
    """A retriever whose texts are seeds; it counts what it is asked."""

    fingerprint, description = "numbers", {}  # type: ignore[var-annotated]

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        raise AssertionError("the gallery's vectors are given")

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.concatenate([unit(int(text)) for text in texts])


@pytest.fixture
def search() -> Search:
    ids = tuple(f"i{number}" for number in range(12))
    images: Any = None
    return Search(Gallery(ids, images), unit(99, 12), Numbers())


QUERIES = [
    Query("one", "1", ("i3",)),
    Query("several", "2", ("i0", "i7", "i8")),
    Query("composed", "3", ("i5",), reference="i2", excluded=("i2", "i4")),
]


def brute(search: Search, query: Query, text: str) -> tuple[int, float, list[str]]:
    """Rank and cosine of the best right image, and the wrong ones in their order, one by one."""
    scores = {
        image: float(unit(int(text))[0] @ row) for image, row in zip(search.gallery.ids, search.images, strict=True)
    }
    best = max(scores[image] for image in query.positives)
    wrong = [image for image in scores if image not in (*query.positives, *query.excluded)]
    above = sum(scores[image] >= best for image in wrong)
    return 1 + above, best, sorted(wrong, key=lambda image: -scores[image])


def test_places_and_wrong_images_are_those_found_one_by_one(search: Search) -> None:
    asked = [(query, str(number)) for query in QUERIES for number in range(20)]
    queries, texts = [query for query, _ in asked], [text for _, text in asked]
    rank, cosine = search.places(queries, texts, lambda *_: None)
    expected = [brute(search, query, text) for query, text in asked]
    assert rank.tolist() == [place for place, _, _ in expected]
    np.testing.assert_allclose(cosine, [score for _, score, _ in expected], atol=1e-6)
    assert search.wrong(queries, texts, 4) == [wrong[:4] for _, _, wrong in expected]


def test_equal_texts_are_encoded_once_and_nothing_is_asked_for_nothing(search: Search) -> None:
    rank, _ = search.places([QUERIES[0]] * 3, ["5", "6", "5"], lambda *_: None)
    assert rank[0] == rank[2]
    assert search.retriever.asked == ["5", "6"]  # type: ignore[attr-defined]
    rank, cosine = search.places([], [], lambda *_: None)
    assert len(rank) == len(cosine) == 0


def test_a_tie_counts_against_the_text(search: Search) -> None:
    doubled = Search(search.gallery, np.repeat(unit(7), 12, axis=0), search.retriever)
    rank, _ = doubled.places(QUERIES[:1], ["1"], lambda *_: None)
    assert rank.tolist() == [12]


def test_a_small_gallery_has_fewer_wrong_images(search: Search) -> None:
    assert len(search.wrong(QUERIES[2:], ["3"], 50)[0]) == 9
