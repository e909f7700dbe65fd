"""A result against the task's own data: queries, labels, pixels, and what its rewriter had seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from grapebench.datasets.seen import overlap
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import results
from grapebench.leaderboard.bench import Bench
from grapebench.leaderboard.results import RESULT_FILE, Result, Seen
from grapebench.leaderboard.verification.findings import Findings, some
from grapebench.leaderboard.verification.tables import Table
from grapebench.records import Query, Task


def asked(found: Findings, result: Result, task: Task) -> Sequence[Query] | None:
    """The queries of the split that the result is of; None where its data are other ones."""
    queries = task.queries[: result.limit]
    if task.dataset.fingerprint != result.data.dataset:
        found.differs("data.dataset", result.data.dataset, task.dataset.fingerprint, "the data here have the hash")
        return None
    if task.dataset.sources_fingerprint != (said := result.data.sources):
        found.differs("data.sources", said, task.dataset.sources_fingerprint, "the data here have the hash")
        return None
    if result.limit is not None and not 0 < result.limit < len(task.queries):
        found.wrong(RESULT_FILE, f"limit is {result.limit}, and there are {len(task.queries):,} queries")
    due = {"queries": len(queries), "gallery": len(task.gallery), "labelled": bool(queries[0].positives)}
    due["groups"] = dict(task.dataset.groups) if protocol_named(task.protocol).by == "category" else {}  # type: ignore[assignment]
    for name, value in due.items():
        if getattr(result, name) != value:
            found.differs(name, getattr(result, name), value, "the data here have")
    return queries if len(queries) == result.queries and bool(queries[0].positives) == result.labelled else None


def check_rows(found: Findings, queries: Sequence[Query], table: Table) -> None:
    """Whether the rows of per_query.parquet are those of the split's queries."""
    file, ids = results.PER_QUERY_FILE, table["query_id"]
    due = {"query_id": [query.id for query in queries], "language": [query.language for query in queries]}
    due["positive"] = [query.positives[0] for query in queries]
    if "category" in table:
        due["category"] = [query.category for query in queries]
    if ids != due["query_id"]:
        place = next(place for place, (one, other) in enumerate(zip(ids, due["query_id"], strict=True)) if one != other)
        found.wrong(file, f"query {ids[place]!r} stands where {due['query_id'][place]!r} is asked (row {place + 1})")
        return
    for column in ("language", "positive", "category"):
        if column in due and table[column] != due[column]:
            rows = [name for name, one, other in zip(ids, table[column], due[column], strict=True) if one != other]
            found.wrong(file, f"{column} is not that of the query: {some(rows)}")


def check_images(found: Findings, result: Result, task: Task, bench: Bench) -> None:
    """Pixels and duplicates."""
    if result.data.images is None:
        found.unchecked.append("the images: the retriever brought their vectors along")
        return
    images = bench.pixels(task)
    if result.data.images != images:
        found.differs("data.images", result.data.images, images, "the images here have the hash")
    twins = sum(count for count in Counter(bench.hashes(task)).values() if count > 1)
    if result.duplicates != twins:
        found.differs("duplicates", result.duplicates, twins, "the images here give")


def check_rewriter(found: Findings, result: Result, task: Task, bench: Bench) -> None:
    """Whether the rewriter is what the result says: oracle or not, and what it had seen of the gallery."""
    rewriter = bench.rewriter(result)
    if result.rewriter.oracle != rewriter.oracle:
        found.differs("rewriter.oracle", result.rewriter.oracle, rewriter.oracle, "the rewriter's card says")
    images = overlap(task, rewriter)
    due = None
    if images and rewriter.seen is not None:
        sources = [str(source) for source in rewriter.seen.sources]
        due = Seen(images=len(images), gallery=len(task.gallery), sources=sources)
    if result.seen != due:
        said, known = (None if one is None else one.model_dump() for one in (result.seen, due))
        found.differs("seen", said, known, "what it was trained on and the gallery give")
