"""The figures and files of a result on the made-up world of `world.py`, against plain computations."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.evaluation.figures import ImagePlaces, Places, figures, image_sheet, query_sheet
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.score import score_run
from grapebench.evaluation.trec import read_run
from grapebench.leaderboard import artifacts, store
from grapebench.records import Query, Rewrite, Task
from tests.evaluation.world import CAPTIONS, FILES, SHAPES, by_shape, go, graded, loaded, task_of, vectors


def sorted_ranks(task: Task, texts: Sequence[str]) -> np.ndarray:
    """Ranks by the plain way: all cosines, sorted."""
    images = vectors([task.gallery.images.read(image).decode() for image in task.gallery.ids])
    ranks = []
    for query, row in zip(task.queries, vectors(texts) @ images.T, strict=True):
        order = [task.gallery.ids[column] for column in np.argsort(-row)]
        ranks.append(1 + [image for image in order if image not in query.excluded].index(query.positives[0]))
    return np.array(ranks)


def plain_figures(task: Task, texts: Sequence[str]) -> dict[str, float]:
    """The figures of `retrieval`, each image having one text, by sorting all cosines both ways."""
    scores = vectors([task.gallery.images.read(image).decode() for image in task.gallery.ids]) @ vectors(texts).T
    places = Places(sorted_ranks(task, texts))
    back = [1 + np.argsort(-row).tolist().index(place) for place, row in enumerate(scores)]
    protocol, ids = PROTOCOLS["retrieval"], task.gallery.ids
    sheets = [
        query_sheet(protocol, task.queries, places, {}),
        image_sheet(protocol, ImagePlaces(ids, ("",) * len(ids), rank=np.array(back)), ids),
    ]
    return figures(protocol, sheets, places)


def test_the_figures_are_those_of_a_plain_computation(task: Task) -> None:
    folder = go(task)
    result = store.load(folder, hashes=True)
    rewrites = [text if n == 7 else text.replace("x", "") for n, text in enumerate(q.text for q in task.queries)]
    after, before = sorted_ranks(task, rewrites), sorted_ranks(task, [query.text for query in task.queries])
    assert result.metrics == plain_figures(task, rewrites)
    assert result.metrics_before == plain_figures(task, [query.text for query in task.queries])
    assert 0 < result.metrics_before["i2t_R@10"] < result.metrics["i2t_R@1"]
    assert result.metrics_before["i2t_R@10"] != result.metrics_before["R@10"], "the two ways differ here"
    assert result.metrics["R@1"] > 0.9 > 0.5 > result.metrics_before["R@10"], "the world is as it was meant"
    table = artifacts.read_table(folder / "per_query.parquet")
    assert table["rank"] == after.tolist() and table["rank_before"] == before.tolist()
    assert table["query_id"] == [query.id for query in task.queries]
    assert set(table["candidates"]) == {len(CAPTIONS)} and table["positive"][3] == table["cluster"][3] == "i3"
    for key, delta in result.deltas.items():
        assert delta.value == result.metrics[key] - result.metrics_before[key]
        assert delta.low <= delta.value <= delta.high
        bounds = result.intervals[key]
        assert bounds.low <= result.metrics[key] <= bounds.high
    assert set(result.intervals) == set(result.metrics) - {"median_rank"}


def test_what_a_result_says(task: Task) -> None:
    folder = go(task)
    result = store.load(folder)
    assert folder.relative_to(task.root.parent / "results").parts == ("mini", "words", "words", "strip", result.id)
    assert sorted(path.name for path in folder.iterdir()) == sorted(["result.json", *FILES])
    assert set(result.files) == set(FILES)
    assert result.labelled and result.seen is None and result.groups == {}
    assert (result.queries, result.gallery, result.ties, result.duplicates) == (60, 60, 0, 0)
    assert (result.clusters, result.largest_cluster) == (60, 1)
    assert result.fallbacks == {"no words": 1}
    assert (result.cost.prompt_tokens, result.cost.completion_tokens, result.cost.rewritten) == (5 * 59, 3 * 59 + 1, 60)
    assert result.data.files == {"captions.json": hashlib.sha256(b"{}").hexdigest()}
    assert result.data.notes == ["made up"]
    assert result.environment.python and result.environment.packages["numpy"] == np.__version__
    assert result.inflation.before.positive is not None and result.inflation.after.positive is not None
    assert result.inflation.after.positive > result.inflation.before.positive


def test_inflation_is_what_the_cosines_say(task: Task) -> None:
    folder = go(task)
    figures = store.load(folder).inflation.after
    rewrites = [text if n == 7 else text.replace("x", "") for n, text in enumerate(q.text for q in task.queries)]
    scores = (vectors(rewrites) @ vectors(CAPTIONS).T).astype(np.float64)
    positive = np.diag(scores).copy()
    np.fill_diagonal(scores, np.nan)
    others = np.sort(scores, axis=1)[:, :-1][:, ::-1]
    expected = (positive, others.mean(1), others[:, :10].mean(1), positive - others[:, 0])
    got = (figures.positive, figures.others, figures.top_others, figures.margin)
    assert got == pytest.approx([column.mean() for column in expected], abs=1e-4)
    table = artifacts.read_table(folder / "similarities.parquet")
    assert figures.margin == pytest.approx(np.mean(table["similarity_margin"]), abs=1e-12), "what is stored is averaged"


def test_the_run_file_scores_the_same(task: Task, composed: Task) -> None:
    multilingual = dataclasses.replace(task, protocol="multilingual")
    by_category = [by_shape(task.root, protocol) for protocol in ("categories", "category-map")]
    for one in (task, multilingual, composed, graded(composed), *by_category):
        folder = go(one)
        found = store.load(folder).metrics
        scored = score_run(one, read_run(folder / "run.trec.gz"))
        assert scored.metrics == {key: value for key, value in found.items() if not key.startswith("i2t_")}
        assert scored.left_out == tuple(key for key in found if key.startswith("i2t_") and "/" not in key)


def test_figures_can_be_computed_again_from_the_tables(task: Task, composed: Task) -> None:
    folder = go(graded(composed))
    table = artifacts.read_table(folder / "per_query.parquet")
    metrics = store.load(folder).metrics
    assert set(metrics) == set(PROTOCOLS["graded"].keys)
    for name, prefix in (("R@1", "rank"), ("R_subset@1", "subset_rank")):
        k = int(name[-1])
        best = [
            max([0.0, *(g for g, rank in ((0.5, half), (1.0, full)) if rank is not None and rank <= k)])
            for half, full in zip(table[f"{prefix}_grade_0.5"], table[f"{prefix}_grade_1"], strict=True)
        ]
        assert metrics[name] == pytest.approx(np.mean(best)) and 0 < metrics[name] < 1
    assert table["rank_grade_0.5"][0] is None and table["rank_grade_0.5_before"][1] is not None

    folder = go(by_shape(task.root, "category-map"))
    metrics, before = store.load(folder).metrics, store.load(folder).metrics_before
    tables = [artifacts.read_table(folder / name) for name in ("per_query.parquet", "per_image.parquet")]
    for key, table in zip(("mAP", "i2t_mAP"), tables, strict=True):
        assert metrics[key] == pytest.approx(np.mean(table["average_precision"]), abs=1e-12)
        assert before[key] == pytest.approx(np.mean(table["average_precision_before"]), abs=1e-12)
        assert before[key] < metrics[key]

    folder = go(dataclasses.replace(task, protocol="multilingual"))
    table, metrics = artifacts.read_table(folder / "per_image.parquet"), store.load(folder).metrics
    assert len(table["image_id"]) == 60 and set(table["language"]) == {"de", "zh"}
    before = store.load(folder).metrics_before
    for suffix, whole in (("", metrics), ("_before", before)):
        for language in ("de", "zh"):
            rows = zip(table[f"rank{suffix}"], table["language"], strict=True)
            ranks = np.array([rank for rank, own in rows if own == language])
            assert [whole[f"i2t_R@{k}/{language}"] for k in (1, 5)] == [np.mean(ranks <= k) for k in (1, 5)]
    assert metrics["i2t_R@1"] > before["i2t_R@5"] > before["i2t_R@1"]


def test_figures_of_categories_and_groups(root: Path) -> None:
    folder = go(by_shape(root, "categories"))
    result, table = store.load(folder), artifacts.read_table(folder / "per_query.parquet")
    assert result.groups == {shape: "alive" if shape == "fish" else "lifeless" for shape in SHAPES}
    for name in (*SHAPES, "alive", "lifeless"):
        ranks = [
            rank
            for rank, category in zip(table["rank_before"], table["category"], strict=True)
            if name in (category, result.groups[category])
        ]
        assert len(ranks) == {"alive": 12, "lifeless": 48}.get(name, 12)
        assert result.metrics_before[f"R@5/{name}"] == pytest.approx(np.mean(np.array(ranks) <= 5))
        assert f"R@5/{name}" in result.intervals and f"R@5/{name}" in result.deltas
    assert result.metrics_before["R@5"] == np.mean(np.array(table["rank_before"]) <= 5), "over all queries"
    with pytest.raises(UserError, match="needs the category of every query and image"):
        go(dataclasses.replace(task_of(root, [Query("q", "xred", ("i0",))], "category-map", "translate")))


def test_run_files_beside_the_ranking(task: Task, composed: Task) -> None:
    folder = go(composed)
    subset = read_run(folder / "subset.trec.gz")
    listed: dict[str, list[str]] = {}
    for query, image in zip(subset.query, subset.image, strict=True):
        listed.setdefault(subset.queries[query], []).append(subset.images[image])
    assert {query: set(images) for query, images in listed.items()} == {q.id: set(q.subset) for q in composed.queries}
    ranks = artifacts.read_table(folder / "per_query.parquet")["subset_rank"]
    assert [1 + listed[q.id].index(q.positives[0]) for q in composed.queries] == ranks

    texts = read_run(go(dataclasses.replace(task, protocol="multilingual")) / "image_to_text.trec.gz")
    assert set(texts.queries) == set(task.gallery.ids) and len(texts.score) == 60 * 20
    languages = {query.id: query.language for query in task.queries}
    assert [languages[texts.images[text]] for text in texts.image[texts.query == 3]].count("zh") == 10
    assert len(read_run(go(task) / "image_to_text.trec.gz").score) == 60 * 10


def test_composed_queries(composed: Task, tmp_path: Path) -> None:
    """The captioner's words reach the rewriter; the reference leaves the ranking; look-alikes are ranked apart."""
    (tmp_path / "captioner.py").write_text(
        "class Read:\n"
        "    def caption(self, image_ids, gallery, retriever, store):\n"
        "        return {image: gallery.images.read(image).decode() for image in image_ids}\n"
    )

    class Compose:
        def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
            for query in queries:
                assert query.reference_caption is not None
                yield Rewrite(query.id, texts=(query.reference_caption.rsplit(" ", 1)[0] + " snow",))

        def rendered_sha256(self, queries: Sequence[Query]) -> str:
            assert all(query.reference_caption is not None for query in queries), "captions are part of a prompt"
            return f"hash of {len(queries)} prompts"

    captioned = loaded(Compose(), "compose", captioner=f"{tmp_path / 'captioner.py'}:Read")
    folder = go(composed, captioned)
    result = store.load(folder)
    assert result.metrics["R@1"] == result.metrics["R_subset@1"] == 1
    assert result.rewriter.captioner is not None and result.determinants["captioner"]
    assert result.rewriter.description["rendered_sha256"] == f"hash of {result.queries} prompts"
    assert "R@50" in result.metrics and "R_subset@3" in result.metrics
    table = artifacts.read_table(folder / "per_query.parquet")
    assert set(table["candidates"]) == {59}
    assert table["subset_rank"] == [1] * 18 and max(table["subset_rank_before"]) > 1
    listed = {(q.id, q.reference) for q in composed.queries}
    with gzip.open(folder / "run.trec.gz", "rt") as lines:
        rows = [line.split() for line in lines]
    assert not listed & {(row[0], row[2]) for row in rows}
    assert len(rows) == 18 * 59, "every candidate, for they are fewer than 100"


def test_multilingual_figures(task: Task) -> None:
    result = store.load(go(dataclasses.replace(task, protocol="multilingual")))
    assert result.metrics["R@10"] == pytest.approx((result.metrics["R@10/de"] + result.metrics["R@10/zh"]) / 2)
    assert {"R@10", "R@10/de", "R@10/zh"} <= set(result.intervals) & set(result.deltas)


def test_ties_and_duplicates(root: Path) -> None:
    captions = [*CAPTIONS[:10], CAPTIONS[0], CAPTIONS[0]]
    queries = [Query(f"q{n}", CAPTIONS[n], (f"i{n}",)) for n in range(10)]
    task = task_of(root, queries, "retrieval", "translate", captions)
    folder = go(task)
    result = store.load(folder)
    assert result.duplicates == 3, "three images that have a twin"
    assert result.ties == 0.1
    table = artifacts.read_table(folder / "per_query.parquet")
    assert (table["rank"][0], table["above"][0], table["equal"][0]) == (3, 0, 2), "ties count against the target"
