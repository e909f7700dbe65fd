from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets import cirr
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.evaluation.figures import query_sheet
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.score import places_from_run, score_run
from grapebench.evaluation.search import side
from grapebench.evaluation.trec import Run, read_run, write_qrels
from grapebench.records import Dataset, Gallery, Query, Task

ABC = tuple("abcdefghijklmnopqrstuvwxyz")
NO_IMAGES: Any = None


def task_of(
    queries: Sequence[Query],
    images: Sequence[str] = ABC,
    protocol: str = "composed",
    categories: Sequence[str] = (),
) -> Task:
    dataset = Dataset(tuple(queries), Gallery(tuple(images), NO_IMAGES, tuple(categories)))
    return Task("small", "full", "test", "translate", protocol, 1, dataset, Path("root"))


def run_of(rows: Sequence[tuple[str, str, float]]) -> Run:
    queries = tuple(dict.fromkeys(query for query, _, _ in rows))
    images = tuple(dict.fromkeys(image for _, image, _ in rows))
    return Run(
        Path("run.trec"),
        queries,
        images,
        np.array([queries.index(query) for query, _, _ in rows], dtype=np.int32),
        np.array([images.index(image) for _, image, _ in rows], dtype=np.int32),
        np.array([score for _, _, score in rows], dtype=np.float64),
    )


def ranks(task: Task, rows: Sequence[tuple[str, str, float]]) -> tuple[list[int], list[int] | None]:
    found = places_from_run(task, run_of(rows)).places
    return found.rank.tolist(), None if found.subset_rank is None else found.subset_rank.tolist()


def test_order_is_by_score_whatever_the_order_of_lines() -> None:
    task = task_of([Query("q", "t", ("b",))])
    rows = [("q", "a", 0.1), ("q", "b", 0.2), ("q", "c", 0.3)]
    for permuted in itertools.permutations(rows):
        assert ranks(task, permuted)[0] == [2]


def test_ties_are_pessimistic_and_counted() -> None:
    task = task_of([Query("q", "t", ("b",)), Query("r", "t", ("b",))])
    rows = [("q", image, 1.0) for image in "abc"] + [("r", "b", 1.0), ("r", "c", 0.5)]
    assert ranks(task, rows)[0] == [3, 1]
    assert score_run(task, run_of(rows)).queries_tied == 1


def test_of_several_positives_the_best_counts_and_the_others_do_not_stand_above() -> None:
    task = task_of([Query("q", "t", ("b", "c"))])
    assert ranks(task, [("q", "a", 0.9), ("q", "b", 0.5), ("q", "c", 0.8), ("q", "d", 0.8)])[0] == [3]
    assert ranks(task, [("q", "a", 0.9), ("q", "b", 0.9), ("q", "c", 0.9)])[0] == [2]


def test_excluded_images_leave_the_run_and_are_counted() -> None:
    task = task_of([Query("q", "t", ("b",), reference="a", excluded=("a",))])
    rows = [("q", "a", 0.9), ("q", "b", 0.5)]
    assert ranks(task, rows)[0] == [1]
    assert score_run(task, run_of(rows)).excluded_lines == 1


def test_queries_without_lines_or_without_their_positive_are_misses() -> None:
    queries = [Query("q", "t", ("b",)), Query("silent", "t", ("b",)), Query("cut", "t", ("b",))]
    rows = [("q", "b", 1.0), ("cut", "a", 1.0)]
    # Even where the gallery is smaller than the cut-off.
    for images in (("a", "b"), ABC):
        score = score_run(task_of(queries, images), run_of(rows))
        assert score.metrics["R@10"] == pytest.approx(1 / 3)
        assert (score.queries_without_lines, score.queries_without_positive) == (1, 1)
        assert (score.queries, score.gallery) == (3, len(images))


