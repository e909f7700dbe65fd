"""The data and the retriever behind a group of results, where both are at hand and are those that were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grapebench import catalog, files
from grapebench.errors import UserError
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.site.tops import DEPTH, Tops
from grapebench.records import Query, Retriever, Rewrite, Task

GENERATED = frozenset({"mini"})
"""Suites whose data and models come with the package: nothing to ask for, and free to be passed on."""


@dataclass(frozen=True)
class AtHand:
    """What a group of results searched."""

    task: Task
    queries: tuple[Query, ...]
    """Those that were asked."""
    retriever: Retriever | None
    """What searched, where it comes with the package and is the same to the bit."""

    def tops(self, rewrites: Sequence[Rewrite] | None) -> Tops | None:
        """The best images of each query by searching again, with its rewrite or, where that is None, its own text.

        None where the retriever is not at hand. Raises UserError where the rewrites do not fit.
        """
        if self.retriever is None:
            return None
        from grapebench.evaluation.search import columns, settled
        from grapebench.evaluation.ways import open_ways
        from grapebench.retrieval.encode import gallery_vectors, search_vectors
        from grapebench.retrieval.store import EmbeddingStore

        gallery = self.task.gallery
        known = (gallery, self.retriever, EmbeddingStore())
        images = gallery_vectors(*known)
        raw = [Rewrite(query.id, texts=(query.text,)) for query in self.queries]
        vectors = settled(gallery, self.queries, search_vectors(rewrites or raw, *known), images)
        ways = open_ways(vectors, images, columns(gallery, (query.excluded for query in self.queries)))
        found = ways.best_images(DEPTH)[0].tolist()
        return {
            query.id: tuple(gallery.ids[column] for column in row if column >= 0)
            for query, row in zip(self.queries, found, strict=True)
        }


def find(result: Result, asked: bool) -> AtHand | None:
    """The data of a result; those of a suite that is not generated only where they are `asked` for.

    None where they are another task's, revision's or version's data. Raises UserError where the data cannot be read.
    """
    if result.task not in catalog.task_names() or not (asked or result.suite in GENERATED):
        return None
    from grapebench.datasets import load_task

    card = catalog.task_card(result.task).card
    suite = getattr(card, result.suite)
    allowed = {card.protocol, *card.protocols}
    if suite is None or result.split not in suite.splits or result.protocol not in allowed:
        return None
    task = load_task(card, result.suite, result.split, protocol=result.protocol)
    if task.dataset.fingerprint != result.data.dataset or not _same_pixels(task, result):
        return None
    return AtHand(task, task.queries[: result.limit], _retriever(result))


def _same_pixels(task: Task, result: Result) -> bool:
    """Also where vectors were brought along, and nothing is known of the pixels."""
    known = result.data.images
    return known is None or files.sha256_json(task.gallery.images.sha256(task.gallery.ids)) == known


def _retriever(result: Result) -> Retriever | None:
    # By the name of a card alone: whatever else a result calls its retriever is not opened.
    if result.suite not in GENERATED or result.retriever.name not in catalog.retriever_names():
        return None
    from grapebench.retrieval import open_retriever

    try:
        found = open_retriever(result.retriever.name, result.suite)
    except UserError:
        return None
    return found if found.fingerprint == result.retriever.fingerprint else None
