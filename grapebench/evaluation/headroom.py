"""How much there is to gain: the best of k answers to each query by what they find. An oracle, not a rewriter."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import figures
from grapebench.evaluation.clusters import clusters
from grapebench.evaluation.figures import Places, Sheet
from grapebench.evaluation.protocols import Protocol, protocol_named
from grapebench.evaluation.search import settled, side
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report
    from grapebench.rewriters.captioners import LoadedCaptioner


@dataclass(frozen=True)
class Point:
    """The best of k answers: for each figure the answer that is best by that figure."""

    k: int
    figures: dict[str, float]
    """Expected over all choices of k of the answers that were sampled; `median_rank` is that of all these choices."""
    intervals: dict[str, tuple[float, float]]
    """95 %, by a bootstrap over clusters of queries; of all but `median_rank`."""
    first: dict[str, float]
    """Of the first k answers alone."""


@dataclass(frozen=True)
class Headroom:
    """What the best answer would find, by the number of answers there are to choose from."""

    queries: int
    samples: int
    """How many answers each query got."""
    distinct: float
    """How many of them differ, on average over the queries."""
    fallbacks: dict[str, int]
    """How many answers could not be used, so that the query's own text was searched; by reason."""
    unanswered: dict[str, int]
    """Those of them that never came, by reason, and of a captioner captions: the same command asks for these again."""
    cut: dict[str, int]
    """How many answers had their 'prompt' or 'output' cut off, and how many captions ('caption output')."""
    uncaptioned: dict[str, int]
    """How many reference images have no caption, by reason."""
    raw: dict[str, float]
    """Figures of the queries' own texts."""
    points: tuple[Point, ...]
    """By k; the first is k = 1, the mean of the single answers."""


def open_sampling(spec: str, setup: Setup) -> LoadedRewriter:
    """The rewriter that `spec` names, with `sample = true` where its card says otherwise.

    Raises UserError as `open_rewriter` does, and for a rewriter that gives one answer only.
    """
    loaded = open_rewriter(spec, setup)
    if loaded.sampled:
        return loaded
    if not hasattr(getattr(loaded.rewriter, "settings", None), "sample"):
        raise UserError(
            f"{loaded.name} gives every query the same answer each time: there is no best of several",
            fix="choose a rewriter that asks a language model",
        )
    return open_rewriter(spec, setup, {"sample": True})


def headroom(
    task: Task,
    queries: Sequence[Query],
    rewriter: LoadedRewriter,
    retriever: Retriever,
    captioner: LoadedCaptioner | None,
    seed: int,
    ks: Sequence[int],
    report: Report,
) -> Headroom:
    """Sample as many answers as the largest of `ks`, search with each, and choose by the labels.

    Answers and vectors are stored: a later call with more answers asks for those that are missing. A rewriter that
    makes one rewrite of several answers is taken apart: each answer is searched alone.
    """
    from grapebench.evaluation.beside import tallies
    from grapebench.evaluation.measure import attach, captioned
    from grapebench.retrieval.encode import gallery_vectors, search_vectors
    from grapebench.retrieval.searcher import Searcher
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.store import RewriteStore, all_answers

    # Which texts an image finds depends on all rewrites together; here each stands alone.
    protocol = replace(protocol_named(task.protocol), image_to_text=False)
    embeddings, samples = EmbeddingStore(), max(ks)
    if captioner is not None:
        queries = captioned(task, queries, retriever, captioner, embeddings, report)
    attach(rewriter, Searcher(task.gallery, retriever, embeddings))
    with RewriteStore() as store:
        answers = all_answers(rewriter, queries, store, seed, samples, partial(report, "sampling"))
    images = gallery_vectors(task.gallery, retriever, embeddings, report=partial(report, "encoding images"))

    def found(rewrites: Sequence[Rewrite]) -> Places:
        vectors = search_vectors(rewrites, task.gallery, retriever, embeddings)
        return side(protocol, task.gallery, queries, settled(task.gallery, queries, vectors, images), images).places

    raw = found([Rewrite(query.id, texts=(query.text,)) for query in queries])
    each = []
    for number in range(samples):
        report("searching", number, samples)
        each.append(
            found([_alone(rewriter, query, some[number]) for query, some in zip(queries, answers, strict=True)])
        )
    report("searching", samples, samples)
    groups = dict(task.dataset.groups) if protocol.by == "category" else {}
    troubles = tallies([one for some in answers for one in some], None if captioner is None else captioner.tallies)
    return Headroom(
        queries=len(queries),
        samples=samples,
        distinct=sum(len({(one.texts, one.images) for one in some}) for some in answers) / len(queries),
        **{name: troubles[name] for name in ("fallbacks", "unanswered", "cut", "uncaptioned")},
        raw=_headline(protocol, figures.query_sheet(protocol, queries, raw, groups), raw.rank),
        points=tuple(_points(protocol, queries, groups, each, sorted({1, *ks}))),
    )