def composed(**changes: object) -> Query:
    fields = {"positives": ("b",), "reference": "a", "excluded": ("a",), "subset": ("b", "c", "d", "e", "f")}
    return Query("q", "t", **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "rank", "subset_rank"),
    [
        ([("a", 9), ("z", 8), ("c", 7), ("y", 6), ("b", 5)], 4, 2),
        ([("b", 5)], 1, 1),
        ([("c", 7), ("b", 7)], 2, 2),
        ([("c", 7), ("z", 6)], 51, 51),
        ([("z", 6)], 51, 51),
        ([("a", 6)], 51, 51),
    ],
)
def test_look_alikes_are_ranked_among_themselves(rows: list[tuple[str, float]], rank: int, subset_rank: int) -> None:
    task = task_of([composed()])
    assert ranks(task, [("q", image, score) for image, score in rows]) == ([rank], [subset_rank])


def test_a_query_without_lines_is_a_miss_among_look_alikes_too() -> None:
    task = task_of([composed(), Query("r", "t", ("b",), subset=("b", "c"))])
    assert ranks(task, [("q", "b", 1.0)]) == ([1, 51], [1, 51])


def test_languages_are_reported_apart_and_averaged() -> None:
    queries = [Query("d1", "t", ("a",), "de"), Query("d2", "t", ("a",), "de"), Query("z", "t", ("a",), "zh")]
    task = task_of(queries, protocol="multilingual")
    score = score_run(task, run_of([("d1", "a", 1.0), ("d2", "b", 1.0), ("z", "a", 1.0)]))
    assert (score.metrics["R@1/de"], score.metrics["R@1/zh"], score.metrics["R@1"]) == (0.5, 1.0, 0.75)


def test_strangers_in_the_run_are_said_with_their_line() -> None:
    task = task_of([Query("q", "t", ("b",))], ("a", "b"))
    with pytest.raises(UserError, match="^run.trec:2: 'x' is no image of the small gallery"):
        ranks(task, [("q", "a", 1.0), ("q", "x", 1.0)])
    with pytest.raises(UserError, match="^run.trec:1: 'p' is no query of small, nor are 1 others"):
        ranks(task, [("p", "a", 1.0), ("q", "a", 1.0), ("r", "a", 1.0)])


def test_a_split_without_labels_cannot_be_scored() -> None:
    with pytest.raises(UserError, match="small test has no public labels: a run cannot be scored"):
        ranks(task_of([Query("q", "t")]), [("q", "a", 1.0)])


def brute_force(query: Query, images: Sequence[str], scores: dict[str, float], among: Sequence[str]) -> int:
    """The worst place that any order allowed by the scores gives the best placed positive."""
    rivals = [image for image in among if image not in query.excluded and image not in query.positives]
    best = max((scores[image] for image in query.positives if image in scores), default=None)
    if best is None:
        return -1
    return 1 + sum(scores.get(image, -np.inf) >= best for image in rivals)


@given(st.data())
def test_counting_agrees_with_brute_force(data: st.DataObject) -> None:
    images = ABC[: data.draw(st.integers(3, 8))]
    image = st.sampled_from(images)
    queries, rows = [], []
    for number in range(data.draw(st.integers(1, 4))):
        reference = data.draw(image)
        rest = [name for name in images if name != reference]
        positives = data.draw(st.lists(st.sampled_from(rest), min_size=1, max_size=2, unique=True))
        subset = data.draw(st.lists(st.sampled_from(rest), unique=True))
        queries.append(
            Query(f"q{number}", "t", tuple(positives), excluded=(reference,), subset=(*subset, *positives[:1]))
        )
        for name in data.draw(st.lists(image, unique=True)):
            rows.append((f"q{number}", name, data.draw(st.sampled_from([0.1, 0.2, 0.3, -1.0]))))
    found = places_from_run(task_of(queries, images), run_of(rows)).places
    assert found.subset_rank is not None
    for place, query in enumerate(queries):
        scores = {name: score for asked, name, score in rows if asked == query.id}
        expected = brute_force(query, images, scores, images)
        assert found.rank[place] == (51 if expected < 0 else expected)
        inner = brute_force(
            Query(query.id, "t", tuple(p for p in query.positives if p in query.subset), excluded=query.excluded),
            images,
            scores,
            [name for name in query.subset if name not in query.positives],
        )
        assert found.subset_rank[place] == (51 if inner < 0 else inner)


