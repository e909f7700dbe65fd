"""Fused scores, and what is read from them, against the plain way: every number by itself, nothing sorted in blocks."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.records import Fusion
from grapebench.retrieval import dense, fused, ranking, topk
from grapebench.retrieval.fused import Fused, ImagesByQuery, QueriesByImage, settle_best

FUSIONS = get_args(Fusion)


def whole(rng: np.random.Generator, rows: int, dimension: int) -> np.ndarray:
    """Small whole numbers, so that ties and equal rows abound and every sum is exact."""
    return rng.integers(-2, 3, (rows, dimension)).astype(np.float32)


def unit(rng: np.random.Generator, rows: int, dimension: int = 16) -> np.ndarray:
    found = rng.normal(size=(rows, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def arrays(lists: list[list[int]]) -> list[np.ndarray]:
    return [np.array(columns, np.int64) for columns in lists]


@st.composite
def problems(
    draw: st.DrawFn, fusions: tuple[Fusion, ...] = ("max", "rrf", "turns")
) -> tuple[Fused, np.ndarray, list[list[int]], list[list[int]]]:
    """Queries of one to four parts, a gallery with equal rows, several positives and excluded images."""
    queries, gallery, dimension = draw(st.integers(1, 4)), draw(st.integers(1, 30)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = rng.integers(1, 5, queries)
    weights = rng.choice([0.5, 1.0, 1.0, 3.0], counts.sum())
    chosen = tuple(draw(st.sampled_from(fusions)) for _ in range(queries))
    columns = st.lists(st.integers(0, gallery - 1), max_size=4)
    return (
        Fused(whole(rng, int(counts.sum()), dimension), counts, weights, chosen),
        whole(rng, gallery, dimension),
        [draw(columns) for _ in range(queries)],
        [draw(columns) for _ in range(queries)],
    )


def plain_scores(queries: Fused, gallery: np.ndarray, excluded: list[list[int]]) -> list[dict[int, float]]:
    """Each query's candidates and their scores, by the definitions."""
    found: list[dict[int, float]] = []
    part = 0
    for count, fusion, out in zip(queries.counts.tolist(), queries.fusions, excluded, strict=True):
        own = range(part, part + count)
        part += count
        kept = [image for image in range(len(gallery)) if image not in out]
        cosine = {(p, image): float(queries.parts[p] @ gallery[image]) for p in own for image in kept}
        if fusion == "max" or count == 1:
            found.append({image: max(cosine[p, image] for p in own) for image in kept})
            continue
        scores = {}
        ranks = {key: sum(cosine[key[0], other] >= score for other in kept) for key, score in cosine.items()}
        if fusion == "turns":
            found.append({image: -place for image, place in in_turns(own, kept, ranks, queries.weights).items()})
            continue
        for image in kept:
            terms = [float(queries.weights[p]) / (60 + ranks[p, image]) for p in own]
            total = 0.0
            for term in sorted(terms):
                total += term
            scores[image] = total
        found.append(scores)
    return found


def in_turns(own: range, kept: list[int], ranks: dict[tuple[int, int], int], weights: np.ndarray) -> dict[int, float]:
    """The place of each image, by going from turn to turn."""
    found: dict[int, float] = {}
    for turn in range(1, len(kept) + 1):
        new = {}
        for image in kept:
            voters = [p for p in own if ranks[p, image] == turn]
            if voters and image not in found:
                new[image] = (-sum(float(weights[p]) for p in voters), voters[0])
        before = len(found)
        found |= {image: 1.0 + before + sum(other < new[image] for other in new.values()) for image in new}
    return found


def worst_rank(scores: dict[int, float], good: list[int]) -> int:
    """Of the best of some right ones among everything that has a score, the right ones being last of their equals."""
    right = {column for column in good if column in scores}
    if not right:
        return len(scores) + 1
    best = max(scores[column] for column in right)
    return 1 + sum(score >= best for column, score in scores.items() if column not in right)


@settings(max_examples=150, deadline=None)
@given(problem=problems(), block=st.sampled_from([1, 500, 2**20]))
def test_ranks_agree_with_the_definition(problem, block: int) -> None:
    queries, gallery, positives, excluded = problem
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fused, "BLOCK", block)
        found = dense.examine(ImagesByQuery(queries, gallery, arrays(excluded)), arrays(positives)).ranking
    expected = plain_scores(queries, gallery, excluded)
    assert found.rank.tolist() == [worst_rank(*each) for each in zip(expected, positives, strict=True)]
    assert found.candidates.tolist() == list(map(len, expected))
    assert (found.rank == 1 + found.above + found.equal).all()
    assert np.isnan(found.score).tolist() == [not set(g) - set(o) for g, o in zip(positives, excluded, strict=True)]


