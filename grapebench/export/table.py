"""Results as one long table, a line for each figure of each result: what data frames and plots start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from grapebench.leaderboard.results import Result

if TYPE_CHECKING:
    import pyarrow

COLUMNS = {
    "suite": "string",
    "task": "string",
    "split": "string",
    "protocol": "string",
    "limit": "int64",
    "benchmark": "string",
    "revision": "int64",
    "dataset": "string",
    "retriever": "string",
    "retriever_fingerprint": "string",
    "rewriter": "string",
    "rewriter_fingerprint": "string",
    "captioner": "string",
    "oracle": "bool",
    "seen": "bool",
    "seed": "int64",
    "result": "string",
    "queries": "int64",
    "gallery": "int64",
    "figure": "string",
    "part": "string",
    "value": "double",
    "low": "double",
    "high": "double",
    "raw": "double",
    "delta": "double",
    "delta_low": "double",
    "delta_high": "double",
}
"""Column to its Arrow type. `part` is the language, category or group that a figure is of, null for the whole; `raw` is
the figure of the raw query text, `delta` the paired difference to it. Fractions, but for `median_rank`."""


def tidy(results: Iterable[Result]) -> pyarrow.Table:
    """The table, results in their order; `.to_pandas()` makes a data frame of it. Without labels there are no lines."""
    import pyarrow as pa

    lines = [line for result in results for line in _lines(result)]
    schema = pa.schema([pa.field(name, pa.type_for_alias(alias)) for name, alias in COLUMNS.items()])
    return pa.Table.from_pylist(lines, schema)


def _lines(result: Result) -> Iterator[dict[str, Any]]:
    shared = {
        "suite": result.suite,
        "task": result.task,
        "split": result.split,
        "protocol": result.protocol,
        "limit": result.limit,
        "benchmark": result.benchmark,
        "revision": result.revision,
        "dataset": result.data.dataset,
        "retriever": result.retriever.name,
        "retriever_fingerprint": result.retriever.fingerprint,
        "rewriter": result.rewriter.name,
        "rewriter_fingerprint": result.rewriter.fingerprint,
        "captioner": result.rewriter.captioner,
        "oracle": result.rewriter.oracle,
        "seen": result.seen is not None,
        "seed": result.seed,
        "result": result.id,
        "queries": result.queries,
        "gallery": result.gallery,
    }
    for key, value in result.metrics.items():
        figure, _, part = key.partition("/")
        line = shared | {"figure": figure, "part": part or None, "value": value, "raw": result.metrics_before.get(key)}
        if bounds := result.intervals.get(key):
            line |= {"low": bounds.low, "high": bounds.high}
        if delta := result.deltas.get(key):
            line |= {"delta": delta.value, "delta_low": delta.low, "delta_high": delta.high}
        yield line


def csv(table: pyarrow.Table) -> bytes:
    """UTF-8 with a head; a null is an empty field, a text that needs it is in quotes."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    out = pa.BufferOutputStream()
    arrow_csv.write_csv(table, out, arrow_csv.WriteOptions(quoting_style="needed"))
    return bytes(out.getvalue())


def parquet(table: pyarrow.Table) -> bytes:
    """The same with its types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = pa.BufferOutputStream()
    pq.write_table(table, out, compression="zstd")
    return bytes(out.getvalue())
