"""What a result's search found: its run file, wherever that is at hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from grapebench import files
from grapebench.errors import UserError
from grapebench.evaluation.trec import Run
from grapebench.leaderboard import artifacts
from grapebench.leaderboard.board import comparable
from grapebench.leaderboard.results import REWRITES_FILE, RUN_FILE
from grapebench.leaderboard.store import Stored, folder_of
from grapebench.names import read_back

Found = tuple[tuple[str, float], ...]
"""Images and their scores, best first."""


def locate(stored: Stored, store: Path) -> Path | None:
    """The run file beside a result, or that of the same result in the user's `store`; None where neither is.

    A run counts only where its hash is the one that the result names.
    """
    one = stored.result
    own = folder_of(store, one.suite, one.task, one.retriever.name, one.rewriter.name, one.id)
    for path in (stored.folder / RUN_FILE, own / RUN_FILE):
        if path.is_file() and files.sha256_file(path) == one.files.get(RUN_FILE):
            return path
    return None


def best(run: Run, depth: int) -> dict[str, Found]:
    """The best images of each query."""
    # Stable, so that equal scores keep the order of the file, which is that of the gallery.
    order = np.lexsort((-run.score, run.query))
    queries = run.query[order]
    starts = np.searchsorted(queries, np.arange(len(run.queries)))
    ends = np.minimum(np.searchsorted(queries, np.arange(len(run.queries)), side="right"), starts + depth)
    images, scores = run.image[order], run.score[order]
    return {
        read_back(query): tuple(
            (read_back(run.images[image]), score)
            for image, score in zip(images[start:end].tolist(), scores[start:end].tolist(), strict=True)
        )
        for query, start, end in zip(run.queries, starts.tolist(), ends.tolist(), strict=True)
    }


def locate_raw(stored: Stored, query: str, known: Iterable[Stored], store: Path) -> Path | None:
    """The run of a result that searched this query as it came: this one, or a `known` one that is comparable with it.

    None where there is none. Broken ones are passed over.
    """
    wanted = comparable(stored.result)
    for one in (stored, *known):
        with contextlib.suppress(UserError):
            if comparable(one.result) == wanted and _as_it_came(one.folder, query) and (path := locate(one, store)):
                return path
    return None


def _as_it_came(folder: Path, query: str) -> bool:
    path = folder / REWRITES_FILE
    if not path.is_file():
        return False
    return any(line.get("query_id") == query and "rewrite" not in line for line in artifacts.read_lines(path))
