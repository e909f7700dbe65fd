"""How the rows of a board stand to each other and to what they are measured by, from the ranks beside the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from grapebench import files
from grapebench.errors import UserError
from grapebench.evaluation import significance
from grapebench.evaluation.compare import goodness, outcomes, read_places
from grapebench.evaluation.figures import part_weights, query_values
from grapebench.evaluation.intervals import intervals
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import artifacts, references
from grapebench.leaderboard.board import Figure, Row, Table, Versus, main_figure, over_seeds
from grapebench.leaderboard.results import PER_QUERY_FILE, Result

_ASKED = ("query_id", "cluster", "language")
"""The columns that say what was asked."""
_BLOCK_VALUES = 2_000_000


@dataclass(frozen=True)
class _Side:
    """What one way to ask came to, `(queries,)` each."""

    value: np.ndarray
    """What the main figure is a mean of."""
    goodness: np.ndarray
    """Minus the rank, or the average precision where a whole category is right."""


@dataclass(frozen=True)
class _Ranks:
    """What is read of one result."""

    asked: Any
    """A `pyarrow.Table` of what was asked."""
    after: _Side
    before: _Side
    """By searching the raw query text."""


@dataclass(frozen=True)
class _Queries:
    """What was asked, the same by all results of a table."""

    clusters: np.ndarray
    """`(queries,)`: the number of each query's cluster."""
    languages: list[str] | None
    """Of each query, where the headline is the mean over languages; else None."""

    def sums(self, sides: Sequence[_Side]) -> np.ndarray:
        """`(clusters, sides)`: each cluster's part of the headline."""
        weights = 1.0 if self.languages is None else part_weights(self.languages)
        return np.stack([np.bincount(self.clusters, weights=side.value * weights) for side in sides], axis=1)


def stand(
    tables: Sequence[Table], folders: Mapping[str, Path], names: Collection[str]
) -> tuple[list[Table], list[UserError]]:
    """The tables with `rank`, `raw` and `against` of their rows filled in, and what is wrong with ranks that are there.

    `folders` by result id is where the ranks lie. The others are compared with the best ranked row without a language
    model, and with the ranked rows of the rewriters that bear one of the `names`. Everything is of the main figure and
    paired by query; a row of several seeds counts by their mean.
    Intervals come from a bootstrap over clusters, whose draws all rows of a table share. A row of which a result came
    without ranks stays as it is.
    """
    problems: list[UserError] = []
    return [_standing(table, folders, names, problems) for table in tables], problems


def _standing(table: Table, folders: Mapping[str, Path], names: Collection[str], problems: list[UserError]) -> Table:
    known = _read_all(table, folders, problems)
    rows = list(table.rows)
    places = [place for place, row in enumerate(rows) if all(result.id in known for result in row.results)]
    if not places:
        return table
    asked = next(iter(known.values())).asked
    codes = np.unique(np.array(asked["cluster"].to_pylist()), return_inverse=True)[1]
    macro = protocol_named(table.first.protocol).by == "language"
    queries = _Queries(codes, asked["language"].to_pylist() if macro else None)
    after = {place: _mean([known[result.id].after for result in rows[place].results]) for place in places}
    before = {place: _mean([known[result.id].before for result in rows[place].results]) for place in places}

    comparable = [place for place in places if place < len(table.ranked)]
    fair = references.without_language_model(rows[place] for place in comparable)
    chosen = [place for place in comparable if rows[place].results[0].rewriter.name in names or rows[place] is fair]
    chosen.sort(key=lambda place: rows[place] is not fair)
    columns = {rows[place].label: _against(rows, place, known, after, queries) for place in chosen}
    columns = {label: column for label, column in columns.items() if column}
    for place, found in _tested(after, before, queries).items():
        raw = rows[place].raw
        rows[place] = replace(rows[place], raw=raw and replace(found, delta=raw.delta))
    standings = significance.ranks(queries.sums([after[place] for place in comparable])) if comparable else []
    for place, rank in zip(comparable, standings, strict=True):
        rows[place] = replace(rows[place], rank=rank)
    rows = [replace(row, against=tuple(c.get(place) for c in columns.values())) for place, row in enumerate(rows)]
    seen, oracles = len(table.ranked), len(table.ranked) + len(table.seen)
    return replace(
        table,
        ranked=tuple(rows[:seen]),
        seen=tuple(rows[seen:oracles]),
        oracles=tuple(rows[oracles:]),
        references=tuple(columns),
        fair="" if fair is None else fair.label if fair.label in columns else None,
    )


