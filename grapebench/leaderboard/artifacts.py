"""The files beside result.json: the queries, what was searched instead of each, and where its target came."""

from __future__ import annotations

import functools
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.errors import UserError
from grapebench.records import Fusion, Query, Rewrite

FLOATS = "similarity"
"""Columns whose name begins so are cosines."""


def write_rewrites(path: Path, queries: Sequence[Query], rewrites: Sequence[Rewrite]) -> None:
    """One JSON object a line, in the order of the queries.

    `rewrite` is what was searched, for people; `texts`, `images`, `vectors`, `weights` and `fusion` (but for 'mean')
    say it exactly where it was more than one text. Numbers of a vector are the shortest that read back as the same
    float32. `raw` is what the model wrote, where that is not the rewrite itself; `money` what it cost. What is empty is
    left out, and so is a `rewrite` that is the query's own text.
    """

    def row(query: Query, rewrite: Rewrite) -> dict[str, Any]:
        own = rewrite.texts == (query.text,) and not rewrite.images and not rewrite.vectors
        found: dict[str, Any] = {"query_id": query.id, "rewrite": None if own else rewrite.text}
        if rewrite.texts != (rewrite.text,):
            found |= {"texts": rewrite.texts, "images": rewrite.images, "vectors": _shortest(rewrite.vectors)}
            found |= {"weights": rewrite.weights, "fusion": None if rewrite.fusion == "mean" else rewrite.fusion}
        raw = None if rewrite.raw == rewrite.text else rewrite.raw
        found |= {"raw": raw, "fallback": rewrite.fallback, "trace": rewrite.trace, "money": rewrite.money}
        return {key: value for key, value in found.items() if value}

    _write_lines(path, (row(query, rewrite) for query, rewrite in zip(queries, rewrites, strict=True)))


def _shortest(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[float(str(number)) for number in np.asarray(vector, np.float32)] for vector in vectors]


def read_rewrites(path: Path, queries: Sequence[Query]) -> list[Rewrite]:
    """What `write_rewrites` wrote, one for each query, in their order; tokens and times are not in the file.

    `raw` is None also where the model wrote nothing, or what was searched. Raises UserError, naming the line, for what
    is no rewrite, or not of the query that comes next.
    """
    from pydantic import ValidationError

    lines, found = read_lines(path), []
    for number, query in enumerate(queries, 1):
        try:
            line = _line_model().model_validate(next(lines, None))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            key = ".".join(map(str, first["loc"]))
            raise UserError(f"no rewrite: {key + ': ' if key else ''}{first['msg']}", file=path, line=number) from None
        if line.query_id != query.id:
            what = f"the rewrite is of query {line.query_id!r} where {query.id!r} comes next"
            raise UserError(what, file=path, line=number)
        whole = line.texts or line.images or line.vectors
        texts = line.texts if whole else (query.text if line.rewrite is None else line.rewrite,)
        found.append(Rewrite(**(line.model_dump(exclude={"rewrite"}) | {"texts": texts})))
    if next(lines, None) is not None:
        raise UserError("there are more rewrites than queries", file=path, line=len(queries) + 1)
    return found


@functools.cache
def _line_model() -> Any:
    """The model of one line, made where it is needed: importing pydantic takes a while."""
    from pydantic import ConfigDict, create_model

    config = ConfigDict(extra="forbid", strict=False, allow_inf_nan=False)
    fields: dict[str, Any] = {
        "query_id": str,
        "rewrite": (str | None, None),
        "texts": (tuple[str, ...], ()),
        "images": (tuple[str, ...], ()),
        "vectors": (tuple[tuple[float, ...], ...], ()),
        "weights": (tuple[float, ...], ()),
        "fusion": (Fusion, "mean"),
        "raw": (str | None, None),
        "fallback": (str | None, None),
        "trace": (dict[str, str], {}),
        "money": (float, 0.0),
    }
    return create_model("Line", __config__=config, **fields)


def write_queries(path: Path, queries: Sequence[Query]) -> None:
    """The queries' own texts, apart from the rest: they may not always be passed on."""
    _write_lines(path, ({"query_id": query.id, "text": query.text} for query in queries))


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """The same rows give the same bytes."""
    with path.open("wb") as plain, gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0) as packed:
        for row in rows:
            packed.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a .jsonl.gz file. Raises UserError, naming the line, where it cannot be read."""
    read = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
                read += 1
    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
        raise UserError(f"not readable ({error})", file=path, line=read + 1) from error


def write_table(path: Path, columns: Mapping[str, Any]) -> None:
    """A parquet table with one row a query, or one an image; NaN becomes null.

    A column is an array of numbers, or a sequence of texts or whole numbers in which None is null. Cosines are packed
    by byte planes, which halves them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_arrays([_column(values) for values in columns.values()], names=list(columns))
    floats = [name for name in columns if name.startswith(FLOATS)]
    others: list[Any] = [name for name in columns if name not in floats]
    pq.write_table(
        table, path, compression="zstd", compression_level=19, use_dictionary=others,
        use_byte_stream_split=floats, write_statistics=False,
    )  # fmt: skip


def _column(values: Any) -> Any:
    """An arrow array. `pa.array` makes the same, but imports pandas to look for its types: half a second."""
    import pyarrow as pa

    numbers = isinstance(values, np.ndarray)
    missing = np.isnan(values) if numbers else np.array([value is None for value in values], bool)
    if not numbers and missing.all():
        return pa.nulls(len(values))
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    if not numbers and isinstance(values[int(np.argmin(missing))], str):
        encoded = [(value or "").encode() for value in values]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        return pa.Array.from_buffers(
            pa.string(), len(values), [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
        )
    if not numbers:
        values = np.array([0 if value is None else value for value in values], np.int64)
    content = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, content])


def read_table(path: Path) -> dict[str, list[Any]]:
    """The table as lists by column. Raises UserError where the file is not parquet."""
    return dict(read_arrow(path).to_pydict())


def read_arrow(path: Path, wanted: Callable[[str], bool] = bool) -> Any:
    """The wanted columns as a `pyarrow.Table`: of a large table a tenth of the time and memory that lists take.

    Raises UserError where the file is not parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Arrow's own file, so that a path is never taken for a file system's address. A file of Python's is let go by
        # arrow's threads after the read is over, which ends the process with an abort where Python is about to exit
        # (github.com/apache/arrow/issues/34314); it is opened for its errors alone, which name the path.
        with path.open("rb"), pa.OSFile(str(path)) as file:
            table = pq.ParquetFile(file)
            return table.read([name for name in table.schema_arrow.names if wanted(name)], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not arrow's own, which has no number
        raise UserError(f"not readable ({' '.join(str(error).split())})", file=path) from error


def numbers(column: Any) -> np.ndarray:
    """An arrow column of numbers, null as NaN. Raises ValueError or TypeError where it is something else.

    `to_numpy` makes the same, but imports pandas: a quarter of a second.
    """
    if column.null_count:
        return np.array(column.to_pylist(), dtype=np.float64)
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks] or [np.empty(0)])
