from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from grapebench.errors import UserError
from grapebench.records import Ranking
from grapebench.retrieval import ranking, sweep

BACKENDS = ("numpy", "torch")


def unit(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    matrix = rng.standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def scores_of(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    return (queries.astype(np.float64) @ gallery.T.astype(np.float64)).astype(np.float32)


def by_sorting(
    queries: np.ndarray, gallery: np.ndarray, positives: list[list[int]], excluded: list[list[int]]
) -> list[list[int]]:
    """Ranks of every positive by sorting all scores; at equal scores the positives come last."""
    found = []
    for row, good, out in zip(scores_of(queries, gallery), positives, excluded, strict=True):
        candidates = [c for c in range(len(gallery)) if c not in out]
        order = sorted(candidates, key=lambda c: (-row[c], c in good))
        found.append([place for place, c in enumerate(order, start=1) if c in good])
    return found


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(columns, np.int64) for columns in lists]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[list[int]], list[list[int]]]:
    """Small integers, so that ties abound and every sum is exact."""
    queries, gallery, dimension = draw(st.integers(1, 5)), draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    left = rng.integers(-2, 3, (queries, dimension)).astype(np.float32)
    right = rng.integers(-2, 3, (gallery, dimension)).astype(np.float32)
    columns = st.lists(st.integers(0, gallery - 1), max_size=4)
    positives = [draw(columns) for _ in range(queries)]
    excluded = [draw(columns) for _ in range(queries)]
    return left, right, positives, excluded


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=60, deadline=None)
@given(problem=problems(), block=st.sampled_from([16, 64, 4096]))
def test_ranks_agree_with_a_full_sort(backend: str, problem, block: int) -> None:
    queries, gallery, positives, excluded = problem
    expected = by_sorting(queries, gallery, positives, excluded)
    found = ranking.positive_ranks(
        queries, gallery, arrays(positives), arrays(excluded), backend=backend, block_bytes=block
    )
    assert [ranks.tolist() for ranks in found] == expected
    best = ranking.count_ranks(
        queries, gallery, arrays(positives), arrays(excluded), backend=backend, block_bytes=block
    )
    candidates = [len(gallery) - len(set(out)) for out in excluded]
    assert best.candidates.tolist() == candidates
    assert best.rank.tolist() == [
        ranks[0] if ranks else last + 1 for ranks, last in zip(expected, candidates, strict=True)
    ]
    assert (best.rank == 1 + best.above + best.equal).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_realistic_vectors_in_many_blocks_agree_with_a_full_sort(backend: str) -> None:
    rng = np.random.default_rng(1)
    gallery = unit(rng, 5003, 96)
    queries = unit(rng, 1100, 96)
    positives = [[int(c)] for c in rng.integers(0, 5003, 1100)]
    found = ranking.count_ranks(queries, gallery, arrays(positives), backend=backend, block_bytes=2**20)
    scores = scores_of(queries, gallery)
    target = scores[np.arange(1100), [p[0] for p in positives]]
    assert found.rank.tolist() == (scores >= target[:, None]).sum(axis=1).tolist()
    assert found.score.tolist() == target.tolist()


def test_agrees_with_scipy_rankdata() -> None:
    rng = np.random.default_rng(2)
    queries, gallery = rng.integers(-1, 2, (20, 3)), rng.integers(-1, 2, (30, 3))
    found = ranking.count_ranks(
        queries.astype(np.float32), gallery.astype(np.float32), arrays([[i] for i in range(20)])
    )
    expected = [rankdata(-row, method="max")[i] for i, row in enumerate(queries @ gallery.T)]
    assert found.rank.tolist() == expected


def test_agrees_with_ir_measures_where_nothing_ties() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    rng = np.random.default_rng(3)
    queries, gallery = unit(rng, 25, 16), unit(rng, 60, 16)
    positives = [sorted(rng.choice(60, 3, replace=False).tolist()) for _ in range(25)]
    found = ranking.count_ranks(queries, gallery, arrays(positives))
    scores = scores_of(queries, gallery)
    run = {str(q): {str(c): float(scores[q, c]) for c in range(60)} for q in range(25)}
    qrels = {str(q): {str(c): 1 for c in positives[q]} for q in range(25)}
    measures = [ir_measures.Success @ 1, ir_measures.Success @ 5, ir_measures.RR]
    expected = ir_measures.calc_aggregate(measures, qrels, run)
    assert expected[measures[0]] == pytest.approx((found.rank <= 1).mean())
    assert expected[measures[1]] == pytest.approx((found.rank <= 5).mean())
    assert expected[measures[2]] == pytest.approx((1 / found.rank).mean())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gallery", [1, 17, 1001, 4097])
