"""Places counted from vectors, against plain sorting of all similarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grapebench.evaluation import metrics
from grapebench.evaluation.figures import figures, query_sheet
from grapebench.evaluation.protocols import PROTOCOLS, graded_images
from grapebench.evaluation.search import RUN_DEPTH, TEXTS, image_places, listings, side
from grapebench.evaluation.ways import precisions
from grapebench.records import Gallery, Query

NO_IMAGES: Any = None
GRADES = (-1.0, 0.0, 0.2, 0.5, 1.0)


def gallery(size: int, categories: tuple[str, ...] = ()) -> Gallery:
    return Gallery(tuple(f"i{n:03}" for n in range(size)), NO_IMAGES, categories)


def whole(random: np.random.Generator, rows: int, dimension: int = 3) -> np.ndarray:
    """Small whole numbers, so that ties abound and every sum is exact; no row is 0."""
    found = random.integers(-2, 3, (rows, dimension)).astype(np.float32)
    found[:, 0] = np.where(found.any(axis=1), found[:, 0], 1)
    return found


def unit(random: np.random.Generator, rows: int, dimension: int = 16) -> np.ndarray:
    found = random.normal(size=(rows, dimension)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def worst_place(scores: np.ndarray, right: set[int], among: list[int]) -> int | None:
    """Of the best of `right` in a sort of `among` that puts it last of its equals."""
    good = [column for column in among if column in right]
    if not good:
        return None
    best = max(scores[column] for column in good)
    return 1 + sum(scores[column] >= best for column in among if column not in right)


def authors_grade(query: Query, scores: np.ndarray, ids: tuple[str, ...], k: int, among: list[int]) -> float:
    """CIRR's rule on a full sort: the highest grade among the first k, the worse image first of equals, at least 0."""
    grades = dict(query.grades) if query.grades else dict.fromkeys(query.positives, 1.0)
    order = sorted(among, key=lambda column: (-scores[column], max(0.0, grades.get(ids[column], 0.0))))
    return max([0.0, *(grades.get(ids[column], 0.0) for column in order[:k])])


