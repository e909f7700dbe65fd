"""Searching again from a result's stored rewrites: everything after rewriting, without the rewriter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grapebench.evaluation.beside import result_fields, write_files
from grapebench.evaluation.measure import Encoded, Measured, Report, encode, search
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard.results import Result
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.retrieval.store import EmbeddingStore


@dataclass(frozen=True)
class Again:
    """What a search came to."""

    vectors: Encoded
    fields: dict[str, Any]
    """Of the result, as `beside.result_fields` gives them; captions that never came are not known."""


def search_again(
    folder: Path,
    result: Result,
    task: Task,
    queries: Sequence[Query],
    rewrites: Sequence[Rewrite],
    retriever: Retriever,
    embeddings: EmbeddingStore,
    report: Report = lambda *_: None,
) -> Again:
    """Encode and rank `rewrites`, one for each of `queries`, and write what a result has beside it into `folder`.

    rewrites.jsonl.gz there is a copy that says no more than the stored one. Raises UserError where the rewrites do not
    fit the gallery or the retriever.
    """
    protocol = protocol_named(result.protocol)
    vectors = encode(task, queries, rewrites, retriever, embeddings, result.labelled, report)
    sides, listings = search(task, queries, vectors)
    measured = Measured(list(rewrites), sides, listings, rewritten=0, rewrite_seconds=0.0, encode_seconds=0.0)
    write_files(folder, protocol, task.gallery, queries, measured)
    return Again(vectors, result_fields(protocol, queries, result.groups, measured))