def test_a_scorer_without_an_opinion_gets_the_worst_rank(backend: str, gallery: int) -> None:
    # BLAS gives equal rows different last bits at the edges of a block
    rng = np.random.default_rng(4)
    image = unit(rng, 1, 512)
    queries = unit(rng, 33, 512)
    found = ranking.count_ranks(
        queries, np.repeat(image, gallery, axis=0), arrays([[i % gallery] for i in range(33)]), backend=backend
    )
    assert (found.rank == gallery).all()
    assert (found.above == 0).all()


def test_errors_that_add_up_do_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    # equal entries round the same way at every step, beyond what chance would do
    gallery = np.full((2001, 512), 0.5675483, np.float32)
    queries = np.full((24, 512), 0.8608442, np.float32)
    targets = arrays([[83 * row] for row in range(24)])
    assert ranking.count_ranks(queries, gallery, targets).equal.tolist() == [2000] * 24
    # with a margin that they exceed on any machine, a second pass must put it right
    monkeypatch.setattr(sweep, "rounding_margin", lambda dimension: 1e-9)
    assert ranking.count_ranks(queries, gallery, targets).equal.tolist() == [2000] * 24


@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), power=st.integers(-20, 20))
def test_order_duplicates_and_scale_do_not_matter(backend: str, seed: int, power: int) -> None:
    rng = np.random.default_rng(seed)
    queries, gallery = unit(rng, 7, 33), unit(rng, 50, 33)
    gallery = np.concatenate([gallery, gallery[rng.integers(0, 50, 30)]])
    targets = rng.integers(0, 80, 7)
    first = ranking.count_ranks(queries, gallery, arrays([[t] for t in targets]), backend=backend)
    order = rng.permutation(80)
    place = np.argsort(order)
    moved = ranking.count_ranks(
        queries * np.float32(2.0**power), gallery[order], arrays([[place[t]] for t in targets]), backend=backend
    )
    assert moved.above.tolist() == first.above.tolist()
    assert moved.equal.tolist() == first.equal.tolist()
    copies = [(gallery == gallery[t]).all(axis=1).sum() - 1 for t in targets]
    assert first.equal.tolist() == copies


def test_excluding_equals_deleting() -> None:
    rng = np.random.default_rng(5)
    queries, gallery = unit(rng, 9, 16), unit(rng, 40, 16)
    whole = ranking.count_ranks(queries, gallery, arrays([[3]] * 9), arrays([[7, 39, 7]] * 9))
    kept = np.delete(gallery, [7, 39], axis=0)
    less = ranking.count_ranks(queries, kept, arrays([[3]] * 9))
    assert whole.rank.tolist() == less.rank.tolist()
    assert whole.candidates.tolist() == [38] * 9


def test_a_query_without_a_positive_misses() -> None:
    rng = np.random.default_rng(6)
    queries, gallery = unit(rng, 3, 8), unit(rng, 10, 8)
    found = ranking.count_ranks(queries, gallery, arrays([[], [2], [1]]), arrays([[], [2], []]))
    assert found.rank.tolist()[:2] == [11, 10]
    assert np.isnan(found.score[:2]).all()
    assert np.isfinite(found.score[2])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(backend: str, bad: float) -> None:
    rng = np.random.default_rng(7)
    queries, gallery = unit(rng, 3, 8), unit(rng, 10, 8)
    spoilt = gallery.copy()
    spoilt[9, 2] = bad
    with pytest.raises(UserError, match="gallery vector 9"):
        ranking.count_ranks(queries, spoilt, arrays([[0]] * 3), backend=backend, block_bytes=48)
    spoilt = queries.copy()
    spoilt[1, 1] = bad
    with pytest.raises(UserError, match="query vector 1"):
        ranking.count_ranks(spoilt, gallery, arrays([[0]] * 3), backend=backend)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="cannot be compared"):
        ranking.count_ranks(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32), arrays([[0], [0]]))
    with pytest.raises(ValueError, match="outside the gallery"):
        ranking.count_ranks(np.ones((1, 3), np.float32), np.ones((2, 3), np.float32), arrays([[2]]))
    with pytest.raises(ValueError, match="1 lists for 2"):
        ranking.count_ranks(np.ones((2, 3), np.float32), np.ones((2, 3), np.float32), arrays([[1]]))


