"""From results to tables: what may be compared stands in one table, and nothing else does."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from grapebench.leaderboard.results import Result

SHOWN = {
    "retrieval": ("R@1", "R@5", "R@10"),
    "composed": ("R@1", "R@5", "R@10", "R@50", "R_subset@1"),
    "multilingual": ("R@1", "R@5", "R@10"),
}
DELTA = "R@10"


@dataclass(frozen=True)
class Figure:
    """A fraction with its 95 % interval and, over several seeds, its standard deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Row:
    """One rewriter in a table, all its seeds together."""

    label: str
    """The rewriter's name; with the beginning of its fingerprint where two of that name differ."""
    results: tuple[Result, ...]
    """One for each seed, by seed."""
    figures: dict[str, Figure]
    delta: Figure | None
    """Of R@10 to the raw query text."""

    @property
    def oracle(self) -> bool:
        return self.results[0].rewriter.oracle

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(result.seed for result in self.results)

    @property
    def title(self) -> str:
        return self.results[0].rewriter.title


@dataclass(frozen=True)
class Table:
    """Rows that can be compared: one suite, task, revision, split, data and retriever."""

    keys: tuple[str, ...]
    """The figures shown."""
    ranked: tuple[Row, ...]
    """By R@10, best first; equals by name."""
    oracles: tuple[Row, ...]
    """Rows that look at the answer, in the same order."""

    @property
    def first(self) -> Result:
        """A result that speaks for all on what they share: suite, task, split, retriever, sizes."""
        return (self.ranked or self.oracles)[0].results[0]

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.ranked + self.oracles

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that are reported one by one; empty for tasks in one language."""
        return tuple(sorted({key.split("/")[1] for key in self.first.metrics if "/" in key}))


def comparable(result: Result) -> tuple[object, ...]:
    """Two results may stand in one table where this is equal; sorts by what a reader looks for."""
    return (
        result.suite,
        result.task,
        result.split,
        result.retriever.name,
        result.limit or 0,
        -result.revision,
        result.retriever.fingerprint,
        result.data.dataset,
        result.data.images or "",
    )


def tables(results: Iterable[Result]) -> list[Table]:
    """All tables of some results, in a fixed order whatever the order of the results."""
    together: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        together[comparable(result)].append(result)
    return [_table(together[key]) for key in sorted(together, key=lambda key: tuple(map(_sortable, key)))]


def _sortable(value: object) -> tuple[int, str]:
    return (value, "") if isinstance(value, int) else (0, str(value))


def _table(results: list[Result]) -> Table:
    configurations: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        rewriter = result.rewriter
        configurations[rewriter.name, rewriter.fingerprint, rewriter.captioner or ""].append(result)
    names = [name for name, _, _ in configurations]
    rows = []
    for (name, fingerprint, _), members in configurations.items():
        label = name if names.count(name) == 1 else f"{name} ({fingerprint[:8]})"
        rows.append(_row(label, sorted(members, key=lambda result: (result.seed, result.id))))
    rows.sort(key=lambda row: (-row.figures[DELTA].value, row.label))
    keys = tuple(key for key in SHOWN[results[0].protocol] if all(key in row.figures for row in rows))
    return Table(keys, tuple(r for r in rows if not r.oracle), tuple(r for r in rows if r.oracle))


def _row(label: str, results: list[Result]) -> Row:
    figures = {}
    for key in results[0].metrics:
        bounds = [result.intervals.get(key) for result in results]
        lows, highs = [b.low for b in bounds if b], [b.high for b in bounds if b]
        figures[key] = _over_seeds([result.metrics[key] for result in results], lows, highs)
    deltas = [result.deltas[DELTA] for result in results if DELTA in result.deltas]
    delta = None
    if deltas:
        delta = _over_seeds([d.value for d in deltas], [d.low for d in deltas], [d.high for d in deltas])
    return Row(label, tuple(results), figures, delta)


def _over_seeds(values: list[float], lows: list[float], highs: list[float]) -> Figure:
    """Mean over seeds; the interval (for the choice of images) is the seeds' mean interval, the spread is theirs."""
    return Figure(
        statistics.fmean(values),
        statistics.fmean(lows) if lows else None,
        statistics.fmean(highs) if highs else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )
