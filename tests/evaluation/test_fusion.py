"""Results of rewrites with several parts: fused ranks, what is written of them, and answers that never came."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.score import score_run
from grapebench.evaluation.search import listings, settled, side
from grapebench.evaluation.trec import read_run
from grapebench.leaderboard import artifacts, store
from grapebench.records import Query, Rewrite, Task
from grapebench.retrieval.fused import Fused
from grapebench.retrieval.searcher import Searcher
from tests.evaluation.world import Strip, by_shape, go, graded, loaded, unlabelled, vectors

FUSIONS = ("mean", "max", "rrf", "turns", "best")
Make = Callable[[Query], Rewrite]


class Answering:
    """Gives what a function makes of each query, and counts what it was asked."""

    def __init__(self, make: Callable[[Query], Rewrite | None]) -> None:
        self.make, self.asked = make, 0

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            self.asked += 1
            if (rewrite := self.make(query)) is not None:
                yield rewrite


def several(fusion: str) -> Make:
    """Three texts of each query; every fifth query falls back on its own."""

    def make(query: Query) -> Rewrite:
        if int(query.id[1:]) % 5 == 0:
            return Rewrite(query.id, texts=(query.text,), raw="…", fallback="no words")
        words = query.text.replace("x", "").split()
        texts = (" ".join(words), " ".join(reversed(words[1:])), query.text)
        return Rewrite(query.id, texts=texts, fusion=fusion, raw="\n".join(texts), money=0.01)  # type: ignore[arg-type]

    return make


def run_with(task: Task, fusion: str, texts: int = 3) -> dict[str, list[int]]:
    """The table of a result with so many of the texts."""

    def make(query: Query) -> Rewrite:
        whole = several(fusion)(query)
        return dataclasses.replace(whole, texts=whole.texts[:texts])

    folder = go(task, loaded(Answering(make), f"{fusion}-{texts}"))
    return artifacts.read_table(folder / "per_query.parquet")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_ranks_of_a_run_agree_with_a_plain_computation(task: Task, fusion: str) -> None:
    found = run_with(task, fusion)
    images = vectors([task.gallery.images.read(image).decode() for image in task.gallery.ids]).astype(np.float64)
    for row, query in enumerate(task.queries):
        parts = vectors(several(fusion)(query).texts).astype(np.float64)
        lines = (parts @ images.T).astype(np.float32)
        ranks = np.array([[np.count_nonzero(line >= score) for score in line] for line in lines])
        if fusion == "best":
            assert found["rank"][row] == ranks[:, row].min()
            continue
        mean = parts.sum(axis=0) / np.linalg.norm(parts.sum(axis=0))
        turn = ranks.min(axis=0)
        votes, first = (ranks == turn).sum(axis=0), (ranks == turn).argmax(axis=0)
        scores = {
            "mean": mean @ images.T,
            "max": lines.max(axis=0),
            "rrf": (1 / (60 + ranks)).sum(axis=0),
            "turns": -100.0 * turn + votes - first / 10,
        }[fusion]
        assert found["rank"][row] == np.count_nonzero(scores >= scores[row])


@pytest.mark.parametrize("fusion", FUSIONS[1:])
def test_one_part_is_a_single_vector_by_any_fusion(task: Task, fusion: str) -> None:
    assert run_with(task, fusion, texts=1) == run_with(task, "mean", texts=1)


@pytest.mark.parametrize("fusion", ["max", "rrf", "turns"])
def test_the_run_file_of_fused_queries_scores_the_same(task: Task, composed: Task, fusion: str) -> None:
    multilingual = dataclasses.replace(task, protocol="multilingual")
    by_category = [by_shape(task.root, protocol) for protocol in ("categories", "category-map")]
    for one in (task, multilingual, composed, graded(composed), *by_category):
        folder = go(one, loaded(Answering(several(fusion)), fusion))
        found = store.load(folder).metrics
        scored = score_run(one, read_run(folder / "run.trec.gz"))
        assert scored.metrics == {key: value for key, value in found.items() if not key.startswith("i2t_")}
        before = store.load(folder).metrics_before
        assert set(found) == set(before)
        assert found != before or one is composed or one.protocol == "graded", "which have few queries"


def test_the_best_part_stands_for_the_query_in_everything(composed: Task) -> None:
    """Then all is as if that part alone had been searched."""
    images = vectors([composed.gallery.images.read(image).decode() for image in composed.gallery.ids])
    queries = composed.queries
    parts = vectors([text for query in queries for text in (query.text, f"{query.text} star", "red moon sky")])
    counts = np.full(len(queries), 3)
    fused = Fused(parts, counts, np.ones(len(parts)), ("best",) * len(queries))
    chosen = settled(composed.gallery, queries, fused, images)
    assert isinstance(chosen, np.ndarray)
    best = side(PROTOCOLS["composed"], composed.gallery, queries, chosen, images).places.rank
    alone = [
        side(PROTOCOLS["composed"], composed.gallery, queries, parts[part::3], images).places.rank for part in range(3)
    ]
    assert best.tolist() == np.min(alone, axis=0).tolist()
    assert settled(composed.gallery, queries, chosen, images) is chosen


@pytest.mark.parametrize("fusion", ["max", "rrf", "turns"])
@pytest.mark.parametrize("protocol", ["retrieval", "multilingual", "category-map"])
def test_the_way_back_of_single_parts_is_that_of_plain_vectors(task: Task, fusion: str, protocol: str) -> None:
    one = by_shape(task.root, protocol) if protocol == "category-map" else task
    images = vectors([one.gallery.images.read(image).decode() for image in one.gallery.ids])
    plain = vectors([query.text for query in one.queries])
    count = len(plain)
    fused = Fused(plain, np.ones(count, np.int64), np.ones(count), (fusion,) * count)  # type: ignore[arg-type]
    expected, found = (
        (side(PROTOCOLS[protocol], one.gallery, one.queries, each, images), listings(
            PROTOCOLS[protocol], one.gallery, one.queries, each, images)) for each in (plain, fused)
    )  # fmt: skip
    assert expected[0].back is not None and found[0].back is not None
    for name in ("rank", "precision"):
        np.testing.assert_array_equal(getattr(found[0].back, name), getattr(expected[0].back, name))
    np.testing.assert_array_equal(found[0].places.rank, expected[0].places.rank)
    assert expected[1].texts is not None and found[1].texts is not None
    np.testing.assert_array_equal(found[1].texts[0], expected[1].texts[0])
    np.testing.assert_array_equal(found[1].images[0], expected[1].images[0])


def test_the_best_of_several_needs_labels(task: Task) -> None:
    one = unlabelled(task, 60)
    with pytest.raises(UserError, match="best of several rewrites of query 'q1', and which that is only the labels"):
        go(one, Answering(several("best")))
    go(one, loaded(Answering(several("rrf")), "rrf"))


def test_what_is_written_of_a_fused_rewrite(task: Task) -> None:
    folder = go(task, loaded(Answering(several("rrf")), "rrf"))
    rows = list(artifacts.read_lines(folder / "rewrites.jsonl.gz"))
    assert rows[1]["fusion"] == "rrf" and len(rows[1]["texts"]) == 3 and rows[1]["money"] == 0.01
    assert rows[0] == {"query_id": "q0", "raw": "…", "fallback": "no words"}
    result = store.load(folder)
    assert result.cost.money == pytest.approx(0.48) and result.cost.captions is None
    assert result.fallbacks == {"no words": 12} and result.unanswered == {}


def test_detections_that_cannot_be_read_are_counted_and_concepts_kept(task: Task) -> None:
    told = [{"concepts": "x star"}, {"undetected": "empty"}, {"undetected": "no words"}, {"concepts": "None"}]

    def make(query: Query) -> Rewrite:
        return Rewrite(query.id, texts=(query.text,), raw="said", trace=told[int(query.id[1:]) % 4])

    folder = go(task, loaded(Answering(make), "detecting"))
    result = store.load(folder)
    assert result.undetected == result.summary()["undetected"] == {"empty": 15, "no words": 15}
    assert result.fallbacks == {}
    rows = list(artifacts.read_lines(folder / "rewrites.jsonl.gz"))
    assert [row["trace"] for row in rows[:4]] == told


def test_a_rewriter_that_looks_is_given_the_gallery_and_the_retriever(task: Task) -> None:
    class Nearest(Answering):
        """Searches the image that the query's own text finds first."""

        searcher: Searcher

        def __init__(self) -> None:
            super().__init__(self.first)

        def attach(self, searcher: Searcher) -> None:
            self.searcher = searcher

        def first(self, query: Query) -> Rewrite:
            ids, _ = self.searcher.nearest(self.searcher.texts([query.text]), 1)
            vector = self.searcher.images(ids[0])[0]
            return Rewrite(query.id, vectors=(tuple(vector.tolist()),))

    folder = go(task, loaded(Nearest(), "nearest", stored=False))
    table, metrics = artifacts.read_table(folder / "per_query.parquet"), store.load(folder).metrics
    assert [rank == 1 for rank in table["rank"]] == [rank == 1 for rank in table["rank_before"]]
    assert metrics["R@1"] == store.load(folder).metrics_before["R@1"]
    (row, *_) = artifacts.read_lines(folder / "rewrites.jsonl.gz")
    assert row["rewrite"] == "<vector>" and len(row["vectors"][0]) == 16


