from __future__ import annotations

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.evaluation.protocols import PROTOCOLS, metrics_from_ranks, protocol_named


def test_retrieval() -> None:
    found = metrics_from_ranks(PROTOCOLS["retrieval"], np.array([1, 4, 6, 100]))
    assert found == {
        "R@1": 0.25, "R@5": 0.5, "R@10": 0.75, "MRR": pytest.approx((1 + 1 / 4 + 1 / 6 + 0.01) / 4), "median_rank": 5,
    }  # fmt: skip


def test_composed_reports_the_subset_and_fifty() -> None:
    found = metrics_from_ranks(PROTOCOLS["composed"], np.array([1, 50, 51]), np.array([1, 2, 4]))
    assert found["R@50"] == pytest.approx(2 / 3)
    assert [found[f"R_subset@{k}"] for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert "R_subset@1" not in metrics_from_ranks(PROTOCOLS["composed"], np.array([1, 50, 51]))


def test_multilingual_counts_each_language_the_same() -> None:
    found = metrics_from_ranks(PROTOCOLS["multilingual"], np.array([1, 1, 1, 20]), languages=["de", "de", "de", "zh"])
    assert found["R@1/de"] == 1 and found["R@1/zh"] == 0
    assert found["R@1"] == 0.5, "the mean over languages, not over queries (0.75)"
    assert found["MRR"] == pytest.approx((1 + 0.05) / 2)
    assert found["median_rank"] == 1


def test_headline_keys_are_those_that_are_reported() -> None:
    rank = np.array([1, 2])
    for protocol in PROTOCOLS.values():
        found = metrics_from_ranks(protocol, rank, rank, ["de", "zh"])
        assert [key for key in found if "/" not in key and key != "median_rank"] == list(protocol.keys)


def test_bad_input() -> None:
    with pytest.raises(UserError, match="no queries"):
        metrics_from_ranks(PROTOCOLS["retrieval"], np.array([], dtype=int))
    with pytest.raises(UserError, match="known are retrieval, composed"):
        protocol_named("retreival")
