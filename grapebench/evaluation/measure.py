"""The work behind a result: captions, rewrites, vectors before and after, and where the right images came."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grapebench.evaluation.protocols import protocol_named
from grapebench.evaluation.search import Listings, Side, listings, side
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.rewriters import LoadedRewriter

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners import Captioner

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Measured:
    """Everything that a result is written from, in the order of the queries."""

    rewrites: list[Rewrite]
    sides: tuple[Side, ...] | None
    """With the raw query text, and with the rewrites; None where the labels are not public."""
    listings: Listings
    """What the rewrites found."""
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
    labelled: bool,
    report: Report,
) -> Measured:
    """Rewrite, encode and rank. What the stores hold already is not made again.

    Without labels only the rewrites are searched, and nothing is ranked.
    """
    from grapebench.retrieval.encode import gallery_vectors, query_vectors
    from grapebench.retrieval.store import EmbeddingStore

    protocol = protocol_named(task.protocol)
    embeddings = EmbeddingStore()
    if captioner is not None:
        queries = _captioned(task, queries, retriever, captioner, embeddings, report)
    started = time.perf_counter()
    rewrites, rewritten = _rewritten(rewriter, queries, seed, report)
    between = time.perf_counter()

    def encode(asked: Sequence[Rewrite], stage: str) -> np.ndarray:
        return query_vectors(asked, task.gallery, retriever, embeddings, report=partial(report, stage))

    images = gallery_vectors(task.gallery, retriever, embeddings, report=partial(report, "encoding images"))
    raw = [Rewrite(query.id, texts=(query.text,)) for query in queries]
    before = encode(raw, "encoding queries") if labelled else None
    after = encode(rewrites, "encoding rewrites")
    encoded = time.perf_counter()
    sides = None
    if before is not None:
        sides = tuple(side(protocol, task.gallery, queries, vectors, images) for vectors in (before, after))
    return Measured(
        rewrites=rewrites,
        sides=sides,
        listings=listings(protocol, task.gallery, queries, after, images),
        rewritten=rewritten,
        rewrite_seconds=between - started,
        encode_seconds=encoded - between,
    )


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
