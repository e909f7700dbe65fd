"""The work behind a result: captions, rewrites, vectors before and after, and where the right images came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation.protocols import protocol_named
from grapebench.evaluation.search import Listings, Side, listings, settled, side
from grapebench.evaluation.ways import Vectors
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.retrieval.searcher import Searcher
from grapebench.rewriters import LoadedRewriter

if TYPE_CHECKING:
    from grapebench.retrieval.store import EmbeddingStore
    from grapebench.rewriters.captioners import LoadedCaptioner

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Measured:
    """Everything that a result is written from, in the order of the queries."""

    rewrites: list[Rewrite]
    sides: tuple[Side, Side] | None
    """With the raw query text, and with the rewrites; None where the labels are not public."""
    listings: Listings
    """What the rewrites found."""
    rewritten: int
    """How many queries had no stored rewrite."""
    rewrite_seconds: float
    encode_seconds: float
    caption_cost: Mapping[str, float] | None = None
    """Of the captions that this run asked for: images, prompt_tokens, completion_tokens, money, seconds."""
    caption_tallies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """What went wrong with captions: see `LoadedCaptioner.tallies`."""
    rendered_sha256: str | None = None
    """Hash of the prompts as the queries fill them; None for a rewriter without prompts."""


def measure(
    task: Task,
    queries: Sequence[Query],
    rewriter: LoadedRewriter,
    retriever: Retriever,
    captioner: LoadedCaptioner | None,
    seed: int,
    labelled: bool,
    report: Report,
) -> Measured:
    """Rewrite, encode and rank. What the stores hold already is not made again.

    A rewriter with a method `attach` is given a `Searcher` first. Without labels only the rewrites are searched, and
    nothing is ranked; UserError where a rewrite then asks for the best of its parts.
    """
    from grapebench.retrieval.store import EmbeddingStore

    embeddings = EmbeddingStore()
    if captioner is not None:
        queries = captioned(task, queries, retriever, captioner, embeddings, report)
    started = time.perf_counter()
    attach(rewriter, Searcher(task.gallery, retriever, embeddings))
    rewrites, rewritten = _rewritten(rewriter, queries, seed, report)
    between = time.perf_counter()
    if not labelled:
        _refuse_best(rewriter, rewrites)
    vectors = encode(task, queries, rewrites, retriever, embeddings, labelled, report)
    encoded = time.perf_counter()
    rendered = getattr(rewriter.rewriter, "rendered_sha256", None)
    sides, found = search(task, queries, vectors)
    return Measured(
        rewrites=rewrites,
        sides=sides,
        listings=found,
        rewritten=rewritten,
        rewrite_seconds=between - started,
        encode_seconds=encoded - between,
        caption_cost=None if captioner is None else captioner.cost,
        caption_tallies={} if captioner is None else captioner.tallies,
        rendered_sha256=rendered(queries) if callable(rendered) else None,
    )


@dataclass(frozen=True)
class Encoded:
    """What is searched with, and what is searched."""

    before: np.ndarray | None
    """Of the raw query texts, `(queries, dimension)`; None where the labels are not public."""
    after: Vectors
    """Of the rewrites."""
    images: np.ndarray
    """Of the gallery, `(gallery, dimension)`."""


def encode(
    task: Task,
    queries: Sequence[Query],
    rewrites: Sequence[Rewrite],
    retriever: Retriever,
    embeddings: EmbeddingStore,
    labelled: bool,
    report: Report,
) -> Encoded:
    """Vectors of the gallery, the queries' own texts and the rewrites, through the store."""
    from grapebench.retrieval.encode import gallery_vectors, query_vectors, search_vectors

    known = (task.gallery, retriever, embeddings)
    images = gallery_vectors(*known, report=partial(report, "encoding images"))
    raw = [Rewrite(query.id, texts=(query.text,)) for query in queries]
    before = query_vectors(raw, *known, report=partial(report, "encoding queries")) if labelled else None
    return Encoded(before, search_vectors(rewrites, *known, report=partial(report, "encoding rewrites")), images)


def search(task: Task, queries: Sequence[Query], vectors: Encoded) -> tuple[tuple[Side, Side] | None, Listings]:
    """Places before and after, where the labels are public, and what the rewrites found."""
    protocol, gallery, images, after = protocol_named(task.protocol), task.gallery, vectors.images, vectors.after
    sides = None
    if vectors.before is not None:
        after = settled(gallery, queries, after, images)
        ranked = [side(protocol, gallery, queries, one, images) for one in (vectors.before, after)]
        sides = (ranked[0], ranked[1])
    return sides, listings(protocol, gallery, queries, after, images)


def attach(rewriter: LoadedRewriter, searcher: Searcher) -> None:
    """Give a rewriter that looks before it writes what it looks at."""
    method = getattr(rewriter.rewriter, "attach", None)
    if callable(method):
        method(searcher)


def _refuse_best(rewriter: LoadedRewriter, rewrites: Sequence[Rewrite]) -> None:
    for rewrite in rewrites:
        if rewrite.fusion == "best" and len(rewrite.texts) + len(rewrite.images) + len(rewrite.vectors) > 1:
            raise UserError(
                f"{rewriter.name} takes the best of several rewrites of query {rewrite.query_id!r}, and which that is "
                "only the labels say",
                fix="choose a split with public labels",
            )


def captioned(
    task: Task,
    queries: Sequence[Query],
    retriever: Retriever,
    captioner: LoadedCaptioner,
    embeddings: EmbeddingStore,
    report: Report,
) -> Sequence[Query]:
    """The queries with their reference images in words."""
    from grapebench.rewriters.captioners import fill_captions

    wanted = list(dict.fromkeys(query.reference for query in queries if query.reference is not None))
    captions = captioner.caption(wanted, task.gallery, retriever, embeddings, partial(report, "captioning"))
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