def _read_all(table: Table, folders: Mapping[str, Path], problems: list[UserError]) -> dict[str, _Ranks]:
    """By result id, those of the same queries; where some asked others, those that most results asked."""
    found: dict[str, _Ranks] = {}
    kinds: list[Any] = []
    kind: dict[str, int] = {}
    for result in (result for row in table.rows for result in row.results):
        path = folders[result.id] / PER_QUERY_FILE
        if not path.is_file():
            continue
        try:
            one = _read(path, result)
        except UserError as error:
            problems.append(error)
            continue
        kind[result.id] = next((place for place, asked in enumerate(kinds) if asked.equals(one.asked)), len(kinds))
        if kind[result.id] == len(kinds):
            kinds.append(one.asked)
        # One table of all that are equal: names take more memory than ranks.
        found[result.id] = replace(one, asked=kinds[kind[result.id]])
    if len(kinds) > 1:
        most = Counter(kind.values()).most_common(1)[0][0]
        for name in [name for name in found if kind[name] != most]:
            del found[name]
            what = "its queries are not those of the other results of its table"
            problems.append(UserError(what, file=folders[name] / PER_QUERY_FILE))
    return found


def _read(path: Path, result: Result) -> _Ranks:
    if result.files.get(PER_QUERY_FILE, digest := files.sha256_file(path)) != digest:
        raise UserError("the file is not the one the result was written with", file=path)
    table = artifacts.read_arrow(
        path, lambda name: name in _ASKED or name.startswith(("rank", "average_precision", "candidates"))
    )
    try:
        columns = {name: artifacts.numbers(table[name]) for name in table.column_names if name not in _ASKED}
        sides = (_side(result, columns, suffix) for suffix in ("", "_before"))
        return _Ranks(table.select(_ASKED), *sides)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not the ranks of protocol {result.protocol}: {error}", file=path) from error


def _side(result: Result, columns: Mapping[str, np.ndarray], suffix: Any) -> _Side:
    protocol = protocol_named(result.protocol)
    places = read_places(columns, suffix)
    value = query_values(protocol, places)[main_figure(result.protocol)]
    return _Side(value, goodness(places))


def _mean(sides: Sequence[_Side]) -> _Side:
    return _Side(*(np.mean([getattr(side, name) for side in sides], axis=0) for name in ("value", "goodness")))


def _tested(ours: Mapping[int, _Side], theirs: Mapping[int, _Side], queries: _Queries) -> dict[int, Versus]:
    """By place, wins and losses and Holm's p of each against its own baseline; the deltas are still to be filled in."""
    sums = queries.sums([*ours.values(), *(theirs[place] for place in ours)])
    pairs = np.arange(2 * len(ours)).reshape(2, -1).T
    corrected = significance.holm(significance.pairs_p(sums, pairs).tolist())
    found = {}
    for (place, side), p in zip(ours.items(), corrected, strict=True):
        found[place] = Versus(Figure(0.0), p, *outcomes(side.goodness - theirs[place].goodness))
    return found


def _against(
    rows: Sequence[Row], reference: int, known: Mapping[str, _Ranks], sides: Mapping[int, _Side], queries: _Queries
) -> dict[int, Versus]:
    """By place, each other row against the mean over the seeds of one."""
    base = sides[reference]
    others = {place: side for place, side in sides.items() if place != reference}
    if not others:
        return {}
    bounds: dict[str, tuple[float, float]] = {}
    results = [result for place in others for result in rows[place].results]
    parts = 1 if queries.languages is None else len(set(queries.languages))
    block = max(1, _BLOCK_VALUES // (parts * (int(queries.clusters.max()) + 1)))
    for start in range(0, len(results), block):
        changes = {one.id: known[one.id].after.value - base.value for one in results[start : start + block]}
        bounds |= intervals(changes, queries.clusters, groups=queries.languages)
    main = main_figure(rows[reference].results[0].protocol)
    found = {}
    for place, versus in _tested(others, dict.fromkeys(others, base), queries).items():
        changed = [result.metrics[main] - rows[reference].figures[main].value for result in rows[place].results]
        lows, highs = zip(*(bounds[result.id] for result in rows[place].results), strict=True)
        found[place] = replace(versus, delta=over_seeds(changed, lows, highs))
    return found
