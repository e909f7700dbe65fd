"""Which queries are drawn together, and what a test is worth that takes them for independent."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from grapebench.datasets import cirr, cvlue, flickr30k_cn, wikipedia
from grapebench.datasets.place import Place
from grapebench.evaluation.clusters import Sizes, clusters, of_images, sizes
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.significance import paired_p, pairs_p
from grapebench.leaderboard.verification.together import together
from grapebench.records import Query

OWN, CATEGORY = PROTOCOLS["retrieval"], PROTOCOLS["category-map"]


def test_what_makes_one_cluster() -> None:
    queries = [
        Query("q0", "", ("i5", "i2")),
        Query("q1", "", ("i2",)),
        Query("q2", "", ("i3",), reference="i9"),
        Query("q3", "", ("i4",), reference="i9"),
        Query("q4", "", ("i6",), reference="i7", subset=("i6", "i8")),
        Query("q5", "", ("i7",), reference="i8", subset=("i6", "i7")),
        Query("q6", "", ("a",), source="article"),
        Query("q7", "", ("b",), source="article"),
        Query("q8", "", ("i9",)),
    ]
    assert clusters(OWN, queries) == ["i2", "i2", "i3", "i3", "i6", "i6", "a", "a", "i9"]
    assert sizes(clusters(OWN, queries)) == Sizes(5, 2)
    assert clusters(OWN, []) == [] and sizes([]) == Sizes(0, 0)


def test_a_chain_is_one_cluster_and_a_name_depends_on_it_alone() -> None:
    """By an image, then by a reference, then by look-alikes."""
    chain = [
        Query("q0", "", ("i7",)),
        Query("q1", "", ("i7",), reference="i1"),
        Query("q2", "", ("i5",), reference="i1", subset=("i2", "i3")),
        Query("q3", "", ("i4",), reference="i2", subset=("i1", "i3")),
    ]
    other = Query("q4", "", ("i0",))
    assert clusters(OWN, [*chain, other]) == ["i4"] * 4 + ["i0"]
    assert clusters(OWN, [other, *reversed(chain)]) == ["i0"] + ["i4"] * 4
    assert clusters(OWN, [chain[0], chain[2]]) == ["i7", "i5"], "the link between them is not asked"


def test_a_category_is_no_cluster() -> None:
    """Every image of the category is right for every query of it, and says nothing of what they have in common."""
    right = ("i0", "i1", "i2", "i3")
    from_articles = [Query(f"q{n}", "", right, category="art", source=f"article {n // 2}") for n in range(4)]
    assert clusters(CATEGORY, from_articles) == ["article 0"] * 2 + ["article 1"] * 2
    own = [Query(f"q{n}", "", (f"i{n // 2}", *right), category="art") for n in range(4)]
    assert clusters(CATEGORY, own) == ["i0", "i0", "i1", "i1"]
    assert sizes(clusters(OWN, own)) == Sizes(1, 4), "where they are right for other reasons they are shared"


def test_an_image_is_drawn_with_its_queries() -> None:
    queries = [Query("q0", "", ("i5", "i2")), Query("q1", "", ("i2", "i9")), Query("q2", "", ("i1",))]
    assert of_images(OWN, ("i1", "i2", "i5", "i9"), queries, clusters(OWN, queries)) == ["i1", "i2", "i2", "i2"]
    queries = [Query("q0", "", ("i0",), source="a"), Query("q1", "", ("i1",), source="a")]
    names = clusters(CATEGORY, queries)
    assert of_images(CATEGORY, ("i0", "i1", "i2"), queries, names) == ["a", "a", "i2"], "no query comes from the last"


IMAGES = st.sampled_from([f"i{n}" for n in range(9)])
ASKED = st.builds(
    lambda positives, reference, subset, source: Query(
        "q", "", tuple(positives), reference=reference, subset=tuple(subset), source=source
    ),
    st.lists(IMAGES, min_size=1, max_size=2, unique=True),
    st.none() | IMAGES,
    st.lists(IMAGES, max_size=2, unique=True),
    st.sampled_from(["", "", "article", "another"]),
)


@given(st.lists(ASKED, min_size=1, max_size=12), st.booleans())
def test_by_joining_one_after_the_other_they_are_the_same(queries: list[Query], by_category: bool) -> None:
    queries = [dataclasses.replace(query, id=f"q{n}") for n, query in enumerate(queries)]
    assert clusters(CATEGORY if by_category else OWN, queries) == together(queries, by_category)


def look_alikes(sets: int, each: int) -> list[Query]:
    """CIRR's layout: in each set of look-alikes every image is once the target and once the reference."""
    found = []
    for one in range(sets):
        members = [f"{one}-{n}" for n in range(each)]
        for n in range(each):
            reference, target = members[n], members[(n + 1) % each]
            subset = tuple(image for image in members if image != reference)
            found.append(Query(f"{one}#{n}", "", (target,), reference=reference, subset=subset))
    return found


