"""Rewriters over all tasks: means of figures, each task counting the same."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from grapebench.cards import TaskCard
from grapebench.leaderboard.board import Overall, Row, Spent, Table, Total

FIGURE = "R@10"


def overall(tables: Iterable[Table], cards: Mapping[str, TaskCard]) -> list[Overall]:
    """One for each suite, version of the rules and retriever with two tasks or more, in the order of the tables.

    A task takes part in its card's revision, by the card's own protocol and split, with all queries; where there are
    several such tables (of parts of the data), that of the most queries counts, and of these that of the most rows.
    Rows of different tasks belong together by their label.
    """
    groups: dict[tuple[object, ...], dict[str, list[Table]]] = defaultdict(lambda: defaultdict(list))
    for table in tables:
        one = table.first
        if one.task in cards and _by_the_card(table, cards[one.task]):
            retriever = (one.retriever.name, one.retriever.fingerprint)
            groups[one.suite, one.benchmark, *retriever][one.task].append(table)
    chosen = ([max(found, key=_size) for found in by_task.values()] for by_task in groups.values())
    return [_over(tables) for tables in chosen if len(tables) > 1]


def _by_the_card(table: Table, card: TaskCard) -> bool:
    one = table.first
    suite = card.mini if one.suite == "mini" else card.full
    return (
        card.overall
        and suite is not None
        and (one.protocol, one.split, one.revision) == (card.protocol, suite.default_split, card.revision)
        and one.limit is None
        and table.main == FIGURE
    )


def _size(table: Table) -> tuple[int, int]:
    return table.first.queries, len(table.rows)


def _over(tables: Sequence[Table]) -> Overall:
    ranked = _totals(tables, [table.ranked for table in tables])
    return Overall(
        tuple(tables),
        ranked=tuple(sorted((one for one in ranked if not one.missing), key=_place)),
        partial=tuple(sorted((one for one in ranked if one.missing), key=lambda one: one.label)),
        oracles=tuple(sorted(_totals(tables, [table.oracles for table in tables]), key=_place)),
    )


def _place(total: Total) -> tuple[int, float, str]:
    return len(total.missing), -total.figure, total.label


def _totals(tables: Sequence[Table], groups: Sequence[Sequence[Row]]) -> list[Total]:
    by_label: dict[str, dict[str, Row]] = defaultdict(dict)
    for table, rows in zip(tables, groups, strict=True):
        for row in rows:
            by_label[row.label][table.first.task] = row
    return [_total(label, rows, tables) for label, rows in by_label.items()]


def _total(label: str, rows: Mapping[str, Row], tables: Sequence[Table]) -> Total:
    deltas = [row.delta.value for row in rows.values() if row.delta]
    fair = [gain for table in tables if (row := rows.get(table.first.task)) and (gain := _gain(table, row)) is not None]
    ranks = [row.rank for row in rows.values() if row.rank is not None]
    return Total(
        label,
        rows,
        missing=tuple(table.first.task for table in tables if table.first.task not in rows),
        figure=statistics.fmean(row.figures[FIGURE].value for row in rows.values()),
        delta=statistics.fmean(deltas) if len(deltas) == len(rows) else None,
        fair=statistics.fmean(fair) if len(fair) == len(rows) else None,
        rank=statistics.fmean(ranks) if len(ranks) == len(rows) else None,
        spent=_mean([row.spent for row in rows.values()]),
    )


def _gain(table: Table, row: Row) -> float | None:
    """Over the task's best row without a language model, which itself is 0 ahead of it."""
    found = table.fairly(row)
    if found is None:
        return 0.0 if row.label == table.fair else None
    return found.delta.value


def _mean(spent: Sequence[Spent]) -> Spent:
    times = [one.ms for one in spent if one.ms is not None]
    return Spent(
        statistics.fmean(one.read for one in spent),
        statistics.fmean(one.written for one in spent),
        statistics.fmean(times) if times else None,
        statistics.fmean(one.money for one in spent),
    )
