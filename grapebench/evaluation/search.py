"""From vectors to places: text to image, among look-alikes, by grade, by category, and back from image to text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from grapebench.evaluation.figures import ImagePlaces, Places
from grapebench.evaluation.inflation import TOP
from grapebench.evaluation.protocols import Protocol, graded_images
from grapebench.evaluation.ways import Listing, Vectors, Ways, open_ways
from grapebench.records import Gallery, Query, Ranking
from grapebench.retrieval.fused import Fused, settle_best
from grapebench.retrieval.ranking import Examination

RUN_DEPTH = 100
"""How many images of each query the run file lists."""
TEXTS = 10
"""How many texts of each image, and language, the image-to-text run lists."""


@dataclass(frozen=True)
class Side:
    """Where the right images, and the right texts, came with one form of the queries."""

    examined: Examination
    places: Places
    back: ImagePlaces | None


@dataclass(frozen=True)
class Listings:
    """What the run files are written from."""

    images: Listing
    """The best images of each query."""
    subset: Listing | None
    """The look-alikes of each query, all of them ranked; columns of the gallery."""
    texts: Listing | None
    """The best texts of each gallery image; columns are places among the queries."""


def settled(gallery: Gallery, queries: Sequence[Query], vectors: Vectors, images: np.ndarray) -> Vectors:
    """`vectors`, but of a query that is fused by 'best' the one part alone that ranks its right image highest."""
    if not isinstance(vectors, Fused) or "best" not in vectors.fusions:
        return vectors
    positives, excluded = (
        columns(gallery, some) for some in ((q.positives for q in queries), (q.excluded for q in queries))
    )
    return settle_best(vectors, images, positives, excluded)


def side(protocol: Protocol, gallery: Gallery, queries: Sequence[Query], vectors: Vectors, images: np.ndarray) -> Side:
    """All places that the protocol asks for; `vectors` are the queries', `images` the gallery's `(gallery, dimension)`.

    Where queries are fused, the similarities are cosines of the part nearest to each image, also where they are
    fused by ranks, and the ranking goes by another number.
    """
    positives = columns(gallery, (query.positives for query in queries))
    excluded = columns(gallery, (query.excluded for query in queries))
    subsets = columns(gallery, map(_subset, queries)) if any(query.subset for query in queries) else None
    ways = open_ways(vectors, images, excluded)
    examined = ways.examine(positives, TOP)
    subset_rank = grades = grade_rank = grade_subset_rank = precision = None
    if subsets is not None:
        subset_rank = _or_miss(ways.subset_ranks(np.arange(len(queries)), positives, subsets), protocol.miss)
    if protocol.relevance == "graded":

        def in_gallery(rows: np.ndarray, right: list[tuple[str, ...]]) -> np.ndarray:
            return _or_miss(ways.ranks(rows, columns(gallery, right)), np.inf)

        def in_subset(rows: np.ndarray, right: list[tuple[str, ...]]) -> np.ndarray:
            members = [subsets[row] for row in rows] if subsets is not None else []
            return _or_miss(ways.subset_ranks(rows, columns(gallery, right), members), np.inf)

        grades, grade_rank = grade_ranks(queries, in_gallery)
        if subsets is not None:
            _, grade_subset_rank = grade_ranks(queries, in_subset)
    if protocol.relevance == "category":
        of_images, of_queries = categories(gallery, queries)
        precision = ways.precisions(of_queries, of_images)
    rank = _or_miss(examined.ranking, protocol.miss)
    candidates = examined.ranking.candidates
    places = Places(rank, subset_rank, grades, grade_rank, grade_subset_rank, precision, candidates)
    back = image_places(protocol, gallery, queries, vectors, images) if protocol.image_to_text else None
    return Side(examined, places, back)


def listings(
    protocol: Protocol, gallery: Gallery, queries: Sequence[Query], vectors: Vectors, images: np.ndarray
) -> Listings:
    """The best of everything for the run files; needs no labels."""
    ways = open_ways(vectors, images, columns(gallery, (query.excluded for query in queries)))
    subset = texts = None
    if any(query.subset for query in queries):
        subset = ways.members(columns(gallery, map(_subset, queries)))
    if protocol.image_to_text:
        texts = _best_texts(protocol, queries, ways)
    return Listings(ways.best_images(RUN_DEPTH), subset, texts)


def columns(gallery: Gallery, images: Iterable[tuple[str, ...]]) -> list[np.ndarray]:
    """Image ids, one tuple a query, as columns of the gallery."""
    return [np.array([gallery.index[image] for image in some], dtype=np.int64) for some in images]


def categories(gallery: Gallery, queries: Sequence[Query]) -> tuple[np.ndarray, np.ndarray]:
    """The category of each image and of each query, as numbers that agree."""
    both = [*gallery.categories, *(query.category for query in queries)]
    numbers = np.unique(np.array(both), return_inverse=True)[1]
    return numbers[: len(gallery)], numbers[len(gallery) :]


def grade_ranks(
    queries: Sequence[Query], ranks: Callable[[np.ndarray, list[tuple[str, ...]]], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The grades that occur, and where each query's best image of at least each of its grades came; see `Places`.

    `ranks` is asked for some of the queries, each with its right images.
    """
    graded = [graded_images(query) for query in queries]
    levels = sorted({grade for images in graded for grade in images.values()})
    found = np.full((len(levels), len(queries)), np.inf)
    for place, level in enumerate(levels):
        rows = np.array([row for row, images in enumerate(graded) if level in images.values()])
        right = [tuple(name for name, grade in graded[row].items() if grade >= level) for row in rows]
        found[place, rows] = ranks(rows, right)
    return np.array(levels), found


