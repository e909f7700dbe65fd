"""TREC run and qrels files, read strictly: what is wrong is said with its line."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import math
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from grapebench.errors import UserError
from grapebench.files import atomic_file, explain_os_error
from grapebench.names import written
from grapebench.text import without_mark

CHUNK = 10_000
_RUN = "query Q0 image rank score tag"


@dataclass(frozen=True)
class Run:
    """A run file's rows in file order; row i stands on line i + 1."""

    path: Path
    queries: tuple[str, ...]
    """Query ids in the order in which they first occur."""
    images: tuple[str, ...]
    """Image (document) ids in the order in which they first occur."""
    query: np.ndarray
    """(rows,) int32, places in `queries`."""
    image: np.ndarray
    """(rows,) int32, places in `images`."""
    score: np.ndarray
    """(rows,) float64, finite."""


def read_run(path: Path) -> Run:
    """Read six columns a line (query, Q0, image, rank, score, tag), plain or gzip.

    The order is that of the scores: the rank column, Q0 and the tag are not looked at. UserError with the line for
    another number of columns, a score that is not a finite number, a pair of query and image that occurs twice.
    """
    queries, images = _Numbers(), _Numbers()
    query, image, score = array("i"), array("i"), array("d")
    blank = sys.maxsize
    """The first of the blank lines that may be the file's last."""
    with _opened(path) as file:
        for first in itertools.count(1, CHUNK):
            rows = [line.split() for line in itertools.islice(file, CHUNK)]
            if not rows:
                break
            while rows and not rows[-1]:
                rows.pop()
                blank = min(blank, first + len(rows))
            if not rows:
                continue
            if blank < first:
                raise UserError(_columns(6, _RUN, 0), file=path, line=blank)
            names, _, found, _, values, _ = _transposed(rows, path, first)
            query.extend(map(queries.__getitem__, names))
            image.extend(map(images.__getitem__, found))
            score.extend(_scores(values, path, first))
    if not len(score):
        raise UserError("the run is empty", file=path, line=1)
    run = Run(
        path,
        _decoded(queries, path, np.asarray(query)),
        _decoded(images, path, np.asarray(image)),
        np.asarray(query),
        np.asarray(image),
        np.asarray(score),
    )
    _refuse_repeated(run)
    return run


def write_run(
    path: Path,
    queries: Sequence[str],
    images: Sequence[str],
    columns: np.ndarray,
    scores: np.ndarray,
    tag: str = "grapebench",
) -> None:
    """Write the best images of each query; `.gz` compresses, the same input always to the same bytes.

    `columns` and `scores` are `(queries, k)`, best first: places in `images` and their similarities. A negative
    column stands for no image. Scores are written so that they read back as the same numbers, ids that hold white space
    as `names.written` has them.
    """
    if columns.shape != scores.shape or len(columns) != len(queries):
        raise ValueError(f"shapes differ: {len(queries)} queries, columns {columns.shape}, scores {scores.shape}")
    queries, images, tag = [_id(name) for name in queries], [_id(name) for name in images], _id(tag)
    form = ".9g" if scores.dtype == np.float32 else ".17g"
    lines = [f" Q0 %s {rank} %{form} {tag.replace('%', '%%')}\n" for rank in range(1, columns.shape[1] + 1)]
    rows = zip(queries, columns.tolist(), scores.tolist(), strict=True)
    with _writing(path) as file:
        for query, places, values in rows:
            found = [(images[place], value) for place, value in zip(places, values, strict=True) if place >= 0]
            name = query.replace("%", "%%")
            # One query is formatted as a whole: twice as fast as line by line.
            file.write("".join([name + line for line in lines[: len(found)]]) % tuple(itertools.chain(*found)))


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Read four columns a line (query, iteration, image, relevance), plain or gzip, as query → image → relevance.

    UserError with the line for another number of columns, a relevance that is not a whole number, a pair that
    occurs twice.
    """
    found: dict[str, dict[str, int]] = {}
    with _opened(path) as file:
        lines = [text.split() for text in file]
        while lines and not lines[-1]:
            lines.pop()
        for line, row in enumerate(lines, start=1):
            if len(row) != 4:
                raise UserError(_columns(4, "query iteration image relevance", len(row)), file=path, line=line)
            query, image = (_decode(name, path, line) for name in (row[0], row[2]))
            judged = found.setdefault(query, {})
            if image in judged:
                raise UserError(f"query {query!r} and image {image!r} occur twice", file=path, line=line)
            try:
                judged[image] = int(row[3])
            except ValueError as error:
                what = f"the relevance must be a whole number, found {row[3].decode(errors='replace')!r}"
                raise UserError(what, file=path, line=line) from error
    return found


def write_qrels(path: Path, positives: Mapping[str, Iterable[str]]) -> None:
    """Write query → images that answer it, each with relevance 1; `.gz` compresses."""
    with _writing(path) as file:
        for query, images in positives.items():
            for image in images:
                file.write(f"{_id(query)} 0 {_id(image)} 1\n")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A plain or gzip file by its first bytes, whatever its name."""
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(file) as inner:
                    _pass_mark(inner, path)  # type: ignore[arg-type]
                    yield inner  # type: ignore[misc]
            else:
                _pass_mark(file, path)
                yield file
    except FileNotFoundError as error:
        raise UserError("the file is missing", file=path) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"the gzip file is damaged or broken off ({error})", file=path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error