def test_answers_that_never_came_are_asked_for_by_the_same_call(task: Task) -> None:
    def lacking(query: Query) -> Rewrite | None:
        number = int(query.id[1:])
        if number in (3, 4):
            return None
        if number == 9:
            return Rewrite(query.id, texts=(query.text,), fallback="timeout")
        return next(iter(Strip().rewrite([query])))

    first = go(task, Answering(lacking))
    result = store.load(first)
    assert result.unanswered == {"missing": 2, "timeout": 1}
    assert result.fallbacks == {"missing": 2, "no words": 1, "timeout": 1}
    assert result.summary()["unanswered"] == result.unanswered

    def one_more(query: Query) -> Rewrite | None:
        return lacking(query) if query.id != "q3" else next(iter(Strip().rewrite([query])))

    second = Answering(one_more)
    assert go(task, second) == first and second.asked == 3, "only those that lack an answer"
    assert store.load(first).unanswered == {"missing": 1, "timeout": 1}
    third = Strip()
    assert go(task, third) == first and sorted(third.asked) == ["q4", "q9"]
    whole = store.load(first, hashes=True)
    assert whole.unanswered == {} and whole.fallbacks == {"no words": 1}
    assert whole.metrics == store.load(go(task, loaded(Strip(), "other"))).metrics
    fourth = Strip()
    assert go(task, fourth) == first and fourth.asked == []