def image_places(
    protocol: Protocol, gallery: Gallery, queries: Sequence[Query], vectors: Vectors, images: np.ndarray
) -> ImagePlaces:
    """Where each image's texts came among all texts, or among those of each language."""
    ways = open_ways(vectors, images)
    if protocol.relevance == "category":
        of_images, of_queries = categories(gallery, queries)
        asked = np.flatnonzero(np.isin(of_images, of_queries))
        found = ways.text_precisions(asked, of_images[asked], of_queries)
        return ImagePlaces(tuple(gallery.ids[column] for column in asked), ("",) * len(asked), precision=found)
    ids: list[str] = []
    languages: list[str] = []
    ranks = [np.zeros(0, np.int64)]
    for language, texts in _together(protocol, queries):
        own: dict[int, list[int]] = defaultdict(list)
        for place, text in enumerate(texts.tolist()):
            for image in queries[text].positives:
                own[gallery.index[image]].append(place)
        asked = np.array(sorted(own), dtype=np.int64)
        positives = [np.array(own[column]) for column in asked.tolist()]
        ranks.append(ways.text_ranks(asked, texts, positives))
        ids += [gallery.ids[column] for column in asked]
        languages += [language] * len(asked)
    return ImagePlaces(tuple(ids), tuple(languages), rank=np.concatenate(ranks))


def _subset(query: Query) -> tuple[str, ...]:
    return tuple(image for image in query.subset if image not in query.excluded)


def _or_miss(ranking: Ranking, miss: float) -> np.ndarray:
    """The ranks; a query without a positive among its candidates is a miss, however few these are."""
    found: np.ndarray = np.where(np.isnan(ranking.score), np.maximum(ranking.rank, miss), ranking.rank)
    return found


def _together(protocol: Protocol, queries: Sequence[Query]) -> list[tuple[str, np.ndarray]]:
    """The texts that an image is searched among, as places among the queries: all, or each language's."""
    if protocol.by != "language":
        return [("", np.arange(len(queries)))]
    tags = np.array([query.language for query in queries])
    return [(str(language), np.flatnonzero(tags == language)) for language in np.unique(tags)]


def _best_texts(protocol: Protocol, queries: Sequence[Query], ways: Ways) -> Listing:
    """Of each language the best texts, then all of them in one order."""
    found = []
    for _, texts in _together(protocol, queries):
        places, scores = ways.best_texts(texts, TEXTS)
        found.append((texts[places], scores))
    places, scores = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
    order = np.lexsort((places, -scores), axis=1)
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(scores, order, axis=1)