def test_image_to_text_is_left_out_of_a_text_to_image_run() -> None:
    task = task_of([Query("q", "t", ("a",))], protocol="retrieval")
    score = score_run(task, run_of([("q", "a", 1.0)]))
    assert score.left_out == ("i2t_R@1", "i2t_R@5", "i2t_R@10")
    assert set(score.metrics) == {"R@1", "R@5", "R@10", "MRR", "median_rank"} and score.protocol == "retrieval"
    assert score_run(task_of([Query("q", "t", ("a",))]), run_of([("q", "a", 1.0)])).left_out == ()


def test_categories_are_reported_apart() -> None:
    queries = [Query("p", "t", ("a",), category="panda"), Query("q", "t", ("b",), category="tea")]
    score = score_run(task_of(queries, protocol="categories"), run_of([("p", "a", 1.0), ("q", "a", 1.0)]))
    assert (score.metrics["R@1/panda"], score.metrics["R@1/tea"], score.metrics["R@1"]) == (1, 0, 0.5)


def test_grades_within_a_run_that_is_cut_off() -> None:
    grades = (("b", 1.0), ("c", 0.5), ("d", -1.0), ("a", 1.0))
    query = composed(grades=grades)
    task = task_of([query, Query("r", "t", ("b",))], protocol="graded")
    score = score_run(task, run_of([("q", "a", 9.0), ("q", "d", 8.0), ("q", "c", 7.0), ("r", "b", 1.0)]))
    assert [score.metrics[f"R@{k}"] for k in (1, 5, 50)] == [0.5, 0.75, 0.75], "b is not in the run of q"
    # Among the look-alikes b, c, d, e, f: d, c, and b behind e and f.
    assert [score.metrics[f"R_subset@{k}"] for k in (1, 2, 3)] == [0, 0.25, 0.25]
    assert (score.queries_without_positive, score.excluded_lines) == (0, 1)
    score = score_run(task, run_of([("q", "d", 8.0), ("q", "e", 7.0)]))
    assert (score.queries_without_positive, score.queries_without_lines) == (1, 1)
    assert {score.metrics[f"R@{k}"] for k in (1, 5, 10, 50)} == {0}


def test_average_precision_of_a_run_that_is_cut_off() -> None:
    """What is left out is not retrieved, as in trec_eval; excluded images are neither right nor wrong."""
    queries = [Query("q", "t", ("a",), category="art", excluded=("c",)), Query("r", "t", ("b",), category="war")]
    task = task_of(queries, "abcdef", "category-map", ("art", "war", "art", "art", "war", "art"))
    score = score_run(task, run_of([("q", "c", 9.0), ("q", "b", 8.0), ("q", "f", 7.0), ("q", "a", 6.0)]))
    assert score.metrics == {"mAP": pytest.approx((1 / 2 + 2 / 3) / 3 / 2)}
    assert score.left_out == ("i2t_mAP",)
    assert (score.queries_without_lines, score.queries_without_positive, score.excluded_lines) == (1, 0, 1)
    tied = score_run(task, run_of([("q", "b", 8.0), ("q", "f", 8.0), ("r", "a", 8.0)]))
    assert tied.metrics["mAP"] == pytest.approx(1 / 2 / 3 / 2)
    assert (tied.queries_tied, tied.queries_without_positive) == (1, 1)


def test_average_precision_of_a_run_agrees_with_trec_eval() -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    random = np.random.default_rng(7)
    kinds = random.choice(["art", "war", "sea"], 26).tolist()
    queries = [Query(f"q{n}", "t", (ABC[n],), category=kinds[n]) for n in range(20)]
    rows = [
        (query.id, image, float(score))
        for query in queries
        for image, score in zip(ABC, random.permutation(26), strict=True)
        if random.random() < 0.7
    ]
    random.shuffle(rows)
    qrels = {
        query.id: {image: int(query.category == kind) for image, kind in zip(ABC, kinds, strict=True)}
        for query in queries
    }
    run: dict[str, dict[str, float]] = {}
    for query, image, value in rows:
        run.setdefault(query, {})[image] = value
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(run)
    found = places_from_run(task_of(queries, ABC, "category-map", kinds), run_of(rows)).places.precision
    assert found is not None
    assert found.tolist() == pytest.approx([theirs[query.id]["map"] for query in queries])