def test_a_result_stays_where_asking_again_fails_for_all(task: Task) -> None:
    first = go(task, Answering(lambda query: None if query.id == "q3" else next(iter(Strip().rewrite([query])))))

    def broken(query: Query) -> Rewrite:
        raise RuntimeError("the server is gone")

    with pytest.raises(UserError, match="the server is gone"):
        go(task, Answering(broken))
    assert store.load(first, hashes=True).unanswered == {"missing": 1}


def test_a_mean_of_one_part_is_bit_for_bit_the_text_itself(task: Task) -> None:
    """The path of single vectors is not touched by what fusion needs."""
    texts = go(task, loaded(Answering(lambda query: Rewrite(query.id, texts=(query.text,))), "texts"))
    weighted = go(task, loaded(Answering(lambda query: Rewrite(query.id, texts=(query.text,), weights=(2.0,))), "more"))
    for name in ("per_query.parquet", "per_image.parquet", "run.trec.gz", "image_to_text.trec.gz"):
        assert (texts / name).read_bytes() == (weighted / name).read_bytes()
    table = artifacts.read_table(texts / "per_query.parquet")
    assert table["rank"] == table["rank_before"]


def test_what_was_cut_off_and_what_was_left_out_is_counted(task: Task) -> None:
    """Of every six queries one lost its end, two answers were cut off, and one was made of fewer answers than asked."""
    traces = [
        {"cut prompt": "the first 3"},
        {"cut output": "no end"},
        {"cut output": "no end", "answers": "5 of 8 usable, the others: content filter"},
        {},
    ]

    def make(query: Query) -> Rewrite:
        place = int(query.id[1:]) % 6
        return Rewrite(query.id, texts=(query.text,), raw="said", trace=traces[place] if place < 4 else {})

    result = store.load(go(task, loaded(Answering(make), "cutting")))
    assert result.cut == result.summary()["cut"] == {"output": 20, "prompt": 10}
    assert result.partial == result.summary()["partial"] == {"content filter": 10}
    assert result.cut_share == pytest.approx(20 / 60) and result.fallback_share == 0
