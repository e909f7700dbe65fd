"""The run files beside a result, read line by line and as strictly as they are written."""

from __future__ import annotations

import gzip
import itertools
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grapebench.errors import UserError
from grapebench.names import read_back


@dataclass(frozen=True)
class Ranked:
    """What a run file lists for one query, best first."""

    query: str
    names: list[str]
    scores: list[float]


def read(path: Path) -> Iterator[Ranked]:
    """Each query's list, in the order of the file.

    Raises UserError, naming the line: six columns, ranks from 1 in the order of the lines, finite scores that never
    rise, no name twice in a list, and a query's lines together.
    """
    seen: set[str] = set()
    first = 1
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            for query, group in itertools.groupby(lines, lambda line: line.partition(" ")[0]):
                found = _ranked(path, query, list(group), first)
                if query in seen:
                    raise UserError(f"query {query!r} comes a second time", file=path, line=first)
                seen.add(query)
                first += len(found.names)
                yield found
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"the gzip file is damaged or broken off ({error})", file=path) from error


def _ranked(path: Path, query: str, lines: list[str], first: int) -> Ranked:
    names: list[str] = []
    scores: list[float] = []
    for rank, line in enumerate(lines, 1):
        number = first + rank - 1
        columns = line.split(" ")
        if len(columns) != 6 or columns[1] != "Q0" or not line.endswith("\n"):
            raise UserError("expected six columns (query Q0 image rank score tag)", file=path, line=number)
        if columns[3] != str(rank):
            raise UserError(f"the rank is {columns[3]!r} where {rank} comes next", file=path, line=number)
        score = _score(columns[4])
        if not math.isfinite(score):
            raise UserError(f"the score is {columns[4]!r}, which is no finite number", file=path, line=number)
        if scores and score > scores[-1]:
            raise UserError("the score is higher than that of the line before", file=path, line=number)
        names.append(read_back(columns[2]))
        scores.append(score)
    if len(set(names)) < len(names):
        twice = next(place for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"{names[twice]!r} is listed a second time for {query!r}", file=path, line=first + twice)
    return Ranked(read_back(query), names, scores)


def _score(text: str) -> float:
    """NaN for what is no number; Python reads 1_000 as one, other tools do not."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