def _pass_mark(file: io.BufferedReader, path: Path) -> None:
    head = file.peek(4)[:4]
    file.read(len(head) - len(without_mark(head, path)))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[io.TextIOBase]:
    with atomic_file(path) as temporary, temporary.open("wb") as raw:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed, io.TextIOWrapper(packed, "utf-8") as file:
                yield file
        else:
            with io.TextIOWrapper(raw, "utf-8") as file:
                yield file


class _Numbers(dict[bytes, int]):
    """Numbers names from 0 in the order in which they are first asked for."""

    def __missing__(self, name: bytes) -> int:
        self[name] = len(self)
        return self[name]


def _transposed(rows: list[list[bytes]], path: Path, first: int) -> list[tuple[bytes, ...]]:
    """Six columns; `first` is the line of the first row."""
    for line, row in enumerate(rows, start=first):
        if len(row) != 6:
            raise UserError(_columns(6, _RUN, len(row)), file=path, line=line)
    return list(zip(*rows, strict=True))


def _scores(values: Sequence[bytes], path: Path, first: int) -> list[float]:
    with contextlib.suppress(ValueError):
        found = list(map(float, values))
        if np.isfinite(found).all() and b"_" not in b"".join(values):
            return found
    return [_score(text, path, line) for line, text in enumerate(values, start=first)]


def _score(text: bytes, path: Path, line: int) -> float:
    try:
        found = float(text)
    except ValueError:
        found = None
    # Python reads 1_000 as a number; other tools do not.
    if found is None or b"_" in text:
        raise UserError(f"the score is not a number: {text.decode(errors='replace')!r}", file=path, line=line)
    if not math.isfinite(found):
        raise UserError(f"the score is not finite: {text.decode()}", file=path, line=line)
    return found


def _columns(wanted: int, names: str, found: int) -> str:
    return f"expected {wanted} columns ({names}), found {found}"


def _decode(name: bytes, path: Path, line: int) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8: {name.decode(errors='replace')!r}", file=path, line=line) from error


def _decoded(names: Mapping[bytes, int], path: Path, places: np.ndarray) -> tuple[str, ...]:
    try:
        return tuple(name.decode() for name in names)
    except UnicodeDecodeError:
        firsts = np.unique(places, return_index=True)[1]
        return tuple(_decode(name, path, int(firsts[place]) + 1) for name, place in names.items())


def _refuse_repeated(run: Run) -> None:
    pairs = run.query.astype(np.int64) * len(run.images) + run.image
    ordered = np.sort(pairs)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        # Of all repeated pairs, the one whose second line comes first in the file.
        rows = np.flatnonzero(np.isin(pairs, repeated))
        seen: dict[int, int] = {}
        for row in rows.tolist():
            first = seen.setdefault(int(pairs[row]), row)
            if first != row:
                pair = f"query {run.queries[run.query[row]]!r} and image {run.images[run.image[row]]!r}"
                raise UserError(f"{pair} occur twice, first on line {first + 1}", file=run.path, line=row + 1)


def _id(name: str) -> str:
    if not name:
        raise UserError("an empty id cannot stand in a TREC file")
    return written(name)
