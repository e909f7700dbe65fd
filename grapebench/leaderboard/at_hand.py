"""The data and the retriever behind a group of results, where both are at hand and are those that were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.leaderboard.bench import Bench, NotAtHand
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.runs import Found
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

    def best(self, rewrites: Sequence[Rewrite] | None, depth: int) -> dict[str, Found] | None:
        """The best images of each query by searching again, with its rewrite or, where there are none, its own text.

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
        places, scores = (rows.tolist() for rows in ways.best_images(depth))
        return {
            query.id: tuple((gallery.ids[place], score) for place, score in zip(*pair, strict=True) if place >= 0)
            for query, pair in zip(self.queries, zip(places, scores, strict=True), strict=True)
        }


def find(result: Result, asked: bool, bench: Bench) -> AtHand | None:
    """The data of a result; those of a suite that is not generated only where they are `asked` for.

    None where they are not at hand, or are another task's, revision's or version's. Raises UserError where what was
    asked for is not at hand.
    """
    if not (asked or result.suite in GENERATED):
        return None
    try:
        task = bench.task(result)
    except NotAtHand as error:
        if asked and result.suite not in GENERATED:
            raise UserError(str(error)) from error
        return None
    # Where vectors were brought along, nothing is known of the pixels.
    same_pixels = result.data.images is None or bench.pixels(task) == result.data.images
    if task.dataset.fingerprint != result.data.dataset or not same_pixels:
        return None
    return AtHand(task, task.queries[: result.limit], _retriever(result, bench))


def _retriever(result: Result, bench: Bench) -> Retriever | None:
    if result.suite not in GENERATED or result.retriever.name not in catalog.retriever_names():
        return None
    try:
        return bench.retriever(result)
    except NotAtHand:
        return None
