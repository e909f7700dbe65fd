"""Which queries are not independent: those that share what they ask for or start from are one cluster.

A retriever that finds one caption of a picture tends to find the others, so their outcomes are one observation and not
five. Bootstrap and permutation tests therefore draw and swap whole clusters: the connected components of queries that
share a positive, a reference image, a set of look-alikes or the article that they come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from grapebench.evaluation.protocols import Protocol
from grapebench.records import Query

LARGE = 0.1
"""A cluster of more than this share of the queries is warned of."""


@dataclass(frozen=True)
class Sizes:
    """How many clusters there are, and how many queries the largest one holds."""

    count: int
    largest: int


def clusters(protocol: Protocol, queries: Sequence[Query]) -> list[str]:
    """The name of each query's cluster, `(queries,)`; queries of one name are not independent.

    A name is the alphabetically first of the cluster's positives. It depends on nothing outside of the cluster, and is
    the image itself where all that a cluster shares is one image.

    Sections of one article are one cluster under every protocol, not only where a category counts: they are about one
    subject in one author's words, whatever is right for them. Where every image of a category is right, sharing a
    positive says nothing, and would make one cluster of a category: there the article links queries, or, where the data
    name none, the image that a query comes from, its first positive.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not queries:
        return []
    numbers: dict[tuple[str, object], int] = {}
    pairs = [
        (row, len(queries) + numbers.setdefault(link, len(numbers)))
        for row, query in enumerate(queries)
        for link in _links(protocol, query)
    ]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    size = len(queries) + len(numbers)
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][: len(queries)].tolist()
    names: dict[int, str] = {}
    for label, query in zip(labels, queries, strict=True):
        for name in _own(protocol, query):
            names[label] = min(names.get(label, name), name)
    return [names[label] for label in labels]


def of_images(protocol: Protocol, images: Sequence[str], queries: Sequence[Query], names: Sequence[str]) -> list[str]:
    """The cluster of each image that asks for its texts, `(images,)`: that of its queries.

    `names` are the queries' clusters. An image that no query comes from, right for a category alone, is its own.
    """
    known: dict[str, str] = {}
    for query, name in zip(queries, names, strict=True):
        for image in query.positives if protocol.relevance != "category" else query.positives[:1]:
            known.setdefault(image, name)
    return [known.get(image, image) for image in images]


def sizes(names: Sequence[str]) -> Sizes:
    """Of the clusters that queries are in, given the name of each query's."""
    counts = Counter(names)
    return Sizes(len(counts), max(counts.values(), default=0))


def _own(protocol: Protocol, query: Query) -> tuple[str, ...]:
    """What a query is the query of, by which its cluster is named: no two clusters have one of them in common."""
    if protocol.relevance == "category" and query.source:
        return (query.source,)
    found = query.positives if protocol.relevance != "category" else query.positives[:1]
    # Without labels nothing is drawn, but clusters can be counted.
    return found or (query.id,)


def _links(protocol: Protocol, query: Query) -> Iterator[tuple[str, object]]:
    """What makes one cluster of two queries that both have it."""
    for name in _own(protocol, query):
        yield "own", name
    if query.source:
        yield "source", query.source
    if query.reference is not None:
        yield "reference", query.reference
    if query.subset:
        # The reference is one of the look-alikes, and the only one that a query does not search among.
        yield "subset", frozenset(query.subset) | ({query.reference} if query.reference is not None else set())
