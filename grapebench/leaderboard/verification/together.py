"""Clusters of queries found once more, by joining one query after the other to those that it shares something with.

Nothing here calls the code that clusters are made by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import results
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification.findings import Findings, some
from grapebench.leaderboard.verification.tables import Tables
from grapebench.records import Query


def together(queries: Sequence[Query], by_category: bool) -> list[str]:
    """The name of each query's cluster: the first, by the alphabet, of all that its members are queries of."""
    roots: dict[object, object] = {}

    def root(thing: object) -> object:
        roots.setdefault(thing, thing)
        while roots[thing] != thing:
            roots[thing] = thing = roots[roots[thing]]
        return thing

    asked: list[list[str]] = []
    for place, query in enumerate(queries):
        # Of a whole category that is right, what a query comes from is its article or its first image.
        own = [query.source or query.positives[0]] if by_category else list(query.positives)
        shared: list[object] = [("positive", name) for name in own]
        if query.source:
            shared.append(("article", query.source))
        if query.reference is not None:
            shared.append(("reference", query.reference))
        if query.subset:
            shared.append(("look-alikes", tuple(sorted({*query.subset, query.reference or query.subset[0]}))))
        for thing in shared:
            roots[root(thing)] = root(place)
        asked.append(own)
    first: dict[object, str] = {}
    for place, own in enumerate(asked):
        first[root(place)] = min([*own, *([first[root(place)]] if root(place) in first else [])])
    return [first[root(place)] for place in range(len(asked))]


def check(found: Findings, result: Result, queries: Sequence[Query], read: Tables | None) -> None:
    """The clusters of labelled queries: how many, how large, and the column of each table."""
    by_category = protocol_named(result.protocol).relevance == "category"
    names = together(queries, by_category)
    counts = Counter(names)
    due = {"clusters": len(counts), "largest_cluster": max(counts.values())}
    for name, value in due.items():
        if getattr(result, name) != value:
            found.differs(name, getattr(result, name), value, "the data here give")
    if read is None:
        return
    pairs = zip(read.queries["query_id"], read.queries["cluster"], names, strict=True)
    if apart := [query for query, one, other in pairs if one != other]:
        found.wrong(results.PER_QUERY_FILE, f"cluster is not that of the query: {some(apart)}")
    if read.images is not None:
        of = {query.positives[0]: name for query, name in reversed(list(zip(queries, names, strict=True)))}
        if not by_category:
            of = {image: name for query, name in zip(queries, names, strict=True) for image in query.positives}
        rows = zip(read.images["image_id"], read.images["cluster"], strict=True)
        if apart := [image for image, name in rows if name != of.get(image, image)]:
            found.wrong(results.PER_IMAGE_FILE, f"cluster is not that of the image: {some(apart)}")
