"""Every figure in result.json, computed once more from the files beside it by the code that `run` uses.

Nothing is tolerated. Means are rounded once (`math.fsum`), similarities are averaged as they are stored, and the bounds
of intervals are drawn with a fixed seed and rounded to six digits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import beside, inflation
from grapebench.evaluation.compare import read_image_places, read_places, read_rows
from grapebench.evaluation.protocols import I2T, protocol_named
from grapebench.leaderboard import artifacts, results
from grapebench.leaderboard.results import RESULT_FILE, Result
from grapebench.leaderboard.verification import tables
from grapebench.leaderboard.verification.findings import Findings, compare, some
from grapebench.leaderboard.verification.tables import BEFORE, Tables
from grapebench.records import Query, Rewrite

FILES = "the files beside it"
_FIGURES = ("metrics", "metrics_before", "intervals", "deltas")


def check(found: Findings, result: Result) -> Tables | None:
    """Compare all that can be computed; the tables where they hold what they should."""
    _counts(found, result)
    if not result.labelled:
        _without_labels(found, result)
        _told(found, result, None)
        return None
    if not (found.folder / results.PER_QUERY_FILE).is_file():
        found.unchecked.append(f"figures from ranks: {results.PER_QUERY_FILE} was not published")
        return None
    wrongs = len(found.problems)
    read = tables.read(found, result)
    if read is None:
        if len(found.problems) == wrongs:
            found.wrong(results.PER_QUERY_FILE, "holds no rows")
        return None
    with found.told():
        _figures(found, result, read)
        _told(found, result, read.queries)
    return read


def _counts(found: Findings, result: Result) -> None:
    cost = result.cost
    named: dict[str, float] = {"queries": result.queries - 1, "gallery": result.gallery - 1, "ties": result.ties}
    named |= {
        f"cost.{name}": value for name, value in cost.model_dump(exclude={"captions"}).items() if value is not None
    }
    named |= {"duplicates": result.duplicates or 0}
    for name in ("fallbacks", "undetected", "unanswered", "cut", "partial", "uncaptioned"):
        named |= {f"{name}[{key!r}]": value for key, value in getattr(result, name).items()}
    for name, value in named.items():
        if value < 0:
            found.wrong(RESULT_FILE, f"{name} is less than there can be")
    if cost.rewritten > result.queries:
        found.wrong(RESULT_FILE, f"cost.rewritten is {cost.rewritten:,}, more than there are queries")


def _without_labels(found: Findings, result: Result) -> None:
    for name in _FIGURES:
        if getattr(result, name):
            found.wrong(RESULT_FILE, f"{name} holds figures, and labelled is false")
    if (result.clusters, result.largest_cluster) != (None, None):
        found.wrong(RESULT_FILE, "clusters need labels, and labelled is false")
    if result.inflation is not None or result.ties:
        found.wrong(RESULT_FILE, "inflation and ties need labels, and labelled is false")


def _figures(found: Findings, result: Result, read: Tables) -> None:
    protocol = protocol_named(result.protocol)
    queries = read_rows(read.queries)
    places = read_places(read.queries, BEFORE), read_places(read.queries)
    back = (None, None) if read.images is None else tuple(read_image_places(read.images, end) for end in (BEFORE, ""))
    names = read.queries["cluster"], [] if read.images is None else read.images["cluster"]
    both = [beside.sheets(protocol, queries, result.groups, *one, *names) for one in zip(places, back, strict=True)]
    due = beside.figure_fields(protocol, (both[0], both[1]), places)
    missing = protocol.image_to_text and read.images is None
    for name in _FIGURES:
        said = getattr(result, name)
        if missing:
            said = {key: value for key, value in said.items() if not key.startswith(I2T)}
        compare(found, name, said, due[name], FILES)
    if missing:
        found.unchecked.append(f"figures from images to texts: {results.PER_IMAGE_FILE} was not published")
    for name, count in beside.cluster_fields(read.queries["cluster"]).items():
        if getattr(result, name) != count:
            found.differs(name, getattr(result, name), count, f"{FILES} give")
    ties = beside.tie_rate(np.array(read.queries["equal"]))
    if result.ties != ties:
        found.differs("ties", result.ties, ties, f"{FILES} give")
    _inflation(found, result, read.similarities)


def _inflation(found: Findings, result: Result, table: tables.Table | None) -> None:
    if result.inflation is None:
        found.wrong(RESULT_FILE, "inflation is null, and there are labels")
    elif table is None:
        found.unchecked.append(f"inflation: {results.SIMILARITIES_FILE} was not published")
    else:
        for name, end in (("before", BEFORE), ("after", "")):
            columns = {
                key: np.array(table[f"{artifacts.FLOATS}_{key}{end}"], np.float64)
                for key in ("positive", "others", "top_others", "margin")
            }
            said = getattr(result.inflation, name).model_dump()
            compare(found, f"inflation.{name}", said, inflation.summary(columns).model_dump(), FILES)


def _told(found: Findings, result: Result, table: tables.Table | None) -> None:
    """What the rewrites tell of themselves: counts of what went wrong, and what was paid."""
    path = found.folder / results.REWRITES_FILE
    ids = None if table is None else table["query_id"]
    own_texts = found.folder / results.QUERIES_FILE
    if own_texts.is_file():
        asked = _ids(own_texts)
        if ids is not None and asked != ids:
            found.wrong(results.QUERIES_FILE, f"the queries are not those of {results.PER_QUERY_FILE}, in their order")
        ids = asked if ids is None else ids
    if not path.is_file():
        if table is not None:
            fallbacks = dict(Counter(reason for reason in table["fallback"] if reason))
            compare(found, "fallbacks", result.fallbacks, fallbacks, f"the rows of {results.PER_QUERY_FILE}")
        found.unchecked.append(f"answers and what was paid for them: {results.REWRITES_FILE} was not published")
        return
    if ids is None:
        ids = _ids(path)
    rewrites = artifacts.read_rewrites(path, [Query(name, "") for name in ids])
    if table is None and len(rewrites) != result.queries:
        found.differs("queries", result.queries, len(rewrites), f"the lines of {path.name} are")
    if table is not None:
        apart = [
            rewrite.query_id
            for rewrite, reason in zip(rewrites, table["fallback"], strict=True)
            if rewrite.fallback != reason
        ]
        if apart:
            found.wrong(path.name, f"the fallback is not that of {results.PER_QUERY_FILE}: {some(apart)}")
    _tallies(found, result, rewrites)
    if any(rewrite.fusion == "best" for rewrite in rewrites) and not result.rewriter.oracle:
        found.wrong(RESULT_FILE, "rewriter.oracle is false, and its rewrites are fused by 'best': by the labels")


def _ids(path: Path) -> list[str]:
    found = []
    for number, line in enumerate(artifacts.read_lines(path), 1):
        name = line.get("query_id") if isinstance(line, dict) else None
        if not isinstance(name, str):
            raise UserError("the line names no query", file=path, line=number)
        found.append(name)
    return found


def _tallies(found: Findings, result: Result, rewrites: Sequence[Rewrite]) -> None:
    due = beside.tallies(rewrites)
    where = f"the lines of {results.REWRITES_FILE}"
    for name in ("fallbacks", "undetected", "cut", "partial"):
        compare(found, name, _of_queries(getattr(result, name)), due[name], where)
    said = _of_queries(result.unanswered)
    if result.uncaptioned or said != result.unanswered or _of_queries(result.cut) != result.cut:
        found.unchecked.append("captions that never came, could not be used or were cut off")
    # An answer that was empty is stored as one that never came, so these are the most that there can be.
    most: dict[str, Any] = due["unanswered"]
    least = Counter(rewrite.trace["unanswered"] for rewrite in rewrites if "unanswered" in rewrite.trace)
    for key in sorted({*said, *least}):
        if not least[key] <= said.get(key, 0) <= most.get(key, 0):
            found.differs(f"unanswered[{key!r}]", said.get(key, 0), most.get(key, 0), f"{where} allow at most")
    money = round(math.fsum(rewrite.money for rewrite in rewrites), 9)
    if result.cost.money != money:
        found.differs("cost.money", result.cost.money, money, f"{where} add up to")


def _of_queries(counts: Mapping[str, int]) -> dict[str, int]:
    """Without those of reference images, whose captions are not in a result's files."""
    return {key: count for key, count in counts.items() if not key.startswith(beside.CAPTION)}
