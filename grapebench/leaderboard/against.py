"""Some results against what all rows are measured by: the raw text, the best without a language model, and `llm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from grapebench.errors import UserError
from grapebench.leaderboard import board, references, standings, store
from grapebench.leaderboard.board import Row, Table
from grapebench.leaderboard.results import PER_QUERY_FILE, Result


def against_references(asked: Mapping[Path, Result], stores: Sequence[Path]) -> tuple[Table, list[UserError]]:
    """A table of the rows of `asked`, results by their folders, and of the rows that others are measured by; and what
    is broken in the stores, and left out.

    These are chosen, by the rules of the board, from `asked` and all results in the stores that are comparable with
    them and came with ranks; results of one rewriter that differ in their seed are one row.
    """
    key = board.comparable(next(iter(asked.values())))
    known = {result.id: (folder, result) for folder, result in asked.items()}
    found, broken = store.find(stores)
    for one in found:
        if board.comparable(one.result) == key and (one.folder / PER_QUERY_FILE).is_file():
            known.setdefault(one.result.id, (one.folder, one.result))
    (whole,) = board.tables(result for _, result in known.values())
    wanted = {result.id for result in asked.values()} | {result.id for row in _chosen(whole) for result in row.results}
    (table,), unusable = standings.stand(
        board.tables(result for _, result in known.values() if result.id in wanted),
        {name: folder for name, (folder, _) in known.items()},
        references.named(),
    )
    return table, [*broken, *unusable]


def _chosen(table: Table) -> list[Row]:
    names = references.named()
    fair = references.without_language_model(table.ranked)
    return [row for row in table.ranked if row is fair or row.results[0].rewriter.name in names]
