"""The work behind a result: captions, rewrites, vectors before and after, ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grapebench.evaluation.inflation import TOP
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.rewriters import LoadedRewriter

if TYPE_CHECKING:
    from grapebench.retrieval.ranking import Examination
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners import Captioner

RUN_DEPTH = 100
"""How many images of each query the run file lists."""
Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Side:
    """Where the targets came with one form of the queries."""

    examined: Examination
    subset_rank: np.ndarray | None
    """`(queries,)`; None where the queries have no look-alikes."""


@dataclass(frozen=True)
class Measured:
    """Everything that a result is written from, in the order of the queries."""

    rewrites: list[Rewrite]
    before: Side
    """With the raw query text."""
    after: Side
    """With the rewrites."""
    top: tuple[np.ndarray, np.ndarray]
    """Columns and scores of the best images after rewriting, `(queries, up to 100)`, best first."""
    rewritten: int
    """How many queries had no stored rewrite."""
    rewrite_seconds: float
    encode_seconds: float


def measure(
    task: Task,
    queries: Sequence[Query],
    rewriter: LoadedRewriter,
    retriever: Retriever,
    captioner: Captioner | None,
    seed: int,
    report: Report,
) -> Measured:
    """Rewrite, encode and rank. What the stores hold already is not made again."""
    from grapebench.retrieval.encode import gallery_vectors, query_vectors
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.retrieval.topk import top_k

    embeddings = EmbeddingStore()
    if captioner is not None:
        queries = _captioned(task, queries, retriever, captioner, embeddings, report)
    started = time.perf_counter()
    rewrites, rewritten = _rewritten(rewriter, queries, seed, report)
    between = time.perf_counter()
    gallery = gallery_vectors(task.gallery, retriever, embeddings, report=partial(report, "encoding images"))
    raw = [Rewrite(query.id, texts=(query.text,)) for query in queries]
    before = query_vectors(raw, task.gallery, retriever, embeddings, report=partial(report, "encoding queries"))
    after = query_vectors(rewrites, task.gallery, retriever, embeddings, report=partial(report, "encoding rewrites"))
    encoded = time.perf_counter()
    return Measured(
        rewrites=rewrites,
        before=_side(task, queries, before, gallery),
        after=_side(task, queries, after, gallery),
        top=top_k(after, gallery, RUN_DEPTH, columns(task, (query.excluded for query in queries))),
        rewritten=rewritten,
        rewrite_seconds=between - started,
        encode_seconds=encoded - between,
    )


def columns(task: Task, images: Iterable[tuple[str, ...]]) -> list[np.ndarray]:
    """Image ids, one tuple a query, as columns of the gallery."""
    index = task.gallery.index
    return [np.array([index[image] for image in some], dtype=np.int64) for some in images]


def _captioned(
    task: Task,
    queries: Sequence[Query],
    retriever: Retriever,
    captioner: Captioner,
    embeddings: EmbeddingStore,
    report: Report,
) -> Sequence[Query]:
    from grapebench.rewriters.captioners import fill_captions

    wanted = list(dict.fromkeys(query.reference for query in queries if query.reference is not None))
    report("captioning", 0, len(wanted))
    captions = captioner.caption(wanted, task.gallery, retriever, embeddings)
    report("captioning", len(wanted), len(wanted))
    return fill_captions(queries, captions)


def _rewritten(
    rewriter: LoadedRewriter, queries: Sequence[Query], seed: int, report: Report
) -> tuple[list[Rewrite], int]:
    """The rewrites, and how many of them were not stored yet."""
    from grapebench.rewriters.store import RewriteStore, rewrite_all

    stored: list[int] = []

    def progress(done: int, total: int) -> None:
        stored.append(done)
        report("rewriting", done, total)

    with RewriteStore() as answers:
        rewrites = rewrite_all(rewriter, queries, answers, seed, progress)
    return rewrites, len(queries) - stored[0]


def _side(task: Task, queries: Sequence[Query], vectors: np.ndarray, gallery: np.ndarray) -> Side:
    from grapebench.retrieval.ranking import examine, subset_ranks

    positives = columns(task, (query.positives for query in queries))
    excluded = columns(task, (query.excluded for query in queries))
    examined = examine(vectors, gallery, positives, excluded, top=TOP)
    subset_rank = None
    if any(query.subset for query in queries):
        subsets = columns(task, (query.subset for query in queries))
        subset_rank = subset_ranks(vectors, gallery, positives, subsets).rank
    return Side(examined, subset_rank)
