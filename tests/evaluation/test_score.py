from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets import cirr
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.evaluation.score import ranks_from_run, score_run
from grapebench.evaluation.trec import Run, read_run, write_qrels
from grapebench.records import Dataset, Gallery, Query, Task

ABC = tuple("abcdefghijklmnopqrstuvwxyz")


def task_of(queries: Sequence[Query], images: Sequence[str] = ABC, protocol: str = "retrieval") -> Task:
    dataset = Dataset(tuple(queries), Gallery(tuple(images), Folder({})))
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
    found = ranks_from_run(task, run_of(rows), miss=51)
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
        ([("c", 7), ("z", 6)], 51, 5),
        ([("z", 6)], 51, 5),
        ([("a", 6)], 51, 5),
    ],
)
def test_look_alikes_are_ranked_among_themselves(rows: list[tuple[str, float]], rank: int, subset_rank: int) -> None:
    task = task_of([composed()], protocol="composed")
    assert ranks(task, [("q", image, score) for image, score in rows]) == ([rank], [subset_rank])


def test_a_query_without_lines_is_a_miss_among_look_alikes_too() -> None:
    task = task_of([composed(), Query("r", "t", ("b",), subset=("b", "c"))], protocol="composed")
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
    found = ranks_from_run(task_of(queries, images), run_of(rows), miss=51)
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
        if inner > 0:
            assert found.subset_rank[place] == inner
        elif scores:
            assert found.subset_rank[place] == 1 + len(set(query.subset) - set(query.positives))
        else:
            assert found.subset_rank[place] == 51


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

    dataset = cirr.load(official, "val")
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
