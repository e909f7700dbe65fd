"""Results as one long table, a line for each figure of each result: what data frames and plots start from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from grapebench.errors import missing_extra
from grapebench.leaderboard.results import Result

if TYPE_CHECKING:
    import pandas

COLUMNS = {
    "suite": "string",
    "task": "string",
    "split": "string",
    "protocol": "string",
    "limit": "Int64",
    "benchmark": "string",
    "revision": "Int64",
    "dataset": "string",
    "retriever": "string",
    "retriever_fingerprint": "string",
    "rewriter": "string",
    "rewriter_fingerprint": "string",
    "captioner": "string",
    "oracle": "boolean",
    "seen": "boolean",
    "seed": "Int64",
    "result": "string",
    "queries": "Int64",
    "gallery": "Int64",
    "figure": "string",
    "part": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "raw": "float64",
    "delta": "float64",
    "delta_low": "float64",
    "delta_high": "float64",
}
"""Column to its type in pandas. `part` is the language, category or group that a figure is of, null for the whole;
`raw` is the figure of the raw query text, `delta` the paired difference to it. Fractions, but for `median_rank`."""


def tidy(results: Iterable[Result]) -> pandas.DataFrame:
    """The table, results in their order. Without labels there are no lines. Raises UserError without pandas."""
    try:
        import pandas
    except ImportError as error:
        raise missing_extra("pandas", "tables") from error

    lines = [line for result in results for line in _lines(result)]
    return pandas.DataFrame.from_records(lines, columns=list(COLUMNS)).astype(COLUMNS)


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


def csv(frame: pandas.DataFrame) -> bytes:
    """UTF-8 with a head; a null is an empty field, a text that needs it is in quotes."""
    text: str = frame.to_csv(index=False, lineterminator="\n")
    return text.encode()


def parquet(frame: pandas.DataFrame) -> bytes:
    """The same with its types."""
    out = io.BytesIO()
    frame.to_parquet(out, index=False, compression="zstd")
    return out.getvalue()
