"""A miss scores 0 in every measure, and each measure is that of trec_eval, on small tasks and runs that are cut off.

trec_eval puts equal scores in the order of their ids. So it is given the run that the rule of ties means, in which each
tie is broken against the right image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from grapebench.evaluation.compare import read_places
from grapebench.evaluation.figures import figures, image_sheet, query_sheet
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.score import score_run
from grapebench.evaluation.search import side
from grapebench.evaluation.trec import Run
from grapebench.records import Dataset, Gallery, Query, Task

NO_IMAGES: Any = None
KS = (1, 2, 3, 5, 10, 50)
Rows = dict[str, dict[str, float]]
"""By query the score of each image that is listed."""


@dataclass(frozen=True)
class Case:
    """A task of at most four images, and a run that may leave out queries, right images, and everything."""

    task: Task
    rows: Rows


def of_protocol(case: Case, protocol: str) -> Task:
    return replace(case.task, protocol=protocol)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    images = tuple(f"i{n}" for n in range(draw(st.integers(1, 4))))
    some = st.lists(st.sampled_from(images), unique=True)
    categories = tuple(draw(st.sampled_from("xy")) for _ in images)
    queries, rows = [], {}
    for n in range(draw(st.integers(1, 5))):
        positives = tuple(draw(st.lists(st.sampled_from(images), unique=True, min_size=1)))
        excluded = tuple(draw(some)[:1])
        category, language = draw(st.sampled_from("xyz")), draw(st.sampled_from(["de", "zh"]))
        queries.append(
            Query(f"q{n}", "t", positives, language, excluded=excluded, subset=tuple(draw(some)), category=category)
        )
        listed = draw(some)
        if listed:
            rows[f"q{n}"] = {image: float(draw(st.integers(0, 2))) for image in listed}
    gallery = Gallery(images, NO_IMAGES, categories)
    task = Task("small", "full", "test", "compose", "composed", 1, Dataset(tuple(queries), gallery), Path("root"))
    return Case(task, rows)


def run_of(rows: Rows) -> Run:
    lines = [(query, image, score) for query, scores in rows.items() for image, score in scores.items()]
    queries, images = (tuple(dict.fromkeys(line[column] for line in lines)) for column in (0, 1))
    return Run(
        Path("run.trec"),
        queries,
        images,
        np.array([queries.index(query) for query, _, _ in lines], dtype=np.int32),
        np.array([images.index(image) for _, image, _ in lines], dtype=np.int32),
        np.array([score for _, _, score in lines], dtype=np.float64),
    )


Qrels = dict[str, dict[str, int]]


def theirs(qrels: Qrels, rows: Rows, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """By measure the value of each query; one that pytrec_eval has not is 0, as `trec_eval -c` has it."""
    untied = {
        query: {
            image: float(-place)
            for place, image in enumerate(
                sorted(scores, key=lambda image: (-scores[image], image in qrels.get(query, {})))
            )
        }
        for query, scores in rows.items()
    }
    measures = {"recip_rank", "map", "success." + ",".join(map(str, KS))}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(untied) if qrels else {}
    named = [ir_measures.RR, ir_measures.AP, *(ir_measures.Success @ k for k in KS)]
    trec = {ir_measures.RR: "recip_rank", ir_measures.AP: "map"} | {ir_measures.Success @ k: f"success_{k}" for k in KS}
    values = {name: dict.fromkeys(names, 0.0) for name in trec.values()}
    for query, one in found.items():
        for name in values:
            values[name][query] = one[name]
    if qrels:
        for metric in ir_measures.iter_calc(named, qrels, untied):
            assert metric.value == pytest.approx(values[trec[metric.measure]][metric.query_id], abs=1e-12)
    return values


def mean(values: dict[str, float], queries: Sequence[Query] | None = None) -> float:
    chosen = list(values) if queries is None else [query.id for query in queries]
    return float(np.mean([values[name] for name in chosen]))


def right(task: Task, by_category: bool = False) -> Qrels:
    """Every right image that stands in the ranking; a query without one is in no qrels."""
    categories = dict(zip(task.gallery.ids, task.gallery.categories, strict=True))
    found = {}
    for query in task.queries:
        images = query.positives
        if by_category:
            images = tuple(image for image in task.gallery.ids if categories[image] == query.category)
        if kept := {image: 1 for image in images if image not in query.excluded}:
            found[query.id] = kept
    return found


def kept(task: Task, rows: Rows, subsets: bool = False) -> Rows:
    """What is left of a run without the images that a query excludes, and among its look-alikes alone."""
    found = {}
    for query in task.queries:
        scores = {
            image: score
            for image, score in rows.get(query.id, {}).items()
            if image not in query.excluded and (not subsets or image in query.subset)
        }
        if scores:
            found[query.id] = scores
    return found


def check(task: Task, got: dict[str, float], rows: Rows) -> None:
    """All measures of text to image that trec_eval has, against it."""
    names = [query.id for query in task.queries]
    if task.protocol == "category-map":
        assert got["mAP"] == pytest.approx(mean(theirs(right(task, True), kept(task, rows), names)["map"]), abs=1e-12)
        return
    known = theirs(right(task), kept(task, rows), names)
    pairs = {"MRR": "recip_rank"} | {f"R@{k}": f"success_{k}" for k in PROTOCOLS[task.protocol].ks}
    by_language: dict[str, list[Query]] = {}
    for query in task.queries:
        by_language.setdefault(query.language, []).append(query)
    for ours, measure in pairs.items():
        if PROTOCOLS[task.protocol].by == "language":
            parts = {name: mean(known[measure], queries) for name, queries in by_language.items()}
            assert {name: got[f"{ours}/{name}"] for name in parts} == pytest.approx(parts, abs=1e-12)
            assert got[ours] == pytest.approx(np.mean(list(parts.values())), abs=1e-12)
        else:
            assert got[ours] == pytest.approx(mean(known[measure]), abs=1e-12)
    if task.protocol == "composed" and any(query.subset for query in task.queries):
        among = theirs(right(task), kept(task, rows, subsets=True), names)
        for k in PROTOCOLS["composed"].subset_ks:
            assert got[f"R_subset@{k}"] == pytest.approx(mean(among[f"success_{k}"]), abs=1e-12)


@pytest.mark.parametrize("protocol", ["retrieval", "composed", "multilingual", "category-map"])
@given(case=cases())
def test_a_run_of_another_scores_as_in_trec_eval(protocol: str, case: Case) -> None:
    task = of_protocol(case, protocol)
    check(task, score_run(task, run_of(case.rows)).metrics, case.rows)


@given(cases())
def test_what_is_never_named_has_no_grade(case: Case) -> None:
    """The highest grade among the first k, by sorting: an image stands behind equals that are less right."""
    queries = [
        replace(query, grades=tuple((image, 1.0 if n == 0 else 0.5) for n, image in enumerate(query.positives)))
        for query in case.task.queries
    ]
    task = replace(of_protocol(case, "graded"), dataset=replace(case.task.dataset, queries=tuple(queries)))
    got = score_run(task, run_of(case.rows)).metrics
    for subsets in (False, True):
        if subsets and not any(query.subset for query in queries):
            continue
        rows = kept(task, case.rows, subsets)
        for k in PROTOCOLS["graded"].subset_ks if subsets else PROTOCOLS["graded"].ks:
            found = []
            for query in queries:
                scores, grades = rows.get(query.id, {}), dict(query.grades)
                reached = [
                    grade
                    for grade in (1.0, 0.5)
                    for order in [sorted(scores, key=lambda image: (-scores[image], grades.get(image, 0) >= grade))]
                    if any(grades.get(image, 0) >= grade for image in order[:k])
                ]
                found.append(max(reached, default=0.0))
            assert got[f"R_subset@{k}" if subsets else f"R@{k}"] == pytest.approx(np.mean(found), abs=1e-12)


def vectors(random: np.random.Generator, count: int) -> np.ndarray:
    """Entries of ±1/2 in four dimensions: cosines are exact and often equal."""
    return (random.integers(0, 2, (count, 4)) - 0.5).astype(np.float32)


@pytest.mark.parametrize("protocol", ["retrieval", "composed", "multilingual", "category-map"])
@given(case=cases(), seed=st.integers(0, 2**16))
def test_a_ranking_of_our_own_scores_as_in_trec_eval(protocol: str, case: Case, seed: int) -> None:
    """Both ways, where a right image may be excluded and the gallery smaller than any cut-off."""
    task = of_protocol(case, protocol)
    random, one = np.random.default_rng(seed), PROTOCOLS[protocol]
    texts, images = vectors(random, len(task.queries)), vectors(random, len(task.gallery))
    found = side(one, task.gallery, task.queries, texts, images)
    sheets = [query_sheet(one, task.queries, found.places, {})]
    if found.back is not None and found.back.images:
        sheets.append(image_sheet(one, found.back, found.back.images))
    got = figures(one, sheets, found.places)
    cosines = texts.astype(np.float64) @ images.T.astype(np.float64)
    ids = [query.id for query in task.queries]
    check(
        task,
        got,
        {name: dict(zip(task.gallery.ids, row.tolist(), strict=True)) for name, row in zip(ids, cosines, strict=True)},
    )
    # What is stored of the ranks is read again with the same misses.
    stored = {"rank": found.places.rank.tolist(), "candidates": found.examined.ranking.candidates.tolist()}
    assert read_places(stored).missed.tolist() == found.places.missed.tolist()
    assert found.places.missed.tolist() == [query.id not in right(task) for query in task.queries]
    if len(sheets) == 2:
        check_back(task, got, cosines)


def check_back(task: Task, got: dict[str, float], cosines: np.ndarray) -> None:
    """From images to texts, among all texts or those of each language."""
    one = PROTOCOLS[task.protocol]
    categories = dict(zip(task.gallery.ids, task.gallery.categories, strict=True))
    apart = sorted({query.language for query in task.queries}) if one.by == "language" else [""]
    parts: dict[str, list[float]] = {}
    for language in apart:
        qrels: Qrels = {}
        rows: Rows = {}
        for column, image in enumerate(task.gallery.ids):
            for row, query in enumerate(task.queries):
                if language in ("", query.language):
                    rows.setdefault(image, {})[query.id] = float(cosines[row, column])
                    if query.category == categories[image] if one.relevance == "category" else image in query.positives:
                        qrels.setdefault(image, {})[query.id] = 1
        if not qrels:
            continue
        known = theirs(qrels, {image: rows[image] for image in qrels}, list(qrels))
        names = {"i2t_mAP": "map"} if one.relevance == "category" else {f"i2t_R@{k}": f"success_{k}" for k in one.ks}
        for ours, measure in names.items():
            parts.setdefault(ours, []).append(mean(known[measure]))
    assert {name: got[name] for name in parts} == pytest.approx({k: np.mean(v) for k, v in parts.items()}, abs=1e-12)


def test_the_wrong_one_of_two_images() -> None:
    """What 1/(N + 1) would be, and 1/11 beyond the cut-off, is 0; the median is behind all candidates and cut-offs."""
    dataset = Dataset((Query("q", "t", ("b",)),), Gallery(("a", "b"), NO_IMAGES))
    task = Task("small", "full", "test", "translate", "retrieval", 1, dataset, Path("root"))
    found = score_run(task, run_of({"q": {"a": 1.0}})).metrics
    assert found == {"R@1": 0, "R@5": 0, "R@10": 0, "MRR": 0, "median_rank": 11}


def test_a_look_alike_that_is_not_named_is_not_found() -> None:
    """Of two look-alikes the right one is left out: it is not second, it is missed."""
    queries = (Query("q", "t", ("b",), subset=("a", "b")),)
    task = Task(
        "small",
        "full",
        "test",
        "compose",
        "composed",
        1,
        Dataset(queries, Gallery(("a", "b"), NO_IMAGES)),
        Path("root"),
    )
    found = score_run(task, run_of({"q": {"a": 1.0}})).metrics
    assert [found[f"R_subset@{k}"] for k in (1, 2, 3)] == [0, 0, 0]