@settings(max_examples=60)
@given(st.data())
def test_graded_agrees_with_a_full_sort(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    images = gallery(data.draw(st.integers(4, 12)))
    some = st.lists(st.sampled_from(images.ids), min_size=1, max_size=5, unique=True)
    queries = []
    for number in range(data.draw(st.integers(1, 4))):
        reference, target, *_ = data.draw(st.permutations(images.ids))
        grades = tuple((image, data.draw(st.sampled_from(GRADES))) for image in data.draw(some | st.just([])))
        subset = tuple(image for image in {target, *data.draw(some)} if image != reference)
        queries.append(Query(f"q{number}", "t", (target,), excluded=(reference,), subset=subset, grades=grades))
    vectors, columns = whole(random, len(queries)), whole(random, len(images))
    protocol = PROTOCOLS["graded"]
    sheet = query_sheet(protocol, queries, side(protocol, images, queries, vectors, columns).places, {})
    for row, (query, scores) in enumerate(zip(queries, vectors @ columns.T, strict=True)):
        kept = [column for column, image in enumerate(images.ids) if image not in query.excluded]
        members = [column for column in kept if images.ids[column] in query.subset]
        for k in protocol.ks:
            assert sheet.values[f"R@{k}"][row] == authors_grade(query, scores, images.ids, k, kept)
        for k in protocol.subset_ks:
            assert sheet.values[f"R_subset@{k}"][row] == authors_grade(query, scores, images.ids, k, members)


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_graded_with_one_target_of_grade_one_is_composed(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = gallery(12)
    queries = []
    for number in range(6):
        reference, *others = random.permutation(images.ids).tolist()
        grades = ((others[0], 1.0), (others[6], -1.0)) if number % 2 else ()
        queries.append(
            Query(f"q{number}", "t", (others[0],), excluded=(reference,), subset=tuple(others[:5]), grades=grades)
        )
    vectors, columns = whole(random, 6), whole(random, 12)
    found = {}
    for name in ("graded", "composed"):
        places = side(PROTOCOLS[name], images, queries, vectors, columns).places
        found[name] = figures(PROTOCOLS[name], [query_sheet(PROTOCOLS[name], queries, places, {})], places)
    assert found["graded"] == {key: found["composed"][key] for key in PROTOCOLS["graded"].keys}


@settings(max_examples=60)
@given(st.data())
def test_image_to_text_agrees_with_a_full_sort(data: st.DataObject) -> None:
    """Several texts an image, texts of several images, images without a text, languages apart."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    images = gallery(data.draw(st.integers(1, 8)))
    some = st.lists(st.sampled_from(images.ids), min_size=1, max_size=2, unique=True)
    queries = [
        Query(f"q{n}", "t", tuple(data.draw(some)), data.draw(st.sampled_from(["de", "zh"])))
        for n in range(data.draw(st.integers(1, 10)))
    ]
    vectors, columns = whole(random, len(queries)), whole(random, len(images))
    for name, apart in (("retrieval", False), ("multilingual", True)):
        found = image_places(PROTOCOLS[name], images, queries, vectors, columns)
        assert found.rank is not None
        expected = {}
        for language in ("de", "zh") if apart else ("",):
            texts = [n for n, query in enumerate(queries) if query.language == language or not apart]
            for column, image in enumerate(images.ids):
                own = {n for n in texts if image in queries[n].positives}
                if own:
                    expected[language, image] = worst_place(columns[column] @ vectors.T, own, texts)
        assert dict(zip(zip(found.languages, found.images, strict=True), found.rank.tolist(), strict=True)) == expected


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_one_to_one_image_to_text_ranks_are_those_of_the_transposed_similarities(seed: int, size: int) -> None:
    random = np.random.default_rng(seed)
    images = gallery(size)
    queries = [Query(f"q{n}", "t", (image,)) for n, image in enumerate(images.ids)]
    vectors, columns = whole(random, size), whole(random, size)
    there = side(PROTOCOLS["retrieval"], images, queries, vectors, columns)
    back = side(PROTOCOLS["retrieval"], images, queries, columns, vectors)
    assert there.back is not None and back.back is not None and there.back.rank is not None
    assert there.back.rank.tolist() == back.places.rank.tolist()
    assert there.places.rank.tolist() == back.back.rank.tolist()  # type: ignore[union-attr]


@settings(max_examples=60)
@given(st.data())
def test_average_precision_agrees_with_a_full_sort(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    asked, size = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 25))
    wanted, found = random.integers(0, 3, asked), random.integers(0, 3, size)
    excluded = [np.array(sorted(data.draw(st.sets(st.integers(0, size - 1), max_size=3))), int) for _ in range(asked)]
    queries, rows = whole(random, asked), whole(random, size)
    got = precisions(queries, rows, wanted, found, excluded)
    for row, scores in enumerate(queries @ rows.T):
        kept = [column for column in range(size) if column not in excluded[row]]
        order = sorted(kept, key=lambda column: (-scores[column], found[column] == wanted[row]))
        right = [place for place, column in enumerate(order, 1) if found[column] == wanted[row]]
        expected = np.mean([hit / place for hit, place in enumerate(right, 1)]) if right else 0
        assert got[row] == pytest.approx(expected)


def test_average_precision_in_several_blocks_agrees_with_ir_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    ir = pytest.importorskip("ir_measures")
    monkeypatch.setattr("grapebench.evaluation.ways._BLOCK_VALUES", 1000)
    random = np.random.default_rng(3)
    queries, rows = unit(random, 70), unit(random, 300)
    wanted, found = random.integers(0, 10, 70), random.integers(0, 10, 300)
    scores = (queries.astype(np.float64) @ rows.T).astype(np.float32)
    qrels = {f"q{q}": {f"d{d}": int(found[d] == wanted[q]) for d in range(300)} for q in range(70)}
    run = {f"q{q}": {f"d{d}": float(scores[q, d]) for d in range(300)} for q in range(70)}
    theirs = {value.query_id: value.value for value in ir.iter_calc([ir.AP], qrels, run)}
    assert precisions(queries, rows, wanted, found).tolist() == pytest.approx([theirs[f"q{q}"] for q in range(70)])


def test_category_map_both_ways() -> None:
    """Every image of the category is right, and every text of it on the way back; other images leave the average."""
    random = np.random.default_rng(4)
    kinds = ("art", "war", "art", "sea", "war", "art")
    images = gallery(6, kinds)
    queries = [Query(f"q{n}", "t", (f"i00{n}",), category=kinds[n]) for n in (0, 1, 2, 4)]
    vectors, columns = unit(random, 4), unit(random, 6)
    found = side(PROTOCOLS["category-map"], images, queries, vectors, columns)
    assert found.places.precision is not None and found.back is not None and found.back.precision is not None
    assert found.back.images == ("i000", "i001", "i002", "i004", "i005"), "no text is about the sea"
    assert found.back.rank is None and found.back.languages == ("",) * 5
    scores = vectors @ columns.T
    same = np.array([[query.category == kind for kind in kinds] for query in queries])
    for row, precision in enumerate(found.places.precision):
        assert precision == metrics.average_precision(
            scores[row][same[row]], scores[row][~same[row]], int(same[row].sum())
        )
    for image, precision in zip(found.back.images, found.back.precision, strict=True):
        column = images.index[image]
        line, right = scores[:, column], same[:, column]
        assert precision == metrics.average_precision(line[right], line[~right], int(right.sum()))


def test_a_query_without_a_right_candidate_misses_however_small_the_gallery() -> None:
    images = gallery(3)
    query = Query("q", "t", ("i000",), excluded=("i000",), subset=("i001", "i002"))
    vectors, columns = np.ones((1, 2), np.float32), np.ones((3, 2), np.float32)
    places = side(PROTOCOLS["composed"], images, [query], vectors, columns).places
    assert places.rank.tolist() == [51] and places.subset_rank is not None and places.subset_rank.tolist() == [51]
    assert graded_images(query) == {}
    graded = side(PROTOCOLS["graded"], images, [query], vectors, columns).places
    values = query_sheet(PROTOCOLS["graded"], [query], graded, {}).values
    assert {float(value[0]) for value in values.values()} == {0.0}


def test_listings_without_labels() -> None:
    random = np.random.default_rng(5)
    images = gallery(130)
    queries = [Query(f"q{n}", "t", excluded=("i000",), subset=("i003", "i001", "i000")) for n in range(15)]
    vectors, columns = unit(random, 15), unit(random, 130)
    scores = (vectors.astype(np.float64) @ columns.T).astype(np.float32)
    found = listings(PROTOCOLS["composed"], images, queries, vectors, columns)
    assert found.texts is None and found.subset is not None
    best, values = found.images
    assert best.shape == (15, RUN_DEPTH) and 0 not in best
    assert values.tolist() == np.take_along_axis(scores, best, axis=1).tolist()
    members, _ = found.subset
    assert {frozenset(row) for row in members.tolist()} == {frozenset({1, 3})}, "without what is excluded"
    assert all(scores[row, first] > scores[row, second] for row, (first, second) in enumerate(members))
    uneven = [Query("a", "t", subset=("i001",)), Query("b", "t"), Query("c", "t", subset=("i005", "i002", "i009"))]
    members, values = listings(PROTOCOLS["composed"], images, uneven, vectors[:3], columns).subset or (None, None)
    assert members is not None and values is not None
    assert members[0].tolist() == [1, -1, -1] and members[1].tolist() == [-1] * 3 and -1 not in members[2]
    assert np.isneginf(values[1]).all()


@pytest.mark.parametrize("protocol", ["retrieval", "multilingual"])
def test_the_best_texts_of_each_image(protocol: str) -> None:
    random = np.random.default_rng(6)
    images = gallery(9)
    queries = [Query(f"q{n}", "t", language="de" if n % 3 else "zh") for n in range(40)]
    vectors, columns = unit(random, 40), unit(random, 9)
    found = listings(PROTOCOLS[protocol], images, queries, vectors, columns).texts
    assert found is not None
    places, values = found
    scores = (columns.astype(np.float64) @ vectors.T).astype(np.float32)
    assert values.tolist() == np.take_along_axis(scores, places, axis=1).tolist()
    assert (np.diff(values, axis=1) <= 0).all()
    for row, line in enumerate(scores):
        by_score = np.argsort(-line, kind="stable")
        for language in ("de", "zh") if protocol == "multilingual" else ("",):
            of_language = [n for n in by_score if not language or queries[n].language == language]
            listed = [n for n in places[row] if not language or queries[n].language == language]
            assert listed == of_language[:TEXTS]
