"""Bands hold every rank that scores within the slack bring about."""

from __future__ import annotations

import numpy as np
import pytest

from grapebench.leaderboard.verification import slack
from grapebench.retrieval.dense import examine
from grapebench.retrieval.fused import Fused, ImagesByQuery
from grapebench.retrieval.ranking import count_ranks

SLACK = 0.02


def unit(random: np.random.Generator, rows: int) -> np.ndarray:
    found = random.normal(size=(rows, 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def moved(random: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Vectors that are so near to these that no cosine of two differs by more than the slack."""
    step = random.normal(size=rows.shape)
    step *= SLACK / 2.1 / np.linalg.norm(step, axis=1, keepdims=True)
    found = rows + step
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("fusion", ["mean", "max", "rrf", "turns"])
def test_ranks_of_nearby_vectors_lie_within(fusion: str) -> None:
    random = np.random.default_rng(7)
    gallery, positives = unit(random, 40), [np.array([n]) for n in range(12)]
    parts = 1 if fusion == "mean" else 3
    texts = unit(random, 12 * parts)
    excluded = [np.array([n + 20]) for n in range(12)]
    narrow = differ = 0
    for _ in range(8):
        near, images = moved(random, texts), moved(random, gallery)
        if parts == 1:
            vectors, ranks = texts, count_ranks(near, images, positives, excluded).rank
        else:
            told = np.full(12, 3), np.ones(36), (fusion,) * 12
            vectors = Fused(texts, *told)  # type: ignore[arg-type]
            other = Fused(near, *told)  # type: ignore[arg-type]
            ranks = examine(ImagesByQuery(other, images, excluded), positives).ranking.rank
        for row, rank in enumerate(ranks):
            kept = np.setdiff1d(np.arange(40), excluded[row])
            (band,) = slack.bands(vectors, row, gallery, kept, SLACK)
            low, high = band.rank(kept == row)
            assert low <= rank <= high
            narrow += high - low < 20
            differ += low < high
    assert differ, "something may move"
    assert narrow > 60, "and not everything may"


def test_without_slack_a_band_is_the_rank_itself() -> None:
    random = np.random.default_rng(3)
    gallery, texts = unit(random, 30), unit(random, 9)
    ranks = count_ranks(texts, gallery, [np.array([n]) for n in range(9)]).rank
    for row, rank in enumerate(ranks):
        (band,) = slack.bands(texts, row, gallery, np.arange(30), 0.0)
        assert band.rank(np.arange(30) == row) == (rank, rank)
        (band,) = slack.bands(texts, row, gallery, np.arange(30), 1e-9)
        low, high = band.precision(np.arange(30) == row)
        assert low == high == 1 / rank


def test_without_slack_places_in_turns_are_exact() -> None:
    random = np.random.default_rng(5)
    gallery, parts = unit(random, 30), unit(random, 27)
    vectors = Fused(parts, np.full(9, 3), np.tile([1.0, 2.0, 1.0], 9), ("turns",) * 9)
    ranks = examine(ImagesByQuery(vectors, gallery), [np.array([n]) for n in range(9)]).ranking.rank
    for row, rank in enumerate(ranks):
        (band,) = slack.bands(vectors, row, gallery, np.arange(30), 0.0)
        assert band.rank(np.arange(30) == row) == (rank, rank)


def test_the_best_of_several_parts_gives_a_band_each() -> None:
    random = np.random.default_rng(4)
    vectors = Fused(unit(random, 3), np.array([3]), np.ones(3), ("best",))
    assert len(list(slack.bands(vectors, 0, unit(random, 5), np.arange(5), 1e-5))) == 3


def test_half_precision_and_accelerators_have_more() -> None:
    assert slack.of({"precision": "fp32", "device": "cpu"}) == slack.FP32
    assert slack.of({"precision": "bf16", "device": "cpu"}) == slack.of({"device": "cuda:0"}) == slack.OTHERWISE