def test_false_claims_of_a_paired_test_over_look_alikes() -> None:
    """Two rewriters that are equally good, each better on some sets: 5 % of the tests may say that one is better.

    By the target, every query would be an observation of its own, and far more do.
    """
    random, trials, sets = np.random.default_rng(0), 400, 50
    queries = look_alikes(sets, 6)
    by_set = clusters(PROTOCOLS["composed"], queries)
    assert sizes(by_set) == Sizes(sets, 6)
    by_target = [query.positives[0] for query in queries]
    claims = {"set": 0, "target": 0}
    for trial in range(trials):
        hits = [random.random(len(queries)) < np.repeat(random.beta(0.5, 0.5, sets), 6) for _ in range(2)]
        differences = hits[1].astype(float) - hits[0]
        for name, drawn in (("set", by_set), ("target", by_target)):
            claims[name] += paired_p(differences, drawn, seed=trial, resamples=199) <= 0.05
    assert binom.ppf(0.001, trials, 0.05) <= claims["set"] <= binom.ppf(0.999, trials, 0.05)
    assert claims["target"] > 4 * 0.05 * trials


# The official files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def official() -> Path:
    return Path(os.environ["GRAPEBENCH_ANNOTATIONS"])


@pytest.mark.annotations
@pytest.mark.parametrize(("split", "found"), [("val", Sizes(75, 3124)), ("test1", Sizes(80, 3152))])
def test_cirr(official: Path, split: str, found: Sizes) -> None:
    """Its sets share images with each other, so that three quarters of the queries hang together."""
    dataset = cirr.load(Place.of(official / "cirr"), split)
    assert sizes(clusters(PROTOCOLS["composed"], dataset.queries)) == found
    assert sizes(clusters(PROTOCOLS["graded"], dataset.queries)) == found
    alone = [dataclasses.replace(query, positives=(query.id,)) for query in dataset.queries]
    sets = [frozenset({*query.subset, str(query.reference)}) for query in alone]
    records = json.loads((official / "cirr" / "captions" / f"cap.rc2.{split}.json").read_text())
    assert len(set(sets)) == len({record["img_set"]["id"] for record in records}) == 503


@pytest.mark.annotations
def test_false_claims_on_the_layout_of_cirr(official: Path) -> None:
    """What depends on the target and on the reference goes from set to set: clusters hold, sets alone claim too much.

    2,000 pairs of equally good rewriters: the difference on a query is that of its target, its reference and its own.
    """
    queries = cirr.load(Place.of(official / "cirr"), "val").queries

    def numbers(names: list[str]) -> np.ndarray:
        return np.unique(names, return_inverse=True)[1]

    targets, references = (
        numbers([str(one) for one in some])
        for some in zip(*((q.positives[0], q.reference) for q in queries), strict=True)
    )
    grouped = {
        "cluster": numbers(clusters(PROTOCOLS["composed"], queries)),
        "set": numbers([str(sorted({*query.subset, str(query.reference)})) for query in queries]),
        "query": np.arange(len(queries)),
    }
    random, trials, batches = np.random.default_rng(0), 200, 10
    claims = dict.fromkeys(grouped, 0)
    pairs = np.array([(number, 0) for number in range(1, trials + 1)])
    for batch in range(batches):
        differences = np.zeros((len(queries), trials + 1))
        for column in range(1, trials + 1):
            shared = sum(random.normal(size=of.max() + 1)[of] for of in (targets, references))
            differences[:, column] = shared + random.normal(size=len(queries)) / np.sqrt(2)
        for name, drawn in grouped.items():
            sums = np.stack([np.bincount(drawn, weights=column) for column in differences.T], axis=1)
            claims[name] += int(np.count_nonzero(pairs_p(sums, pairs, seed=batch, resamples=999) <= 0.05))
    low, high = (binom.ppf(level, trials * batches, 0.05) for level in (0.001, 0.999))
    assert low <= claims["cluster"] <= high < claims["set"] < claims["query"], claims


@pytest.mark.annotations
def test_other_benchmarks(official: Path) -> None:
    articles = wikipedia.load(Place.of(official / "wikipedia"), "test").queries
    assert sizes(clusters(OWN, articles)) == sizes(clusters(CATEGORY, articles)) == Sizes(518, 6)
    for form in ("jpg-comma", "zhm-tab"):
        captions = flickr30k_cn.load(Place.of(official / "flickr30k-cn" / f"flickr30k_cn_test.{form}.txt"), "test")
        assert sizes(clusters(OWN, captions.queries)) == Sizes(1000, 5)
    for folder, split, found in (
        ("test_example_IC", "gold", Sizes(2, 5)),
        ("baseline_example_IC", "example", Sizes(4, 5)),
    ):
        captions = cvlue.load(Place.of(official / "cvlue" / folder), split)
        assert sizes(clusters(PROTOCOLS["categories"], captions.queries)) == found
