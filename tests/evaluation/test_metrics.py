from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.evaluation import metrics

RANKS = st.lists(st.integers(1, 5000), min_size=1, max_size=60).map(np.array)


def test_by_hand() -> None:
    rank = np.array([1, 2, 10, 11])
    assert metrics.success_at(rank, 1).tolist() == [1, 0, 0, 0]
    assert metrics.success_at(rank, 10).tolist() == [1, 1, 1, 0]
    assert metrics.mrr(rank) == pytest.approx((1 + 1 / 2 + 1 / 10 + 1 / 11) / 4)
    assert metrics.median_rank(rank) == 6


@given(RANKS)
def test_success_grows_with_k_and_bounds_mrr(rank: np.ndarray) -> None:
    shares = [metrics.mean(metrics.success_at(rank, k)) for k in (1, 5, 10, 5000)]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert shares[0] <= metrics.mrr(rank) <= 1


@given(RANKS)
def test_mean_does_not_depend_on_the_order(rank: np.ndarray) -> None:
    values = metrics.reciprocal_rank(rank)
    assert metrics.mean(values) == metrics.mean(values[::-1]) == metrics.mean(np.sort(values))


def test_agrees_with_an_outside_library() -> None:
    """ir_measures, on a run that realises the ranks."""
    ir = pytest.importorskip("ir_measures")
    ranks = [1, 3, 7, 12]
    qrels = [ir.Qrel(f"q{i}", "target", 1) for i in range(len(ranks))]
    run = [
        ir.ScoredDoc(f"q{i}", "target" if place == rank else f"other{place}", -float(place))
        for i, rank in enumerate(ranks)
        for place in range(1, 21)
    ]
    theirs = ir.calc_aggregate([ir.RR, ir.Success @ 1, ir.Success @ 5, ir.Success @ 10], qrels, run)
    assert theirs[ir.RR] == pytest.approx(metrics.mrr(np.array(ranks)))
    for k in (1, 5, 10):
        assert theirs[ir.Success @ k] == metrics.mean(metrics.success_at(np.array(ranks), k))
