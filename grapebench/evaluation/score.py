"""Scoring a run that somebody else made: ranks from a TREC file, by the same counting as for our own runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation.protocols import metrics_from_ranks, protocol_named
from grapebench.evaluation.trec import Run
from grapebench.records import Task


@dataclass(frozen=True)
class Score:
    """What a run file is worth on a task."""

    suite: str
    task: str
    split: str
    queries: int
    gallery: int
    metrics: dict[str, float]
    """Fractions, by the task's protocol."""
    queries_without_lines: int
    """Queries the run does not answer; each counts as a miss."""
    queries_without_positive: int
    """Queries the run answers without naming any of their positives; each counts as a miss."""
    queries_tied: int
    """Queries whose best positive shares its score with another candidate, which counts as ranked above it."""
    excluded_lines: int
    """Lines that named an excluded image (CIRR: the reference) and were left out."""


@dataclass(frozen=True)
class RunRanks:
    """Ranks read from a run, arrays of shape `(queries,)` in the task's order of queries."""

    rank: np.ndarray
    """1 + candidates with a score above or equal to the best positive's; a miss lies beyond every cut-off."""
    subset_rank: np.ndarray | None
    """The same among each query's look-alikes; None where the task has none."""
    answered: np.ndarray
    """Whether the run has a line for the query."""
    found: np.ndarray
    """Whether the run names a positive of the query."""
    tied: np.ndarray
    excluded_lines: int


def score_run(task: Task, run: Run) -> Score:
    """The protocol's figures for a run.

    UserError where the split has no labels, or the run names a query or an image that the task does not have.
    """
    protocol = protocol_named(task.protocol)
    ranks = ranks_from_run(task, run, miss=max(protocol.ks) + 1)
    metrics = metrics_from_ranks(protocol, ranks.rank, ranks.subset_rank, [query.language for query in task.queries])
    return Score(
        task.suite,
        task.name,
        task.split,
        len(task.queries),
        len(task.gallery),
        metrics,
        int(np.count_nonzero(~ranks.answered)),
        int(np.count_nonzero(ranks.answered & ~ranks.found)),
        int(np.count_nonzero(ranks.tied)),
        ranks.excluded_lines,
    )


def ranks_from_run(task: Task, run: Run, miss: int) -> RunRanks:
    """Each query's rank in a run that may be cut off.

    Gallery images that the run leaves out stand behind those it names. A positive that is left out is a miss: its rank
    is the number of candidates + 1, and at least `miss`. Among look-alikes it comes last, behind the others left out;
    a query without lines is a miss there too.
    """
    queries = task.queries
    unlabelled = sum(not query.positives for query in queries)
    if unlabelled:
        how_many = "" if unlabelled == len(queries) else f" for {unlabelled:,} of its queries"
        what = f"{task.name} {task.split} has no public labels{how_many}: a run cannot be scored against it"
        raise UserError(what, file=task.dataset.files[0] if task.dataset.files else task.root)
    size = len(task.gallery)
    query = _translate(run, run.query, run.queries, {q.id: i for i, q in enumerate(queries)}, f"query of {task.name}")
    image = _translate(run, run.image, run.images, task.gallery.index, f"image of the {task.name} gallery")
    pairs = query * size + image

    def pairs_of(images_of_query: Iterable[tuple[str, ...]]) -> np.ndarray:
        index = task.gallery.index
        found = [place * size + index[name] for place, images in enumerate(images_of_query) for name in set(images)]
        return np.array(sorted(found), dtype=np.int64)

    excluded = pairs_of(q.excluded for q in queries)
    positive = np.setdiff1d(pairs_of(q.positives for q in queries), excluded)
    is_excluded, is_positive = _contained(pairs, excluded), _contained(pairs, positive)
    answered = np.bincount(query, minlength=len(queries)) > 0
    above, equal, found = _count(query, run.score, is_positive, ~is_excluded & ~is_positive, len(queries))
    candidates = size - np.bincount(excluded // size, minlength=len(queries))
    rank = np.where(found, 1 + above + equal, np.maximum(candidates + 1, miss))
    subset_rank = None
    if any(q.subset for q in queries):
        subset = np.setdiff1d(pairs_of(q.subset for q in queries), excluded)
        inside = _contained(pairs, subset)
        rivals = np.bincount(np.setdiff1d(subset, positive) // size, minlength=len(queries))
        has_target = np.bincount(np.intersect1d(subset, positive) // size, minlength=len(queries)) > 0
        sub_above, sub_equal, sub_found = _count(
            query, run.score, inside & is_positive, inside & ~is_positive, len(queries)
        )
        last = np.where(answered & has_target, rivals + 1, np.maximum(rivals + 1, miss))
        subset_rank = np.where(sub_found, 1 + sub_above + sub_equal, last)
    return RunRanks(rank, subset_rank, answered, found, equal > 0, int(np.count_nonzero(is_excluded)))


def _translate(run: Run, places: np.ndarray, names: tuple[str, ...], index: dict[str, int], noun: str) -> np.ndarray:
    """Places in the run's own list of names to places in the task, `(rows,)` int64."""
    table = np.array([index.get(name, -1) for name in names], dtype=np.int64)
    found: np.ndarray = table[places]
    if (table < 0).any():
        row = int(np.argmax(found < 0))
        strangers = int(np.count_nonzero(table < 0))
        more = f", nor are {strangers - 1:,} others" if strangers > 1 else ""
        what = f"{names[places[row]]!r} is no {noun}{more}"
        raise UserError(what, file=run.path, line=row + 1, fix="is the run of another task or split?")
    return found


def _contained(pairs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `pairs` are in the sorted `wanted`; far fewer than the rows of a run, so by bisection."""
    if not len(wanted):
        return np.zeros(len(pairs), dtype=bool)
    places = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
    found: np.ndarray = wanted[places] == pairs
    return found


def _count(
    query: np.ndarray, score: np.ndarray, positive: np.ndarray, rival: np.ndarray, queries: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rivals above and equal to each query's best positive, and whether the run names a positive; `(queries,)` each."""
    best = np.full(queries, -np.inf)
    np.maximum.at(best, query[positive], score[positive])
    found = best > -np.inf
    rivals, scores = query[rival], score[rival]
    above = np.bincount(rivals[scores > best[rivals]], minlength=queries)
    equal = np.bincount(rivals[scores == best[rivals]], minlength=queries)
    return above, equal, found