def test_subsets_are_ranked_among_themselves() -> None:
    rng = np.random.default_rng(8)
    queries, gallery = unit(rng, 30, 16), unit(rng, 80, 16)
    subsets = [rng.choice(80, 5, replace=False).tolist() for _ in range(30)]
    positives = [[subset[0]] for subset in subsets]
    found = ranking.subset_ranks(queries, gallery, arrays(positives), arrays(subsets))
    outside = [[c for c in range(80) if c not in subset] for subset in subsets]
    same = ranking.count_ranks(queries, gallery, arrays(positives), arrays(outside))
    assert found.rank.tolist() == same.rank.tolist()
    assert found.candidates.tolist() == [5] * 30
    missed = ranking.subset_ranks(queries, gallery, arrays([[c[0]] for c in outside]), arrays(subsets))
    assert missed.rank.tolist() == [6] * 30


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_pass_gives_ranks_and_similarities(backend: str) -> None:
    rng = np.random.default_rng(9)
    queries, gallery = unit(rng, 12, 16), unit(rng, 90, 16)
    positives = [[i, i + 1] for i in range(12)]
    excluded = [[i + 2] for i in range(12)]
    both = ranking.examine(
        queries, gallery, arrays(positives), arrays(excluded), top=3, backend=backend, block_bytes=12 * 7 * 4
    )
    alone = ranking.count_ranks(queries, gallery, arrays(positives), arrays(excluded))
    assert_same(both.ranking, alone)
    for q, row in enumerate(scores_of(queries, gallery)):
        others = np.sort(np.delete(row, [q, q + 1, q + 2]))[::-1]
        best = max(row[q], row[q + 1])
        assert both.similarities.positive[q] == best
        assert both.similarities.others[q] == pytest.approx(others.mean(), abs=1e-6)
        assert both.similarities.top[q] == pytest.approx(others[:3].mean(), abs=1e-6)
        assert both.similarities.margin[q] == pytest.approx(best - others[0], abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_similarities_of_some_queries_are_those_among_all(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_QUERIES", 5)
    rng = np.random.default_rng(11)
    queries, gallery = unit(rng, 13, 16), unit(rng, 90, 16)
    good, out = arrays([[i] for i in range(13)]), arrays([[i + 1, 40] for i in range(13)])
    every = ranking.examine(queries, gallery, good, out, top=4, backend=backend, block_bytes=5 * 7 * 4)
    for rows in ([0, 4, 12], [7], []):
        some = ranking.examine(
            queries, gallery, good, out, top=4, backend=backend, block_bytes=5 * 7 * 4, rows=np.array(rows, np.int64)
        )
        assert_same(some.ranking, every.ranking)
        for name in ("positive", "others", "top", "margin"):
            wanted = getattr(every.similarities, name)[rows]
            np.testing.assert_array_equal(getattr(some.similarities, name), wanted)


@settings(max_examples=60, deadline=None)
@given(problem=problems(), more=st.sampled_from([1.0, 1.5, 100.0]))
def test_ranks_do_not_depend_on_who_measured_the_gallery(problem, more: float) -> None:
    queries, gallery, positives, excluded = problem
    longest = more * sweep.longest_row(gallery)
    assert longest >= max(np.linalg.norm(row) for row in gallery) * (1 - 1e-6)
    given_, own = (
        ranking.count_ranks(queries, gallery, arrays(positives), arrays(excluded), longest=length, block_bytes=16)
        for length in (longest, None)
    )
    assert [one.tolist() for one in (given_.rank, given_.equal)] == [one.tolist() for one in (own.rank, own.equal)]


def test_a_gallery_is_looked_through_when_it_is_measured() -> None:
    gallery = np.ones((70_000, 2), np.float32)
    gallery[68_000, 1] = np.nan
    with pytest.raises(UserError, match="gallery vector 68000"):
        sweep.longest_row(gallery)
    assert sweep.longest_row(gallery[:0]) == 0.0


def test_similarities_where_nothing_is_left() -> None:
    found = ranking.examine(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32), arrays([[0]]))
    assert found.ranking.rank.tolist() == [1]
    assert np.isnan(found.similarities.others[0])
    assert np.isnan(found.similarities.margin[0])


def assert_same(first: Ranking, second: Ranking) -> None:
    for name in ("rank", "above", "equal", "score", "candidates"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
