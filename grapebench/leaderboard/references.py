"""How far each row of a board is from the rows that others are measured by, from the ranks beside the results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation.compare import Asked, read_queries
from grapebench.evaluation.intervals import intervals
from grapebench.leaderboard.board import Figure, Row, Table, over_seeds
from grapebench.leaderboard.results import PER_QUERY_FILE, Result


def compared(
    tables: Sequence[Table], folders: Mapping[str, Path], references: Collection[str]
) -> tuple[list[Table], list[UserError]]:
    """The tables with `Row.against` and `Table.references` filled in, and what is wrong with ranks that are there.

    `folders` by result id is where the ranks lie, `references` are names of rewriters. Only a ranked row is a
    reference. The difference is of the main figure, paired by query, to the mean over the reference's seeds; its
    interval comes from a bootstrap over images, whose draws all rows of a table share. A row of which a result came
    without ranks has none.
    """
    problems: list[UserError] = []
    return [_compared(table, folders, references, problems) for table in tables], problems


def _compared(table: Table, folders: Mapping[str, Path], names: Collection[str], problems: list[UserError]) -> Table:
    chosen = [row for row in table.ranked if row.results[0].rewriter.name in names]
    if not chosen:
        return table
    asked = {result.id: _read(result, folders[result.id], problems) for row in table.rows for result in row.results}
    found = [(reference.label, _differences(table, reference, asked, folders, problems)) for reference in chosen]
    columns = [(label, column) for label, column in found if any(column)]
    rows = [replace(row, against=tuple(column[place] for _, column in columns)) for place, row in enumerate(table.rows)]
    seen, oracles = len(table.ranked), len(table.ranked) + len(table.seen)
    return replace(
        table,
        ranked=tuple(rows[:seen]),
        seen=tuple(rows[seen:oracles]),
        oracles=tuple(rows[oracles:]),
        references=tuple(label for label, _ in columns),
    )


def _read(result: Result, folder: Path, problems: list[UserError]) -> Asked | None:
    """None for a result that came without ranks, or with some that cannot be read."""
    if not (folder / PER_QUERY_FILE).is_file():
        return None
    try:
        return read_queries(folder, result)
    except UserError as error:
        problems.append(error)
        return None


def _differences(
    table: Table,
    reference: Row,
    asked: Mapping[str, Asked | None],
    folders: Mapping[str, Path],
    problems: list[UserError],
) -> list[Figure | None]:
    """Of each row of the table; empty where the reference came without ranks."""
    first = asked[reference.results[0].id]
    if first is None:
        return []
    values: dict[str, np.ndarray] = {}
    for row in table.rows:
        for result in row.results:
            one = asked[result.id]
            if one is not None and one.ids == first.ids:
                values[result.id] = one.sheet.values[table.main]
            elif one is not None:
                what = f"its queries are not those of {reference.label}"
                problems.append(UserError(what, file=folders[result.id] / PER_QUERY_FILE))
    if any(result.id not in values for result in reference.results):
        return []
    base = np.mean([values[result.id] for result in reference.results], axis=0)
    # Where the headline is a mean over all queries, parts of the data play no role in it.
    parts = first.sheet.parts[0] if first.sheet.macro else None
    bounds = intervals({name: one - base for name, one in values.items()}, first.sheet.clusters, groups=parts)

    def difference(row: Row) -> Figure | None:
        if row is reference or any(result.id not in values for result in row.results):
            return None
        changes = [result.metrics[table.main] - reference.figures[table.main].value for result in row.results]
        lows, highs = zip(*(bounds[result.id] for result in row.results), strict=True)
        return over_seeds(changes, lows, highs)

    return [difference(row) for row in table.rows]
