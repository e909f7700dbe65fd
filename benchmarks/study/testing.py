"""A rewriter on the test split, asked, searched and ranked as `grapebench run` does it, without a result's files."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite, Task

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report
    from grapebench.records import Retriever
    from grapebench.rewriters import LoadedRewriter

CORPUS = 20_000
"""Captions of the miniature that word pairs are known from, by the seed below."""


@dataclass(frozen=True)
class Probe:
    """Some queries of a task's test split, as the frozen rewriter's card asks them."""

    task: Task
    queries: tuple[Query, ...]
    retriever: Retriever
    card: str = "llm"

    def rewriter(self, changes: dict[str, Any], seed: int = 0, trained: Path | None = None) -> LoadedRewriter:
        """The card with other settings, such as an adapter. Raises UserError where it was `trained`, as its card there
        says, on images that are searched here."""
        from grapebench.evaluation.runner import check_seen
        from grapebench.rewriters import open_rewriter
        from grapebench.rewriters.setup import Setup

        def setup(task: Task) -> Setup:
            return Setup(task.suite, task.family, seed, task.root, task=task.name)  # type: ignore[arg-type]

        found = open_rewriter(self.card, setup(self.task), changes)
        if trained is not None:
            from grapebench import catalog
            from grapebench.datasets.seen import seen_of

            check_seen(self.task, replace(found, seen=seen_of(catalog.rewriter_card(str(trained)))), False)
        return found

    def asked(self, rewriter: LoadedRewriter, seed: int, report: Report) -> tuple[Query, ...]:
        """The queries as the rewriter is given them, reference images in words."""
        from grapebench.evaluation.measure import captioned
        from grapebench.retrieval.store import EmbeddingStore
        from grapebench.rewriters.captioners import open_captioner
        from grapebench.rewriters.setup import Setup

        if rewriter.captioner is None:
            return self.queries
        task = self.task
        setup = Setup(task.suite, task.family, seed, task.root, task=task.name)  # type: ignore[arg-type]
        captioner = open_captioner(rewriter.captioner, setup)
        return tuple(captioned(task, self.queries, self.retriever, captioner, EmbeddingStore(), report))

    def figures(self, rewriter: LoadedRewriter, seed: int, report: Report) -> dict[str, Any]:
        """All that is kept of one way to answer, as JSON; `ranks` are those of the queries in their order."""
        from grapebench.evaluation import figures, inflation
        from grapebench.evaluation.measure import attach
        from grapebench.evaluation.metrics import mean, success_at
        from grapebench.evaluation.protocols import protocol_named
        from grapebench.evaluation.search import settled, side
        from grapebench.retrieval.encode import gallery_vectors, search_vectors
        from grapebench.retrieval.searcher import Searcher
        from grapebench.retrieval.store import EmbeddingStore
        from grapebench.rewriters.store import RewriteStore, rewrite_all

        task, queries, embeddings = self.task, self.asked(rewriter, seed, report), EmbeddingStore()
        protocol = replace(protocol_named(task.protocol), image_to_text=False)
        attach(rewriter, Searcher(task.gallery, self.retriever, embeddings))
        for _ in rewriter.rewriter.rewrite(queries[:1]):
            pass  # a model is loaded now, and not while it is timed
        with RewriteStore() as store:
            rewrites = rewrite_all(rewriter, queries, store, seed, functools.partial(report, "rewriting"))
        images = gallery_vectors(task.gallery, self.retriever, embeddings)
        vectors = search_vectors(rewrites, task.gallery, self.retriever, embeddings)
        found = side(protocol, task.gallery, queries, settled(task.gallery, queries, vectors, images), images)
        sheet = figures.query_sheet(protocol, queries, found.places, dict(task.dataset.groups))
        headline = figures.figures(protocol, [sheet], found.places)
        rank = found.places.rank
        recalls = {f"R@{k}": headline.get(f"R@{k}", mean(success_at(rank, k))) for k in (1, 10)}
        cosines = inflation.summary(inflation.figures(found.examined)).model_dump()
        return (
            recalls
            | cosines
            | self._wording(rewrites)
            | {
                "ms": 1000 * sum(rewrite.seconds for rewrite in rewrites) / len(rewrites),
                "ranks": [int(one) for one in rank],
            }
        )

    def _wording(self, rewrites: Sequence[Rewrite]) -> dict[str, float | None]:
        """Of all texts that are searched with; tokens are those of a query's answers together."""
        from grapebench.rewards.form import form

        texts = [text for rewrite in rewrites for text in rewrite.texts]
        return {
            "repetition": float(np.mean([form(text).repetition for text in texts])),
            "unusable": float(np.mean([rewrite.fallback is not None for rewrite in rewrites])),
            "tokens": float(np.mean([rewrite.completion_tokens for rewrite in rewrites])),
            "words": float(np.mean([len(text.split()) for text in texts])),
            "facts": self._facts(rewrites),
            "known_pairs": known_pairs(texts) if self.task.suite == "mini" else None,
        }

    def _facts(self, rewrites: Sequence[Rewrite]) -> float | None:
        from grapebench.world.survival import shown, survival

        facts = shown(self.task, self.queries)
        return None if facts is None else survival(facts, rewrites)

    def pairing(self) -> dict[str, Any]:
        """What paired tests need to know of the queries: their clusters, and how much each counts."""
        from grapebench.evaluation.clusters import clusters
        from grapebench.evaluation.figures import part_weights
        from grapebench.evaluation.protocols import protocol_named

        protocol = protocol_named(self.task.protocol)
        by_language = protocol.by == "language"
        weights = part_weights([query.language for query in self.queries]).tolist() if by_language else []
        return {"clusters": clusters(protocol, self.queries), "weights": weights}


def open_test(name: str, retriever: Retriever, count: int) -> Probe:
    """At most `count` queries of the miniature's test split of a task, at equal distances."""
    from grapebench import catalog
    from grapebench.datasets import load_task

    card = catalog.task_card(name).card
    if card.mini is None:
        raise UserError(f"{name} has no miniature")
    task = load_task(card, "mini", card.mini.default_split, None)
    places = np.unique(np.linspace(0, len(task.queries) - 1, min(count, len(task.queries))).round().astype(int))
    return Probe(task, tuple(task.queries[place] for place in places), retriever)


def known_pairs(texts: Sequence[str]) -> float:
    """Readability: share of the pairs of neighbouring words that some caption of the miniature has, in whatever
    wording. Word salad has few; a text of one word has none that could be wrong."""
    known = _pairs()
    found = [pair in known for text in texts for pair in itertools.pairwise(_words(text))]
    return float(np.mean(found)) if found else 1.0


@functools.cache
def _pairs() -> frozenset[tuple[str, str]]:
    from grapebench.world import english
    from grapebench.world.scenes import observe, random_scene

    rng = random.Random("study/pairs")
    styles = (english.RETRIEVER, english.PEOPLE, english.MODEL)
    texts = (
        english.realise(observe(random_scene(rng, culture=number % 2 == 0), rng), styles[number % 3], rng)
        for number in range(CORPUS)
    )
    return frozenset(pair for text in texts for pair in itertools.pairwise(_words(text)))


def _words(text: str) -> list[str]:
    return text.lower().replace(",", " ,").replace(";", " ;").replace(".", " .").split()