@pytest.mark.parametrize("protocol", ["composed", "graded", "category-map"])
@given(data=st.data())
def test_a_run_of_full_depth_has_the_places_of_the_vectors_that_made_it(protocol: str, data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    images = ABC[: data.draw(st.integers(4, 10))]
    kinds = random.choice(["art", "war"], len(images)).tolist()
    some = st.lists(st.sampled_from(images), min_size=1, max_size=4, unique=True)
    queries = []
    for number in range(data.draw(st.integers(1, 4))):
        grades = tuple((image, data.draw(st.sampled_from([-1.0, 0.5, 1.0]))) for image in data.draw(some | st.just([])))
        queries.append(
            Query(
                f"q{number}",
                "t",
                tuple(data.draw(some)),
                excluded=tuple(data.draw(some)[:1]),
                subset=tuple(data.draw(some)),
                grades=grades,
                category=kinds[number],
            )
        )
    task = task_of(queries, images, protocol, kinds)
    vectors = random.integers(-2, 3, (len(queries), 3)).astype(np.float32)
    columns = random.integers(-2, 3, (len(images), 3)).astype(np.float32)
    expected = side(PROTOCOLS[protocol], task.gallery, queries, vectors, columns).places
    scores = vectors @ columns.T
    rows = [
        (query.id, image, float(scores[row, column]))
        for row, query in enumerate(queries)
        for column, image in enumerate(images)
    ]
    found = places_from_run(task, run_of(rows)).places
    for name in ("subset_rank", "grade_rank", "grade_subset_rank", "precision"):
        mine, theirs = getattr(found, name), getattr(expected, name)
        assert (mine is None) == (theirs is None)
        # A miss is a miss, whatever its number.
        assert mine is None or np.minimum(mine, 51).tolist() == np.minimum(theirs, 51).tolist()
    if protocol == "composed":
        assert found.rank.tolist() == expected.rank.tolist()


@pytest.fixture
def official() -> Path:
    return Path(os.environ["GRAPEBENCH_ANNOTATIONS"]) / "cirr"


@pytest.mark.annotations
def test_cirr_val_agrees_with_the_protocol_in_use_and_with_ir_measures(official: Path, tmp_path: Path) -> None:
    """CLIP4Cir's own steps (sort, delete the reference, look the target up) on a random run over all queries."""
    import ir_measures

    records = json.loads((official / "captions" / "cap.rc2.val.json").read_text())
    names = np.array(list(json.loads((official / "image_splits" / "split.rc2.val.json").read_text())))
    column = {name: place for place, name in enumerate(names)}
    random = np.random.default_rng(5)
    lines, without_reference = [], []
    hits = {f"R@{k}": 0 for k in (1, 5, 10, 50)} | {f"R_subset@{k}": 0 for k in (1, 2, 3)}
    removed = 0
    for record in records:
        scores = random.permutation(len(names)).astype(float)
        scores[column[record["target_hard"]]] += random.choice([0, len(names)])
        ordered = names[np.argsort(-scores, kind="stable")]
        ordered = ordered[ordered != record["reference"]]
        members = [name for name in record["img_set"]["members"] if name != record["reference"]]
        among = ordered[np.isin(ordered, members)]
        for k in (1, 5, 10, 50):
            hits[f"R@{k}"] += record["target_hard"] in ordered[:k]
        for k in (1, 2, 3):
            hits[f"R_subset@{k}"] += record["target_hard"] in among[:k]
        # The run is cut off after 60 images; the look-alikes are kept so that their order is known.
        kept = dict.fromkeys([*ordered[:60], *among, record["reference"]])
        removed += 1
        for name in kept:
            line = f"{record['pairid']} Q0 {name} 0 {scores[column[name]]} random"
            lines.append(line)
            if name != record["reference"]:
                without_reference.append(line)
    random.shuffle(lines)
    (tmp_path / "run.trec").write_text("\n".join(lines) + "\n")
    (tmp_path / "bare.trec").write_text("\n".join(without_reference) + "\n")

    dataset = cirr.load(Place.of(official), "val")
    task = Task("cirr", "full", "val", "compose", "composed", 1, dataset, official)
    score = score_run(task, read_run(tmp_path / "run.trec"))
    assert (score.queries, score.gallery, score.excluded_lines) == (4181, 2297, removed)
    assert {key: score.metrics[key] for key in hits} == pytest.approx({key: n / 4181 for key, n in hits.items()})
    assert 0.4 < score.metrics["R@1"] < 0.8

    write_qrels(tmp_path / "qrels", {query.id: query.positives for query in dataset.queries})
    measures = {ir_measures.Success @ k: f"R@{k}" for k in (1, 5, 10, 50)}
    theirs = ir_measures.calc_aggregate(
        list(measures),
        ir_measures.read_trec_qrels(str(tmp_path / "qrels")),
        ir_measures.read_trec_run(str(tmp_path / "bare.trec")),
    )
    for measure, key in measures.items():
        assert score.metrics[key] == pytest.approx(theirs[measure])


@pytest.mark.annotations
def test_graded_agrees_with_the_authors_rule_on_every_query_of_cirr_val(official: Path) -> None:
    """Their evaluation, from the files themselves: a full sort, the reference last, the highest label in the top k."""
    records = json.loads((official / "captions" / "cap.rc2.val.json").read_text())
    names = list(json.loads((official / "image_splits" / "split.rc2.val.json").read_text()))
    column = {name: place for place, name in enumerate(names)}
    random = np.random.default_rng(11)
    vectors = random.normal(size=(len(records), 24)).astype(np.float32)
    images = random.normal(size=(len(names), 24)).astype(np.float32)
    for row, record in enumerate(records):
        # Near one of its graded images, so that the first ranks are not all empty.
        near = random.choice([*record["target_soft"], record["target_hard"]])
        vectors[row] += random.choice([0, 1, 2]) * images[column[near]]
    scores = (vectors.astype(np.float64) @ images.T.astype(np.float64)).astype(np.float32)

    theirs = {f"R@{k}": np.zeros(len(records)) for k in (1, 5, 10, 50)}
    theirs |= {f"R_subset@{k}": np.zeros(len(records)) for k in (1, 2, 3)}
    for row, record in enumerate(records):
        line = scores[row].copy()
        line[column[record["reference"]]] = -np.inf
        ordered = [names[place] for place in np.argsort(-line, kind="stable")]
        members = [name for name in record["img_set"]["members"] if name != record["reference"]]
        inside = [name for name in ordered if name in members]
        for key in theirs:
            k = int(key.partition("@")[2])
            top = (inside if "subset" in key else ordered)[:k]
            highest = 0.0
            for name, grade in record["target_soft"].items():
                if name in top:
                    highest = max(highest, grade)
            theirs[key][row] = highest

    dataset = cirr.load(Place.of(official), "val")
    protocol = PROTOCOLS["graded"]
    assert len(dataset.queries) == 4181
    found = side(protocol, dataset.gallery, dataset.queries, vectors, images)
    mine = query_sheet(protocol, dataset.queries, found.places, {}).values
    for key, values in theirs.items():
        assert np.array_equal(mine[key], values), key
        assert 0.02 < values.mean() < 0.98, "the case is not trivial"
    hard = query_sheet(PROTOCOLS["composed"], dataset.queries, found.places, {}).values
    assert 0 < np.count_nonzero(hard["R@10"] != mine["R@10"]) < 150, "the two protocols differ, on few queries"


def test_lines_of_queries_that_the_protocol_does_not_ask_are_left_out_and_counted() -> None:
    asked, unasked = Query("q", "t", ("a",)), Query("r", "u", ("a",))
    task = task_of([asked], protocol="first-caption")
    task = replace(task, dataset=replace(task.dataset, unasked=frozenset({unasked.id})))
    score = score_run(task, run_of([("r", "b", 3.0), ("q", "b", 2.0), ("q", "a", 1.0), ("r", "c", 0.5)]))
    assert (score.unasked_lines, score.queries, score.metrics["R@1"], score.metrics["R@5"]) == (2, 1, 0.0, 1.0)
    with pytest.raises(UserError, match="'s' is no query of small, nor are 1 others"):
        score_run(task, run_of([("r", "b", 3.0), ("s", "b", 2.0), ("t", "b", 2.0)]))