def _alone(rewriter: LoadedRewriter, query: Query, answer: Rewrite) -> Rewrite:
    """What the rewriter makes of a single answer."""
    return answer if rewriter.combine is None else rewriter.combine(query, [answer])


def _points(
    protocol: Protocol, queries: Sequence[Query], groups: Mapping[str, str], each: Sequence[Places], ks: Sequence[int]
) -> list[Point]:
    names = clusters(protocol, queries)
    sheets = [figures.query_sheet(protocol, queries, places, groups, names) for places in each]
    values = {key: np.stack([sheet.values[key] for sheet in sheets]) for key in sheets[0].values}
    ranks = np.stack([places.rank for places in each])

    def of(choose: Callable[[np.ndarray], np.ndarray]) -> Sheet:
        return replace(sheets[0], values={key: choose(column) for key, column in values.items()})

    points = []
    for k in ks:
        expected = of(partial(expected_best, k=k))
        shown = _headline(protocol, expected, ranks[0])
        if "median_rank" in shown:
            shown["median_rank"] = expected_median(ranks, k)
        first = of(partial(_best_of_first, k=k))
        bounds = figures.share_intervals([expected])
        points.append(
            Point(
                k=k,
                figures=shown,
                intervals={key: bounds[key] for key in expected.values},
                first=_headline(protocol, first, ranks[:k].min(axis=0)),
            )
        )
    return points


def _headline(protocol: Protocol, sheet: Sheet, rank: np.ndarray) -> dict[str, float]:
    found = figures.figures(protocol, [sheet], Places(rank))
    return {key: value for key, value in found.items() if "/" not in key}


def _best_of_first(values: np.ndarray, k: int) -> np.ndarray:
    found: np.ndarray = values[:k].max(axis=0)
    return found


def best_weights(samples: int, k: int) -> np.ndarray:
    """How likely each of `samples` answers, in order of merit, is the best of `k` drawn without replacement.

    `(samples,)`, C(samples - place, k - 1) / C(samples, k) for the places from 1. Of hits and misses it makes
    1 - C(samples - hits, k) / C(samples, k), the unbiased estimator of pass@k (Chen et al., Evaluating Large Language
    Models Trained on Code, 2021, equation 1).
    """
    every = math.comb(samples, k)
    return np.array([math.comb(samples - place, k - 1) / every for place in range(1, samples + 1)])


def expected_best(values: np.ndarray, k: int) -> np.ndarray:
    """The expected highest of `k` of the `(samples, queries)` values, `(queries,)`; larger is better."""
    found: np.ndarray = best_weights(len(values), k) @ -np.sort(-values, axis=0)
    return found


def expected_median(ranks: np.ndarray, k: int) -> float:
    """The median of the best rank over all queries and all choices of `k` of the `(samples, queries)` ranks."""
    ordered = np.sort(ranks, axis=0)
    weights = np.repeat(best_weights(len(ranks), k), ranks.shape[1])
    places = np.argsort(ordered.ravel(), kind="stable")
    values, share = ordered.ravel()[places], np.cumsum(weights[places]) / weights.sum()
    # Where exactly half lies below, the middle of the two next to it, as everywhere.
    low, high = (int(np.searchsorted(share, 0.5 + nudge)) for nudge in (-1e-9, 1e-9))
    return float(values[low] + values[high]) / 2