@settings(max_examples=100, deadline=None)
@given(problem=problems(), k=st.integers(0, 8), data=st.data())
def test_lists_and_subsets_agree_with_the_definition(problem, k: int, data: st.DataObject) -> None:
    queries, gallery, positives, excluded = problem
    scores = plain_scores(queries, gallery, excluded)
    table = ImagesByQuery(queries, gallery, arrays(excluded))
    columns, values = dense.top_k(table, k)
    members = [data.draw(st.lists(st.integers(0, len(gallery) - 1), max_size=5)) for _ in scores]
    listed, listed_values = dense.rank_members(table, arrays(members))
    for row, own in enumerate(scores):
        order = sorted(own, key=lambda column: (-own[column], column))
        width = min(k, len(gallery))
        assert [column for column in columns[row].tolist() if column >= 0] == order[:width]
        assert values[row][columns[row] >= 0].tolist() == [own[column] for column in order[:width]]
        assert np.isneginf(values[row][columns[row] < 0]).all()
        inside = [column for column in order if column in members[row]]
        assert [column for column in listed[row].tolist() if column >= 0] == inside
        assert listed_values[row][: len(inside)].tolist() == [own[column] for column in inside]
    found = dense.subset_ranks(table, arrays(positives), arrays(members))
    within = [{c: s for c, s in own.items() if c in some} for own, some in zip(scores, members, strict=True)]
    assert found.rank.tolist() == [worst_rank(*each) for each in zip(within, positives, strict=True)]
    assert found.candidates.tolist() == list(map(len, within))


def plain_way_back(images: np.ndarray, queries: Fused) -> list[dict[int, float]]:
    starts = np.concatenate([[0], np.cumsum(queries.counts)]).tolist()
    by_rank = [fusion == "rrf" and count > 1 for fusion, count in zip(queries.fusions, queries.counts, strict=True)]
    found = []
    for image in images:
        cosine = [float(image @ part) for part in queries.parts]
        scores = {}
        for query, ranked in enumerate(by_rank):
            own = range(starts[query], starts[query + 1])
            terms = [1 / (60 + sum(other >= cosine[p] for other in cosine)) for p in own]
            if not any(by_rank):
                scores[query] = max(cosine[p] for p in own)
            elif not ranked:
                scores[query] = max(terms)
            else:
                weights = queries.weights[own.start : own.stop] / queries.weights[own.start : own.stop].sum()
                scores[query] = float(np.dot(weights, terms))
        found.append(scores)
    return found


@settings(max_examples=100, deadline=None)
@given(problem=problems(), block=st.sampled_from([1, 500, 2**20]))
def test_the_way_back_agrees_with_the_definition(problem, block: int) -> None:
    queries, images, _, _ = problem
    expected = plain_way_back(images, queries)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fused, "BLOCK", block)
        blocks = list(QueriesByImage(images, queries).blocks())
    scores = np.concatenate([block.scores for block in blocks])
    assert scores.shape == (len(images), len(queries))
    assert scores == pytest.approx(np.array([[own[query] for query in sorted(own)] for own in expected]), rel=1e-12)


