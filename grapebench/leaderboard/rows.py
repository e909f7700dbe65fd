"""The queries of a result, one row each: both texts, both ranks and what else is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grapebench.errors import UserError
from grapebench.leaderboard import artifacts, results
from grapebench.leaderboard.results import Result


def joined(folder: Path, result: Result) -> list[dict[str, Any]]:
    """The columns of per_query.parquet with similarities, the rewrites and the queries' own texts, by query.

    A published result lacks the queries' own texts, and a rewrite that is none; where it was too large it lacks
    similarities, or the rewrites, and `rewrite` is None. Without labels there are no ranks.
    Raises UserError where the ranks are missing or the files are not of the same queries.
    """
    rows: list[dict[str, Any]] | None = None
    if result.labelled:
        columns = ranks(folder)
        if (folder / results.SIMILARITIES_FILE).is_file():
            columns = columns | similarities(folder, columns["query_id"])
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if rows is not None and not (folder / results.REWRITES_FILE).is_file():
        rows = [row | {"rewrite": None} for row in rows]
    for name in (results.REWRITES_FILE, results.QUERIES_FILE):
        if not (folder / name).is_file():
            continue
        texts = {line["query_id"]: line for line in artifacts.read_lines(folder / name)}
        rows = [{"query_id": query} for query in texts] if rows is None else rows
        if {row["query_id"] for row in rows} != set(texts):
            raise UserError("the queries are not those of the other files beside it", file=folder / name)
        rows = [row | texts[row["query_id"]] for row in rows]
    rows = rows or []
    return [row | {"rewrite": row["text"]} if "rewrite" not in row and "text" in row else row for row in rows]


def ranks(folder: Path) -> dict[str, list[Any]]:
    """The columns of per_query.parquet. Raises UserError where a published result came without it."""
    path = folder / results.PER_QUERY_FILE
    if not path.is_file():
        what = "this published result holds no ranks"
        raise UserError(what, file=path, fix="its command makes the whole result")
    return artifacts.read_table(path)


def similarities(folder: Path, query_ids: list[Any]) -> dict[str, list[Any]]:
    """The columns of similarities.parquet. Raises UserError where its queries are not these."""
    path = folder / results.SIMILARITIES_FILE
    columns = artifacts.read_table(path)
    if columns.get("query_id") != query_ids:
        raise UserError("the queries are not those of the other files beside it", file=path)
    return columns
