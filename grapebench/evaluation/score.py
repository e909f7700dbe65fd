"""Scoring a run that somebody else made: places from a TREC file, by the same counting as for our own runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import metrics
from grapebench.evaluation.figures import Places, figures, query_sheet
from grapebench.evaluation.protocols import graded_images, protocol_named, require_categories
from grapebench.evaluation.search import categories, grade_ranks
from grapebench.evaluation.trec import Run
from grapebench.names import Spellings, read_back
from grapebench.records import Task

_UNKNOWN, _UNASKED = -1, -2


@dataclass(frozen=True)
class Score:
    """What a run file is worth on a task."""

    suite: str
    task: str
    protocol: str
    split: str
    queries: int
    gallery: int
    metrics: dict[str, float]
    """Fractions, by the protocol."""
    left_out: tuple[str, ...]
    """Figures of the protocol that a text-to-image run says nothing of: those of the way back."""
    queries_without_lines: int
    """Queries the run does not answer; each counts as a miss."""
    queries_without_positive: int
    """Queries the run answers without naming any right image; each counts as a miss."""
    queries_tied: int
    """Queries whose best right image shares its score with another candidate, which counts as ranked above it."""
    excluded_lines: int
    """Lines that named an excluded image (CIRR: the reference) and were left out."""
    unasked_lines: int
    """Lines of queries that the files hold and that are not asked (the protocol's doing, or their language's), left out
    too."""


@dataclass(frozen=True)
class RunPlaces:
    """Places read from a run, arrays of shape `(queries,)` in the task's order of queries."""

    places: Places
    answered: np.ndarray
    """Whether the run has a line for the query."""
    found: np.ndarray
    """Whether the run names a right image of the query."""
    tied: np.ndarray
    excluded_lines: int
    unasked_lines: int


def score_run(task: Task, run: Run) -> Score:
    """The protocol's figures for a run.

    UserError where the split has no labels, or the run names a query or an image that the task does not have.
    """
    protocol = protocol_named(task.protocol)
    read = places_from_run(task, run)
    sheet = query_sheet(protocol, task.queries, read.places, task.dataset.groups)
    return Score(
        suite=task.suite,
        task=task.name,
        protocol=protocol.name,
        split=task.split,
        queries=len(task.queries),
        gallery=len(task.gallery),
        metrics=figures(protocol, [sheet], read.places),
        left_out=protocol.image_keys,
        queries_without_lines=int(np.count_nonzero(~read.answered)),
        queries_without_positive=int(np.count_nonzero(read.answered & ~read.found)),
        queries_tied=int(np.count_nonzero(read.tied)),
        excluded_lines=read.excluded_lines,
        unasked_lines=read.unasked_lines,
    )


def places_from_run(task: Task, run: Run) -> RunPlaces:
    """Where each query's right images stand in a run that may be cut off.

    A right image that the run leaves out is never found, as in trec_eval: without any other the query is a miss, whose
    rank is the number of candidates + 1 and beyond every cut-off. Among look-alikes and for grades it is the same.
    """
    protocol, queries = protocol_named(task.protocol), task.queries
    _refuse_unlabelled(task)
    require_categories(protocol, task)
    lines = _lines(task, run)
    right = positive = lines.pairs_of(query.positives for query in queries)
    subset_rank = grades = grade_rank = grade_subset_rank = precision = None
    subset, has_subsets = lines.pairs_of(query.subset for query in queries), any(query.subset for query in queries)
    if has_subsets:
        subset_rank = lines.subset_ranks(positive, subset, protocol.miss)
    if protocol.relevance == "graded":
        right = lines.pairs_of(map(tuple, map(graded_images, queries)))

        def in_gallery(rows: np.ndarray, images: list[tuple[str, ...]]) -> np.ndarray:
            found: np.ndarray = lines.ranks(lines.rows_of(lines.pairs_of(images, rows)))[0][rows]
            return found

        def in_subset(rows: np.ndarray, images: list[tuple[str, ...]]) -> np.ndarray:
            found: np.ndarray = lines.subset_ranks(lines.pairs_of(images, rows), subset, np.inf)[rows]
            return found

        grades, grade_rank = grade_ranks(queries, in_gallery)
        if has_subsets:
            _, grade_subset_rank = grade_ranks(queries, in_subset)
    right_rows = lines.rows_of(right)
    if protocol.relevance == "category":
        right_rows, total = lines.of_category()
        precision = lines.precisions(right_rows, total)
    rank, equal = lines.ranks(right_rows)
    found = np.isfinite(rank)
    rank = np.where(found, rank, np.maximum(lines.candidates + 1, protocol.miss)).astype(np.int64)
    places = Places(rank, subset_rank, grades, grade_rank, grade_subset_rank, precision, lines.candidates)
    excluded = int(np.count_nonzero(~lines.kept))
    return RunPlaces(places, lines.answered, found, equal > 0, excluded, len(run.query) - len(lines.query))