@pytest.mark.parametrize("fusion", FUSIONS)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_one_part_is_what_a_single_vector_is(fusion: Fusion, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, gallery = whole(rng, 5, 3), whole(rng, 20, 3)
    positives, excluded = arrays([[0, 3], [1], [], [4], [19, 2]]), arrays([[3], [1], [], [7, 8], []])
    single = Fused(vectors, np.ones(5, np.int64), rng.choice([0.5, 2.0], 5), (fusion,) * 5)
    table = ImagesByQuery(single, gallery, excluded)
    expected = ranking.examine(vectors, gallery, positives, excluded, top=4)
    found = dense.examine(table, positives, top=4)
    for name in ("rank", "above", "equal", "score", "candidates"):
        np.testing.assert_array_equal(getattr(found.ranking, name), getattr(expected.ranking, name))
    for name in ("positive", "others", "top", "margin"):
        got, wanted = (getattr(each.similarities, name) for each in (found, expected))
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    for got, wanted in zip(dense.top_k(table, 6), topk.top_k(vectors, gallery, 6, excluded), strict=True):
        np.testing.assert_array_equal(got, wanted)
    back = dense.examine(QueriesByImage(gallery, single), [np.array([image % 5]) for image in range(20)]).ranking
    there = ranking.count_ranks(gallery, vectors, [np.array([image % 5]) for image in range(20)])
    assert back.rank.tolist() == there.rank.tolist()


@settings(max_examples=40, deadline=None)
@given(problem=problems(FUSIONS))
def test_the_best_part_is_the_one_that_ranks_highest(problem) -> None:
    queries, gallery, positives, excluded = problem
    found = settle_best(queries, gallery, arrays(positives), arrays(excluded))
    if isinstance(found, np.ndarray):
        found = Fused(found, np.ones(len(queries), np.int64), np.ones(len(queries)), queries.fusions)
    for row, fusion in enumerate(queries.fusions):
        parts, left = queries.parts[queries.of(row)], found.parts[found.of(row)]
        if fusion != "best":
            assert left.tolist() == parts.tolist()
            continue
        count = len(parts)
        out = arrays([excluded[row]] * count)
        ranks = ranking.count_ranks(parts, gallery, arrays([positives[row]] * count), out).rank.tolist()
        assert left.tolist() == [parts[ranks.index(min(ranks))].tolist()]


def test_all_settled_queries_are_plain_vectors() -> None:
    rng = np.random.default_rng(0)
    queries = Fused(unit(rng, 6), np.array([2, 1, 3]), np.ones(6), ("best", "mean", "best"))
    gallery = unit(rng, 30)
    found = settle_best(queries, gallery, arrays([[0], [1], [2]]), None)
    assert isinstance(found, np.ndarray) and found.shape == (3, 16)
    best = ranking.count_ranks(found, gallery, arrays([[0], [1], [2]])).rank
    for row in range(3):
        own = queries.parts[queries.of(row)]
        assert best[row] == min(ranking.count_ranks(own, gallery, arrays([[row]] * len(own))).rank)
    with pytest.raises(ValueError, match="settled first"):
        list(ImagesByQuery(queries, gallery).blocks())


def test_realistic_vectors_in_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand images, a twin of each of the first hundred, and blocks of a few queries."""
    rng = np.random.default_rng(1)
    gallery = unit(rng, 2000, 64)
    gallery[100:200] = gallery[:100]
    counts = rng.integers(1, 6, 60)
    queries = Fused(unit(rng, int(counts.sum()), 64), counts, np.ones(counts.sum()), ("rrf", "max") * 30)
    monkeypatch.setattr(fused, "BLOCK", 2**17)
    monkeypatch.setattr(fused, "_STRIP", 300)
    found = dense.examine(ImagesByQuery(queries, gallery), [np.array([row]) for row in range(60)]).ranking
    cosines = (queries.parts.astype(np.float64) @ gallery.T.astype(np.float64)).astype(np.float32)
    for row in range(60):
        lines = cosines[queries.of(row)]
        if queries.fusions[row] == "max" or len(lines) == 1:
            scores = lines.max(axis=0)
        else:
            ranks = [(line[:, None] <= line).sum(axis=1) for line in lines]
            scores = np.sort([1 / (60 + rank) for rank in ranks], axis=0).cumsum(axis=0)[-1]
        assert found.rank[row] == np.count_nonzero(scores >= scores[row])
        assert found.equal[row] >= 1, "the twin ties, by every fusion"


def test_images_with_the_same_terms_tie_in_whichever_parts() -> None:
    """1/61 + 1/62 + 1/63 is the same sum in any order: three images that swap their places are equals."""
    gallery = np.eye(3, dtype=np.float32)
    parts = np.array([[3, 2, 1], [1, 3, 2], [2, 1, 3]], np.float32)
    queries = Fused(parts, np.array([3]), np.ones(3), ("rrf",))
    found = dense.examine(ImagesByQuery(queries, gallery), arrays([[0]])).ranking
    assert (found.rank[0], found.equal[0]) == (3, 2)


def test_excluded_images_have_no_rank_that_others_could_lose_to() -> None:
    """By the first part the excluded image is the best; without it the first image leads both lists."""
    gallery = np.array([[1, 0], [0.5, 0.5], [2, 0]], np.float32)
    queries = Fused(np.array([[1, 0], [1, 0.5]], np.float32), np.array([2]), np.ones(2), ("rrf",))
    _, scores = dense.top_k(ImagesByQuery(queries, gallery, arrays([[2]])), 3)
    assert scores[0].tolist() == [2 / 61, 2 / 62, -np.inf]


def test_the_similarities_are_those_of_the_nearest_part() -> None:
    rng = np.random.default_rng(2)
    gallery = unit(rng, 40)
    queries = Fused(unit(rng, 9), np.array([3, 3, 3]), np.ones(9), ("rrf", "max", "rrf"))
    found = dense.examine(ImagesByQuery(queries, gallery, arrays([[5], [], []])), arrays([[0, 1], [2], []]), top=10)
    nearest = (queries.parts @ gallery.T).reshape(3, 3, 40).max(axis=1)
    others = [np.delete(nearest[0], [0, 1, 5]), np.delete(nearest[1], 2), nearest[2]]
    similarities = found.similarities
    assert similarities.others == pytest.approx([line.mean() for line in others], abs=1e-6)
    assert similarities.top == pytest.approx([np.sort(line)[-10:].mean() for line in others], abs=1e-6)
    assert similarities.positive[1] == pytest.approx(nearest[1, 2])
    assert similarities.margin[1] == pytest.approx(nearest[1, 2] - others[1].max(), abs=1e-6)
    assert np.isnan(similarities.positive[2]) and np.isnan(similarities.margin[2])


def test_what_is_not_finite_is_refused() -> None:
    gallery = np.ones((2, 2), np.float32)
    queries = Fused(np.array([[1, np.nan], [1, 0]], np.float32), np.array([2]), np.ones(2), ("max",))
    with pytest.raises(UserError, match="query vector 0"):
        dense.top_k(ImagesByQuery(queries, gallery), 1)


def test_an_empty_gallery_and_no_queries() -> None:
    empty = Fused(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), np.zeros(0), ())
    assert dense.examine(ImagesByQuery(empty, np.ones((3, 2), np.float32)), []).ranking.rank.shape == (0,)
    assert dense.top_k(QueriesByImage(np.ones((3, 2), np.float32), empty), 5)[0].shape == (3, 0)


def listed(orders: list[str], weights: list[float], excluded: str = "") -> str:
    """The list that parts with these orders of the images a, b, c, … make in turns."""
    names = sorted(orders[0])
    gallery = np.eye(len(names), dtype=np.float32)
    parts = np.array([[len(names) - order.index(name) for name in names] for order in orders], np.float32)
    queries = Fused(parts, np.array([len(orders)]), np.array(weights), ("turns",))
    table = ImagesByQuery(queries, gallery, [np.array([names.index(name) for name in excluded], np.int64)])
    (columns,), (scores,) = dense.top_k(table, len(names))
    kept = [column for column in columns.tolist() if column >= 0]
    assert scores[: len(kept)].tolist() == [-1.0 - place for place in range(len(kept))], "minus the place"
    return "".join(names[column] for column in kept)


def test_parts_take_turns_and_skip_what_is_listed() -> None:
    # Turn 1: a, c. Turn 2: b; a is listed. Turn 3: c is listed, d. Then nothing is new.
    assert listed(["abcd", "cadb"], [1, 1]) == "acbd"
    assert listed(["cadb", "abcd"], [1, 1]) == "cabd", "in the order of the parts"


def test_votes_of_a_turn_come_before_the_order_of_the_parts() -> None:
    assert listed(["abcd", "badc", "bcad"], [1, 1, 1]) == "bacd", "two for b, one for a; then c, d by the parts"
    assert listed(["abcd", "bacd"], [1, 2]) == "bacd", "a text that was given twice has two votes"


def test_what_is_excluded_takes_no_turn() -> None:
    assert listed(["abcd", "badc"], [1, 1], excluded="a") == "bcd"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_without_ties_it_is_round_robin(data: st.DataObject) -> None:
    """Against the list itself, made by hand: every part names its next image, and what was named is skipped."""
    names = "abcdefgh"[: data.draw(st.integers(1, 8))]
    orders = ["".join(data.draw(st.permutations(names))) for _ in range(data.draw(st.integers(2, 4)))]
    expected: list[str] = []
    for turn in zip(*orders, strict=True):
        for name in sorted(dict.fromkeys(turn), key=lambda name: -turn.count(name)):
            expected += [name] if name not in expected else []
    assert listed(orders, [1.0] * len(orders)) == "".join(expected)
