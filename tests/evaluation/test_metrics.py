from __future__ import annotations

import itertools

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


def by_definition(relevant: list[bool], scores: list[float], total: int) -> float:
    """Average precision of a full sort; of equal scores the relevant come last."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], relevant[i]))
    hits, found = 0, 0.0
    for place, i in enumerate(order, start=1):
        if relevant[i]:
            hits += 1
            found += hits / place
    return found / total if total else 0.0


RANKINGS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=30)


@given(RANKINGS, st.integers(0, 5))
def test_average_precision_is_its_definition_on_a_full_sort(ranking: list[tuple[bool, float]], missing: int) -> None:
    scores = np.array([score for _, score in ranking])
    relevant = np.array([good for good, _ in ranking], dtype=bool)
    total = int(relevant.sum()) + missing
    got = metrics.average_precision(scores[relevant], scores[~relevant], total)
    assert got == pytest.approx(by_definition(relevant.tolist(), scores.tolist(), total))
    assert 0 <= got <= 1


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 2**32))
def test_a_constant_scorer_has_the_worst_average_precision(good: int, others: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    constant = metrics.average_precision(np.zeros(good), np.zeros(others), good)
    assert constant == pytest.approx(np.mean([hit / (hit + others) for hit in range(1, good + 1)]))
    assert constant <= metrics.average_precision(random.random(good), random.random(others), good) + 1e-12


def test_average_precision_agrees_with_outside_libraries() -> None:
    """trec_eval's own code (pytrec_eval) and ir_measures, where nothing ties; some relevant items are not retrieved."""
    ir = pytest.importorskip("ir_measures")
    pytrec_eval = pytest.importorskip("pytrec_eval")
    random = np.random.default_rng(2)
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    mine = {}
    for q in range(40):
        scores, relevant = random.permutation(50).astype(float), random.random(50) < 0.3
        relevant[0] = True
        named = random.random(50) < 0.8
        named[1] = True
        qrels[f"q{q}"] = {f"d{d}": int(relevant[d]) for d in range(50)}
        run[f"q{q}"] = {f"d{d}": scores[d] for d in range(50) if named[d]}
        mine[f"q{q}"] = metrics.average_precision(
            scores[named & relevant], scores[named & ~relevant], int(relevant.sum())
        )
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(run)
    assert mine == pytest.approx({query: values["map"] for query, values in theirs.items()})
    assert np.mean(list(mine.values())) == pytest.approx(ir.calc_aggregate([ir.AP], qrels, run)[ir.AP])


@st.composite
def graded_ranks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Levels, and the rank of the best image of at least each level, which cannot fall as the level rises."""
    levels = np.array(sorted(draw(st.sets(st.sampled_from([0.2, 0.5, 1.0]), max_size=3))))
    queries = draw(st.integers(1, 6))
    ranks = draw(st.lists(st.integers(1, 60) | st.just(np.inf), min_size=3 * queries, max_size=3 * queries))
    return levels, np.sort(np.array(ranks).reshape(3, queries), axis=0)[: len(levels)]


@given(graded_ranks())
def test_grades_within_k_are_never_negative_and_grow_with_k(case: tuple[np.ndarray, np.ndarray]) -> None:
    grades, rank = case
    values = [metrics.grade_at(grades, rank, k) for k in (1, 5, 10, 50)]
    assert all(value.shape == (rank.shape[1],) and (value >= 0).all() for value in values)
    assert all((low <= high).all() for low, high in itertools.pairwise(values))
    assert (metrics.grade_at(grades, rank, 60) <= max(grades, default=0)).all()


@given(RANKS)
def test_one_right_image_of_grade_one_is_success(rank: np.ndarray) -> None:
    for k in (1, 5, 10, 50):
        graded = metrics.grade_at(np.array([1.0]), rank[None, :].astype(float), k)
        assert graded.tolist() == metrics.success_at(rank, k).tolist()
