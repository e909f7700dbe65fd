"""The parquet tables beside a result, read without trusting them: columns, kinds of values, what holds of each row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grapebench.evaluation.protocols import Protocol, protocol_named
from grapebench.leaderboard import artifacts, results
from grapebench.leaderboard.results import Result
from grapebench.leaderboard.verification.findings import Findings, some

Table = dict[str, list[Any]]
BEFORE: Literal["_before"] = "_before"
_GRADED = re.compile(r"(subset_)?rank_grade_(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:_before)?")
STEP = 2.0**-13
"""The grid that stored cosines lie on."""


@dataclass(frozen=True)
class Tables:
    """The tables that are there and hold what they should; None for one that was not published."""

    queries: Table
    similarities: Table | None
    images: Table | None


def read(found: Findings, result: Result) -> Tables | None:
    """None where there is nothing that figures could be computed from; what is wrong is said in `found`."""
    protocol, wrongs = protocol_named(result.protocol), len(found.problems)
    queries = _table(found, results.PER_QUERY_FILE, lambda names: _per_query(protocol, names))
    cosines = _table(found, results.SIMILARITIES_FILE, _per_similarity)
    images = _table(found, results.PER_IMAGE_FILE, lambda names: _per_image(protocol, names))
    if queries is None or len(found.problems) > wrongs:
        return None
    _queries_hold(found, result, protocol, queries)
    if cosines is not None:
        _cosines_hold(found, queries, cosines)
    if images is not None:
        _images_hold(found, result, images)
    return None if len(found.problems) > wrongs else Tables(queries, cosines, images)


@dataclass(frozen=True)
class _Kind:
    """What the values of a column are."""

    told: str
    holds: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_MAYBE_TEXT = _Kind("a text or null", lambda value: value is None or isinstance(value, str))
_RANK = _Kind("a rank from 1", lambda value: _whole(value) and value >= 1)
_MAYBE_RANK = _Kind("a rank from 1 or null", lambda value: value is None or (_whole(value) and value >= 1))
_COUNT = _Kind("a whole number from 0", lambda value: _whole(value) and value >= 0)
_SHARE = _Kind("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1)
_COSINE = _Kind("a finite cosine on the grid of 1/8192, or null", lambda value: value is None or _on_grid(value, 1.001))
_MARGIN = _Kind("a finite margin on the grid of 1/8192, or null", lambda value: value is None or _on_grid(value, 2.001))


def _on_grid(value: Any, most: float) -> bool:
    return _number(value) and abs(value) <= most and float(value / STEP).is_integer()


def _per_query(protocol: Protocol, names: set[str]) -> dict[str, _Kind]:
    due = {"query_id": _TEXT, "language": _TEXT, "positive": _TEXT, "cluster": _TEXT}
    due |= {"rank": _RANK, f"rank{BEFORE}": _RANK}
    due |= {"above": _COUNT, "equal": _COUNT, "candidates": _COUNT, "fallback": _MAYBE_TEXT}
    if protocol.by == "category":
        due["category"] = _TEXT
    if protocol.subset_ks and "subset_rank" in names:
        due |= {"subset_rank": _RANK, f"subset_rank{BEFORE}": _RANK}
    if protocol.relevance == "graded":
        # Which grades there are, and whether there are look-alikes, only the data say.
        named = [match for name in names if (match := _GRADED.fullmatch(name))]
        ways = sorted({"", *(match[1] or "" for match in named)})
        grades = {match[2] for match in named} or {"1"}
        due |= {
            f"{way}rank_grade_{grade}{end}": _MAYBE_RANK for way in ways for grade in grades for end in ("", BEFORE)
        }
    if protocol.relevance == "category":
        due |= {"average_precision": _SHARE, f"average_precision{BEFORE}": _SHARE}
    return due


def _per_similarity(_: set[str]) -> dict[str, _Kind]:
    kinds = {"positive": _COSINE, "others": _COSINE, "top_others": _COSINE, "margin": _MARGIN}
    named = {f"{artifacts.FLOATS}_{name}{end}": kind for name, kind in kinds.items() for end in ("", BEFORE)}
    return {"query_id": _TEXT} | named


def _per_image(protocol: Protocol, _: set[str]) -> dict[str, _Kind]:
    due = {"image_id": _TEXT, "cluster": _TEXT} | ({"language": _TEXT} if protocol.by == "language" else {})
    name, kind = ("average_precision", _SHARE) if protocol.relevance == "category" else ("rank", _RANK)
    return due | {name: kind, f"{name}{BEFORE}": kind}


def _table(found: Findings, name: str, due: Callable[[set[str]], Mapping[str, _Kind]]) -> Table | None:
    if not (found.folder / name).is_file():
        return None
    table: Table | None = None
    with found.told():
        table = artifacts.read_table(found.folder / name)
    if table is None:
        return None
    kinds = due(set(table))
    for column in sorted(set(kinds) - set(table)):
        found.wrong(name, f"the column {column!r} is missing")
    for column in sorted(set(table) - set(kinds)):
        found.wrong(name, f"the column {column!r} is none that such a result has")
    for column in sorted(set(table) & set(kinds)):
        kind = kinds[column]
        row = next((row for row, value in enumerate(table[column]) if not kind.holds(value)), None)
        if row is not None:
            found.wrong(name, f"{column} of row {row + 1} is {table[column][row]!r}, which is not {kind.told}")
    return table


def _queries_hold(found: Findings, result: Result, protocol: Protocol, table: Table) -> None:
    file, ids = results.PER_QUERY_FILE, table["query_id"]
    if len(ids) != result.queries:
        found.differs("queries", result.queries, len(ids), f"the rows of {file} are")
    _refuse_repeated(found, file, "query", ids)
    rank, above, equal, candidates = (np.array(table[name]) for name in ("rank", "above", "equal", "candidates"))
    # A query without a positive among its candidates has a rank beyond all of them and beyond every cut-off.
    missed = (above == candidates) & (equal == 0) & (rank == np.maximum(candidates + 1, protocol.miss))
    _name(found, file, ids, (rank != 1 + above + equal) & ~missed, "rank is not 1 + above + equal")
    _name(found, file, ids, candidates > result.gallery, f"there are more candidates than images, {result.gallery:,}")
    most = np.maximum(candidates + 1, protocol.miss)
    for column in (column for column in table if "rank" in column):
        ranks = np.array([1 if value is None else value for value in table[column]])
        _name(found, file, ids, ranks > most, f"{column} is higher than there are candidates")


def _cosines_hold(found: Findings, queries: Table, table: Table) -> None:
    file, ids = results.SIMILARITIES_FILE, table["query_id"]
    if ids != queries["query_id"]:
        found.wrong(file, f"the queries are not those of {results.PER_QUERY_FILE}, in their order")
        return
    # Of one vector a query, as the raw text always is: who is first has a margin, who is not has none.
    margin = np.array([np.nan if value is None else value for value in table[f"{artifacts.FLOATS}_margin{BEFORE}"]])
    first = np.array(queries[f"rank{BEFORE}"]) == 1
    wrong = (first & (margin < 0)) | (~first & (margin > 0))
    _name(found, file, ids, wrong, f"the margin before rewriting does not fit the rank in {results.PER_QUERY_FILE}")


def _images_hold(found: Findings, result: Result, table: Table) -> None:
    file = results.PER_IMAGE_FILE
    languages = table.get("language", [""] * len(table["image_id"]))
    _refuse_repeated(found, file, "image", list(zip(languages, table["image_id"], strict=True)))
    if "rank" in table:
        for column in ("rank", f"rank{BEFORE}"):
            beyond = np.array(table[column]) > result.queries
            _name(found, file, table["image_id"], beyond, f"{column} is higher than there are queries")


def _refuse_repeated(found: Findings, file: str, noun: str, names: list[Any]) -> None:
    seen: set[Any] = set()
    repeated = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if repeated:
        found.wrong(file, f"{noun} {some(repeated)} has two rows")


def _name(found: Findings, file: str, ids: list[Any], wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        found.wrong(file, f"{what}: {some([ids[row] for row in np.flatnonzero(wrong)])}")