@dataclass(frozen=True)
class _Lines:
    """The rows of a run in the task's own numbers, arrays of shape `(rows,)`."""

    task: Task
    query: np.ndarray
    image: np.ndarray
    score: np.ndarray
    kept: np.ndarray
    """Whether the image is none that the query excludes."""
    excluded: np.ndarray
    """Pairs of a query and an image that it excludes, sorted; a pair is `query * gallery + image`."""

    def per_query(self, queries: np.ndarray) -> np.ndarray:
        """How often each query occurs, `(queries,)`."""
        return np.bincount(queries, minlength=len(self.task.queries))

    @property
    def answered(self) -> np.ndarray:
        """Whether there is a row for each query, `(queries,)`."""
        return self.per_query(self.query) > 0

    @property
    def candidates(self) -> np.ndarray:
        """How many images each query ranks, `(queries,)`."""
        found: np.ndarray = len(self.task.gallery) - self.per_query(self.excluded // len(self.task.gallery))
        return found

    def pairs_of(self, images: Iterable[tuple[str, ...]], queries: Iterable[int] | None = None) -> np.ndarray:
        """Sorted pairs, without the excluded; one tuple of images for each of `queries`, by default all of them."""
        return np.setdiff1d(_pairs(self.task, images, queries), self.excluded)

    def rows_of(self, pairs: np.ndarray) -> np.ndarray:
        """Which of the rows are among the sorted pairs."""
        return _contained(self.query * len(self.task.gallery) + self.image, pairs)

    def ranks(self, right: np.ndarray, among: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The rank of each query's best right row, infinite where it has none, and its ties; `(queries,)` each.

        `right` says which rows are right, `among` which rows count at all, by default those that are kept.
        """
        among = self.kept if among is None else among
        good, rival = among & right, among & ~right
        best = np.full(len(self.task.queries), -np.inf)
        np.maximum.at(best, self.query[good], self.score[good])
        rivals, scores = self.query[rival], self.score[rival]
        above = self.per_query(rivals[scores > best[rivals]])
        equal = self.per_query(rivals[scores == best[rivals]])
        return np.where(best > -np.inf, 1.0 + above + equal, np.inf), equal

    def subset_ranks(self, positive: np.ndarray, subset: np.ndarray, miss: float) -> np.ndarray:
        """The same among the look-alikes; both arguments are sorted pairs."""
        size = len(self.task.gallery)
        members = self.per_query(subset // size)
        rank, _ = self.ranks(self.rows_of(positive), self.rows_of(subset))
        found: np.ndarray = np.where(np.isfinite(rank), rank, np.maximum(members + 1, miss))
        return found

    def of_category(self) -> tuple[np.ndarray, np.ndarray]:
        """Which rows are of their query's category, and how many images of it each query could find, `(queries,)`."""
        size = len(self.task.gallery)
        images, queries = categories(self.task.gallery, self.task.queries)
        total = np.bincount(images, minlength=int(queries.max()) + 1)[queries]
        query, image = self.excluded // size, self.excluded % size
        return images[self.image] == queries[self.query], total - self.per_query(query[images[image] == queries[query]])

    def precisions(self, right: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Average precision of each query's rows, `(queries,)`, where it could find `total` right images."""
        order = np.argsort(self.query, kind="stable")
        ends = np.searchsorted(self.query[order], np.arange(1, len(total)))
        found = np.zeros(len(total))
        for place, rows in enumerate(np.split(order, ends)):
            rows = rows[self.kept[rows]]
            good, others = self.score[rows[right[rows]]], self.score[rows[~right[rows]]]
            found[place] = metrics.average_precision(good, others, int(total[place]))
        return found


def _lines(task: Task, run: Run) -> _Lines:
    """UserError, with its line, for a query or an image that the task does not have."""
    places = {query.id: place for place, query in enumerate(task.queries)}
    places |= dict.fromkeys(task.dataset.unasked, _UNASKED)
    query = _translate(run, run.query, run.queries, places, f"query of {task.name}")
    image = _translate(run, run.image, run.images, task.gallery.index, f"image of the {task.name} gallery")
    asked = query != _UNASKED
    query, image, score = query[asked], image[asked], run.score[asked]
    excluded = _pairs(task, (one.excluded for one in task.queries))
    kept = ~_contained(query * len(task.gallery) + image, excluded)
    return _Lines(task, query, image, score, kept, excluded)


def _pairs(task: Task, images: Iterable[tuple[str, ...]], queries: Iterable[int] | None = None) -> np.ndarray:
    index, size = task.gallery.index, len(task.gallery)
    numbers = itertools.count() if queries is None else queries
    found = {query * size + index[name] for query, names in zip(numbers, images, strict=False) for name in names}
    return np.array(sorted(found), dtype=np.int64)


def _refuse_unlabelled(task: Task) -> None:
    queries = task.queries
    unlabelled = sum(not query.positives for query in queries)
    if unlabelled:
        how_many = "" if unlabelled == len(queries) else f" for {unlabelled:,} of its queries"
        what = f"{task.name} {task.split} has no public labels{how_many}: a run cannot be scored against it"
        raise UserError(what, file=task.dataset.files[0] if task.dataset.files else task.root)


def _translate(run: Run, places: np.ndarray, names: tuple[str, ...], index: dict[str, int], noun: str) -> np.ndarray:
    """Places in the run's own list of names to places in the task, `(rows,)` int64."""
    spelled = Spellings(index)
    table = np.array([_place(name, index, spelled) for name in names], dtype=np.int64)
    found: np.ndarray = table[places]
    if (table == _UNKNOWN).any():
        row = int(np.argmax(found == _UNKNOWN))
        strangers = int(np.count_nonzero(table == _UNKNOWN))
        more = f", nor are {strangers - 1:,} others" if strangers > 1 else ""
        what = f"{names[places[row]]!r} is no {noun}{more}"
        raise UserError(what, file=run.path, line=row + 1, fix="is the run of another task, split or protocol?")
    known, counts = np.unique(table[table >= 0], return_counts=True)
    for place in known[counts > 1]:
        one, other, *_ = [name for name, where in zip(names, table, strict=True) if where == place]
        what = f"{one!r} and {other!r} are both the {noun} {next(key for key in index if index[key] == place)!r}"
        raise UserError(what, file=run.path)
    return found


def _place(name: str, index: dict[str, int], spelled: Spellings) -> int:
    """By the id that `names.written` wrote so, or by the name itself, in whichever Unicode form."""
    ways = (spelled(way) for way in (read_back(name), name))
    return next((index[way] for way in ways if way in index), _UNKNOWN)


def _contained(pairs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Which of `pairs` are in the sorted `wanted`; far fewer than the rows of a run, so by bisection."""
    if not len(wanted):
        return np.zeros(len(pairs), dtype=bool)
    places = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
    found: np.ndarray = wanted[places] == pairs
    return found
