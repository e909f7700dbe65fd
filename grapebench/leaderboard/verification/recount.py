"""Ranks counted once more from the run files and the labels, by plain counting over lists.

Nothing here calls the code that made the ranks. A run file holds the best of each query alone: what it does not tell is
bounded by what it tells, and the stored number has to lie within.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from grapebench.evaluation.protocols import Protocol, graded_images, protocol_named
from grapebench.evaluation.search import RUN_DEPTH, TEXTS
from grapebench.leaderboard import results
from grapebench.leaderboard.bench import NotAtHand
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification import lists
from grapebench.leaderboard.verification.findings import Findings, some
from grapebench.leaderboard.verification.lists import Ranked
from grapebench.leaderboard.verification.tables import Tables
from grapebench.records import Query, Task

_ROUNDING = 1e-12
"""Of average precision, which is summed here in another order."""


class Bounds(NamedTuple):
    """What a list tells of a rank or of an average precision: it is one of `low` … `high`."""

    low: float
    high: float


def rank_bounds(listed: Ranked, right: Collection[str], candidates: int, miss: float) -> Bounds:
    """The pessimistic rank of the best right name among `candidates`, of which the best are listed.

    `right` are candidates too; without any it is a miss, which ranks last plus one and no better than `miss`.
    """
    if not right:
        last = max(candidates + 1, miss)
        return Bounds(last, last)
    most = 1 + candidates - len(right)
    good = [score for name, score in zip(listed.names, listed.scores, strict=True) if name in right]
    if not good:
        return Bounds(len(listed.names) + 1, most)
    least = 1 + sum(
        score >= good[0] for name, score in zip(listed.names, listed.scores, strict=True) if name not in right
    )
    # What is not listed scores no more than the last of the list, so it may tie with that.
    settled = len(listed.names) == candidates or good[0] > listed.scores[-1]
    return Bounds(least, least if settled else most)


def precision_bounds(listed: Ranked, right: Collection[str], candidates: int) -> Bounds:
    """Average precision over the whole ranking; of equal scores the right ones come last."""
    if not right:
        return Bounds(0.0, 0.0)
    whole = len(listed.names) == candidates
    pairs = [pair for pair in zip(listed.names, listed.scores, strict=True) if whole or pair[1] > listed.scores[-1]]
    good = [score for name, score in pairs if name in right]
    others = [score for name, score in pairs if name not in right]
    found = [hits / (hits + sum(score >= own for score in others)) for hits, own in enumerate(good, 1)]
    # At best all that are still to come stand right behind.
    rest = [hits / (len(pairs) + hits - len(good)) for hits in range(len(good) + 1, len(right) + 1)]
    return Bounds(math.fsum(found) / len(right), math.fsum([*found, *rest]) / len(right))


@dataclass
class _Notes:
    """What is wrong, with the rows of which it is: said once for all of them."""

    rows: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def within(self, column: str, row: object, stored: float | None, bounds: Bounds | None, slack: float = 0.0) -> None:
        """A stored number, null where there is none, against what the list tells."""
        if stored is None or bounds is None:
            if stored is not None or bounds is not None:
                self.rows[f"{column} is null where there is a right answer, or the other way round"].append(row)
        elif not bounds.low - slack <= stored <= bounds.high + slack:
            self.rows[f"{column} is not what the run file tells"].append(row)

    def tell(self, found: Findings, file: str) -> None:
        for what, rows in self.rows.items():
            found.wrong(file, f"{what}: {some(rows)}")


def check(
    found: Findings, result: Result, task: Task, queries: Sequence[Query], read: Tables | None, folder: Path
) -> None:
    """Recount what the run files in `folder` tell; `read` is None where there are no ranks to compare with.

    Raises NotAtHand where there are no run files.
    """
    if not (folder / results.RUN_FILE).is_file():
        raise NotAtHand("ranks against the run file: it was not published")
    protocol = protocol_named(result.protocol)
    scores: dict[str, dict[str, float]] = {}
    with found.told():
        _images(found, protocol, task, queries, read, folder / results.RUN_FILE, scores)
    if any(query.subset for query in queries):
        with found.told():
            _subsets(found, protocol, queries, read, folder / results.SUBSET_RUN_FILE, scores)
    if protocol.image_to_text:
        with found.told():
            _texts(found, protocol, task, queries, read, folder / results.I2T_RUN_FILE)


def _asked(found: Findings, path: Path, names: Sequence[str], noun: str) -> Iterator[tuple[int, Ranked]]:
    """The list of each of `names`, which are to stand there in this order; ends with what is wrong."""
    ranked = lists.read(path)
    for place, name in enumerate(names):
        listed = next(ranked, None)
        if listed is None or listed.query != name:
            what = "ends" if listed is None else f"has {noun} {listed.query!r}"
            found.wrong(path.name, f"{what} where {noun} {name!r} comes next")
            return
        yield place, listed
    if (more := next(ranked, None)) is not None:
        found.wrong(path.name, f"has {noun} {more.query!r}, which is not asked")


def _images(
    found: Findings,
    protocol: Protocol,
    task: Task,
    queries: Sequence[Query],
    read: Tables | None,
    path: Path,
    scores: dict[str, dict[str, float]],
) -> None:
    lines, ranks = _Notes(), _Notes()
    table = {} if read is None else read.queries
    gallery = task.gallery
    of_category: Mapping[str, set[str]] = defaultdict(set)
    for image, category in zip(gallery.ids, gallery.categories, strict=False):
        of_category[category].add(image)
    for place, listed in _asked(found, path, [query.id for query in queries], "query"):
        query, excluded = queries[place], set(queries[place].excluded)
        candidates = len(gallery) - len(excluded)
        _names(lines, listed, gallery.index, excluded, min(RUN_DEPTH, candidates))
        if query.subset:
            scores[query.id] = dict(zip(listed.names, listed.scores, strict=True))
        if not table:
            continue
        if table["candidates"][place] != candidates:
            ranks.rows["candidates is not the gallery without the excluded images"].append(query.id)
        right = set(query.positives) - excluded
        ranks.within("rank", query.id, table["rank"][place], rank_bounds(listed, right, candidates, protocol.miss))
        good = [score for name, score in zip(listed.names, listed.scores, strict=True) if name in right]
        if good and table["above"][place] != sum(score > good[0] for score in listed.scores):
            ranks.rows["above is not what the run file tells"].append(query.id)
        _graded(ranks, table, place, query, listed, "", candidates)
        if protocol.relevance == "category":
            bounds = precision_bounds(listed, of_category[query.category] - excluded, candidates)
            stored = table["average_precision"][place]
            ranks.within("average_precision", query.id, stored, bounds, _ROUNDING)
    lines.tell(found, path.name)
    ranks.tell(found, results.PER_QUERY_FILE)


def _names(notes: _Notes, listed: Ranked, known: Collection[str], excluded: Collection[str], depth: int) -> None:
    if len(listed.names) != depth:
        notes.rows["lists another number than it should"].append(listed.query)
    if any(name not in known for name in listed.names):
        notes.rows["names what is not searched"].append(listed.query)
    if any(name in excluded for name in listed.names):
        notes.rows["names an excluded image"].append(listed.query)


def _graded(
    notes: _Notes,
    table: Mapping[str, Sequence[Any]],
    place: int,
    query: Query,
    listed: Ranked,
    way: str,
    candidates: int,
    among: Collection[str] | None = None,
) -> None:
    start = f"{way}rank_grade_"
    for column in (name for name in table if name.startswith(start) and not name.endswith("_before")):
        least = float(column.removeprefix(start))
        right = {image for image, grade in graded_images(query).items() if grade >= least}
        # Of each grade only queries that have it are asked, of all that are at least as right.
        asked = least in graded_images(query).values()
        right = right if among is None else right & set(among)
        bounds = rank_bounds(listed, right, candidates, math.inf) if asked and right else None
        notes.within(column, query.id, table[column][place], bounds)


def _subsets(
    found: Findings,
    protocol: Protocol,
    queries: Sequence[Query],
    read: Tables | None,
    path: Path,
    scores: Mapping[str, Mapping[str, float]],
) -> None:
    lines, ranks = _Notes(), _Notes()
    table = {} if read is None else read.queries
    places = [place for place, query in enumerate(queries) if set(query.subset) - set(query.excluded)]
    for position, listed in _asked(found, path, [queries[place].id for place in places], "query"):
        place = places[position]
        query = queries[place]
        members = set(query.subset) - set(query.excluded)
        if set(listed.names) != members:
            lines.rows["does not list the look-alikes"].append(query.id)
        known = scores.get(query.id, {})
        if any(known.get(name, score) != score for name, score in zip(listed.names, listed.scores, strict=True)):
            lines.rows[f"gives an image another score than {results.RUN_FILE}"].append(query.id)
        if "subset_rank" in table:
            bounds = rank_bounds(listed, set(query.positives) & members, len(members), protocol.miss)
            ranks.within("subset_rank", query.id, table["subset_rank"][place], bounds)
        _graded(ranks, table, place, query, listed, "subset_", len(members), members)
    lines.tell(found, path.name)
    ranks.tell(found, results.PER_QUERY_FILE)
    if table and protocol.relevance != "graded" and "subset_rank" not in table:
        found.wrong(results.PER_QUERY_FILE, "the column 'subset_rank' is missing")


def _texts(
    found: Findings,
    protocol: Protocol,
    task: Task,
    queries: Sequence[Query],
    read: Tables | None,
    path: Path,
) -> None:
    lines, ranks = _Notes(), _Notes()
    by_category, apart = protocol.relevance == "category", protocol.by == "language"
    language = {query.id: query.language if apart else "" for query in queries}
    sizes = Counter(language.values())
    right = _own_texts(task, queries, language, by_category)
    table = None if read is None else read.images
    rows: dict[tuple[str, str], int] = {}
    if table is not None:
        languages = table.get("language", [""] * len(table["image_id"]))
        rows = {key: row for row, key in enumerate(zip(languages, table["image_id"], strict=True))}
        due = [(tag, image) for tag in sorted(sizes) for image in task.gallery.ids if (tag, image) in right]
        if list(rows) != due:
            found.wrong(results.PER_IMAGE_FILE, "the rows are not the images that have texts, in the gallery's order")
            return
    for _, listed in _asked(found, path, task.gallery.ids, "image"):
        _names(lines, listed, language, (), sum(min(TEXTS, size) for size in sizes.values()))
        parts: dict[str, list[tuple[str, float]]] = {tag: [] for tag in sizes}
        for name, score in zip(listed.names, listed.scores, strict=True):
            if name in language:
                parts[language[name]].append((name, score))
        for tag, pairs in parts.items():
            row, own = rows.get((tag, listed.query)), right.get((tag, listed.query), set())
            if row is None or table is None or not pairs:
                continue
            part = Ranked(listed.query, [name for name, _ in pairs], [score for _, score in pairs])
            if by_category:
                bounds = precision_bounds(part, own, sizes[tag])
                ranks.within("average_precision", listed.query, table["average_precision"][row], bounds, _ROUNDING)
            else:
                bounds = rank_bounds(part, own, sizes[tag], math.inf)
                ranks.within("rank", listed.query, table["rank"][row], bounds)
    lines.tell(found, path.name)
    ranks.tell(found, results.PER_IMAGE_FILE)


def _own_texts(
    task: Task, queries: Sequence[Query], language: Mapping[str, str], by_category: bool
) -> dict[tuple[str, str], set[str]]:
    """The right texts of each image by language and image, of those that have any."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    if by_category:
        of_category: dict[str, set[str]] = defaultdict(set)
        for query in queries:
            of_category[query.category].add(query.id)
        for image, category in zip(task.gallery.ids, task.gallery.categories, strict=True):
            if category in of_category:
                found["", image] = of_category[category]
        return found
    for query in queries:
        for image in query.positives:
            found[language[query.id], image].add(query.id)
    return found
