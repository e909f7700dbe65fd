"""Best of k against brute force over all choices of k, on numbers and on a made-up world."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.errors import UserError
from grapebench.evaluation import headroom as measuring
from grapebench.evaluation.headroom import best_weights, expected_best, expected_median, headroom
from grapebench.records import Dataset, Gallery, Query, Rewrite, Task
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.samples import Combination
from grapebench.rewriters.setup import Setup

RANKS = st.integers(1, 5).flatmap(
    lambda samples: st.lists(
        st.lists(st.integers(1, 9), min_size=samples, max_size=samples), min_size=1, max_size=5
    ).map(lambda rows: np.array(rows).T)
)
WORDS = ("red", "green", "blue", "black", "white", "grey")


def choices(values: np.ndarray, k: int) -> np.ndarray:
    """Every choice of k of the samples, `(choices, k, queries)`."""
    return np.stack([values[list(some)] for some in itertools.combinations(range(len(values)), k)])


@given(RANKS)
def test_the_expected_best_is_the_mean_over_all_choices(ranks: np.ndarray) -> None:
    for k in range(1, len(ranks) + 1):
        for values in (1.0 / ranks, (ranks <= 3).astype(float)):
            expected = choices(values, k).max(axis=1).mean(axis=0)
            assert expected_best(values, k) == pytest.approx(expected)
        hits = (ranks <= 3).sum(axis=0)
        chen = [1 - math.comb(len(ranks) - c, k) / math.comb(len(ranks), k) for c in hits.tolist()]
        assert expected_best((ranks <= 3).astype(float), k) == pytest.approx(chen)


@given(RANKS)
def test_the_expected_median_is_that_of_all_choices_together(ranks: np.ndarray) -> None:
    for k in range(1, len(ranks) + 1):
        assert expected_median(ranks, k) == np.median(choices(ranks, k).min(axis=1))


@given(st.integers(1, 64).flatmap(lambda samples: st.tuples(st.just(samples), st.integers(1, samples))))
def test_the_weights_are_a_distribution_that_leans_to_the_best(sizes: tuple[int, int]) -> None:
    weights = best_weights(*sizes)
    assert weights.sum() == pytest.approx(1) and (np.diff(weights) <= 0).all()
    samples, k = sizes
    if k == samples:
        assert weights.tolist() == [1.0] + [0.0] * (samples - 1)


def test_the_estimate_of_few_from_many_varies_less_than_the_first_few() -> None:
    """Why it is used: the same expectation, from all the samples there are."""
    random = np.random.default_rng(3)
    hits = (random.random((400, 16)) < 0.2).astype(float)
    usual = np.array([row[:4].max() for row in hits])
    better = np.array([expected_best(row[:, None], 4)[0] for row in hits])
    truth = 1 - 0.8**4
    assert better.mean() == pytest.approx(truth, abs=0.03) and usual.mean() == pytest.approx(truth, abs=0.08)
    assert better.std() < usual.std() / 2


class Memory:
    """An ImageSource of words."""

    def read(self, image_id: str) -> bytes:
        return image_id.encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return [image for image in image_ids if image not in WORDS]

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(self.read(image)).hexdigest() for image in image_ids]


class Letters:
    """A Retriever of texts such as 'blue red': the sum of their words' directions, later words counting less."""

    fingerprint = "letters"
    description: dict[str, Any] = {}  # noqa: RUF012

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self.encode_texts([image.decode() for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), len(WORDS)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for place, word in enumerate(text.split()):
                row[WORDS.index(word)] += 0.7**place
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Sampler:
    """Gives each sample a permutation of the words: where the target's stands is its rank."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            self.asked.append(query.id)
            if query.id == "q0#3":
                yield Rewrite(query.id, texts=(query.text,), raw="", fallback="empty")
            else:
                yield Rewrite(query.id, texts=(" ".join(order(query.id)),), raw="x")


def order(query_id: str) -> list[str]:
    return [WORDS[place] for place in np.random.default_rng(list(query_id.encode())).permutation(len(WORDS))]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    # Two queries an image, the raw text naming another one first.
    queries = tuple(
        Query(f"q{n}", f"{WORDS[n // 2 - 1]} {WORDS[n // 2]}", (WORDS[n // 2],)) for n in range(2 * len(WORDS))
    )
    dataset = Dataset(queries, Gallery(WORDS, Memory()))
    return Task("words", "mini", "test", "translate", "retrieval", 1, dataset, tmp_path)


def loaded(rewriter: Any, **changes: Any) -> LoadedRewriter:
    return LoadedRewriter("sampler", rewriter, None, "f", {}, sampled=True, **changes)


def measured(task: Task, rewriter: LoadedRewriter, ks: Sequence[int]) -> measuring.Headroom:
    return headroom(task, task.queries, rewriter, Letters(), None, 0, ks, lambda *_: None)


def true_ranks(task: Task, samples: int) -> np.ndarray:
    """`(samples, queries)`, read off the words' order."""
    rows = []
    for number in range(samples):
        row = []
        for query in task.queries:
            name = f"{query.id}#{number}" if number else query.id
            words = query.text.split() if name == "q0#3" else order(name)
            row.append(1 + words.index(query.positives[0]))
        rows.append(row)
    return np.array(rows)


def test_on_a_made_up_world(task: Task) -> None:
    found = measured(task, loaded(Sampler()), [2, 4])
    ranks = true_ranks(task, 4)
    assert [point.k for point in found.points] == [1, 2, 4], "one answer stands beside the others"
    for point in found.points:
        some = choices(ranks, point.k).min(axis=1)
        assert point.figures["R@1"] == pytest.approx((some <= 1).mean())
        assert point.figures["R@5"] == pytest.approx((some <= 5).mean())
        assert point.figures["MRR"] == pytest.approx((1 / some).mean())
        assert point.figures["median_rank"] == np.median(some)
        first = ranks[: point.k].min(axis=0)
        assert point.first["R@1"] == (first <= 1).mean() and point.first["median_rank"] == np.median(first)
        low, high = point.intervals["R@1"]
        assert low < point.figures["R@1"] < high
    assert found.points[0].figures["R@1"] == pytest.approx((ranks <= 1).mean()), "the mean single answer"
    assert found.points[-1].figures == pytest.approx(found.points[-1].first), "all there are is the first of them all"
    assert found.raw["R@1"] == 0 and found.raw["median_rank"] == 2
    assert (found.queries, found.samples, found.fallbacks) == (12, 4, {"empty": 1})
    names = [{" ".join(order(f"q{n}#{k}" if k else f"q{n}")) for k in range(4) if (n, k) != (0, 3)} for n in range(12)]
    assert found.distinct == pytest.approx((sum(map(len, names)) + 1) / 12)
    assert not any(key.startswith("i2t") or "/" in key for key in found.raw)


def test_nothing_is_asked_twice(task: Task) -> None:
    sampler = Sampler()
    measured(task, loaded(sampler), [1, 2])
    assert sorted(sampler.asked) == sorted([f"q{n}" for n in range(12)] + [f"q{n}#1" for n in range(12)])
    sampler.asked.clear()
    measured(task, loaded(sampler), [3])
    assert sorted(sampler.asked) == sorted(f"q{n}#2" for n in range(12))


def test_answers_of_a_rewriter_that_combines_them_are_searched_alone(task: Task) -> None:
    plain = measured(task, loaded(Sampler()), [3])
    combined = measured(task, loaded(Sampler(), samples=8, combine=Combination()), [3])
    assert combined.points == plain.points
    weighted = measured(task, loaded(Sampler(), samples=8, combine=Combination(with_query=2.0)), [3])
    assert weighted.points != plain.points, "what goes beside each answer stays beside it"


def test_by_language_each_counts_the_same(task: Task) -> None:
    queries = tuple(
        dataclasses.replace(query, language="de" if n < 3 else "zh") for n, query in enumerate(task.queries)
    )
    task = dataclasses.replace(
        task, protocol="multilingual", dataset=dataclasses.replace(task.dataset, queries=queries)
    )
    best = true_ranks(task, 4).min(axis=0) <= 1
    found = measured(task, loaded(Sampler()), [4])
    assert found.points[-1].figures["R@1"] == pytest.approx((best[:3].mean() + best[3:].mean()) / 2)


def test_a_greedy_card_is_sampled_and_one_without_a_model_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup = Setup("mini", "translate", 0, tmp_path)
    opened: list[Any] = []

    def open_fake(spec: str, setup: Setup, changes: Any = None) -> LoadedRewriter:
        opened.append(changes)
        sample = bool(changes and changes["sample"])
        return dataclasses.replace(loaded(SimpleNamespace(settings=SimpleNamespace(sample=sample))), sampled=sample)

    monkeypatch.setattr(measuring, "open_rewriter", open_fake)
    assert measuring.open_sampling("llm", setup).sampled and opened == [None, {"sample": True}]
    monkeypatch.undo()
    card = measuring.open_sampling("llm", setup)
    assert card.sampled and card.description["generation"]["sample"] and card.description["settings"]["sample"]
    with pytest.raises(UserError, match="identity gives every query the same answer"):
        measuring.open_sampling("identity", setup)
