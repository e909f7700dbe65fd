"""From results to tables: what may be compared stands in one table, and nothing else does."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.files import sha256_json
from grapebench.leaderboard.results import Result


def shown(protocol: str) -> tuple[str, ...]:
    """The figures of a protocol that tables show: every R@K over the gallery, the first of each other kind."""
    one = PROTOCOLS[protocol]
    main = (f"R@{k}" for k in one.ks) if one.ks else one.query_keys
    return (*main, *(f"R_subset@{k}" for k in one.subset_ks[:1]), *one.image_keys[:1])


def main_figure(protocol: str) -> str:
    """The figure of a protocol that ranks."""
    return "mAP" if "mAP" in PROTOCOLS[protocol].keys else "R@10"


@dataclass(frozen=True)
class Figure:
    """A fraction with its 95 % interval and, over several seeds, its standard deviation."""

    value: float
    low: float | None = None
    high: float | None = None
    spread: float | None = None


@dataclass(frozen=True)
class Versus:
    """A row against a baseline, paired by query."""

    delta: Figure
    """Of the main figure."""
    p: float | None = None
    """Two-sided, by sign flips of whole clusters, after Holm's correction over the rows of the table that are compared
    with the same baseline; None where there were no ranks to test, and then nothing is counted either."""
    wins: int = 0
    """Queries whose right image stands higher than with the baseline, or whose average precision is higher where a
    whole category is right; with several seeds by the mean over each side's."""
    ties: int = 0
    losses: int = 0


@dataclass(frozen=True)
class Spent:
    """What rewriting took, the mean over the seeds of a row or over the tasks of a rewriter."""

    read: float
    """Tokens that the rewriter's model read, a query."""
    written: float
    """Tokens that it wrote, a query."""
    ms: float | None
    """Milliseconds a query; None where that is not known."""
    money: float
    """For all queries of a task, in the currency of the card's prices; 0 where no price is known."""


@dataclass(frozen=True)
class Row:
    """One rewriter in a table, all its seeds together."""

    label: str
    """The rewriter's name; where two of that name differ, with the captioner, or the beginning of its fingerprint."""
    results: tuple[Result, ...]
    """One for each seed, by seed."""
    figures: dict[str, Figure]
    """Those that all its results have."""
    raw: Versus | None
    """Against searching the raw query text; None where a result does not say."""
    against: tuple[Versus | None, ...] = ()
    """Against each of the table's references; None to itself and where that is not known. See `standings.stand`."""
    rank: int | None = None
    """1 + the number of ranked rows of the table that are better beyond chance, so that rows which cannot be told
    apart from the best share the first; None for rows that are not ranked, or came without ranks."""

    @property
    def delta(self) -> Figure | None:
        """Of the main figure to the raw query text."""
        return None if self.raw is None else self.raw.delta

    @property
    def spent(self) -> Spent:
        costs = [result.cost for result in self.results]
        queries = sum(result.queries for result in self.results)
        times = [one.ms_per_query for one in costs if one.ms_per_query is not None]
        return Spent(
            sum(one.prompt_tokens for one in costs) / queries,
            sum(one.completion_tokens for one in costs) / queries,
            statistics.fmean(times) if times else None,
            statistics.fmean(one.money for one in costs),
        )

    @property
    def oracle(self) -> bool:
        return self.results[0].rewriter.oracle

    @property
    def seen(self) -> bool:
        """Whether the rewriter had seen images that it searched."""
        return self.results[0].seen is not None

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(result.seed for result in self.results)

    @property
    def title(self) -> str:
        return self.results[0].rewriter.title


@dataclass(frozen=True)
class Table:
    """Rows that can be compared: one suite, task, version and revision, split, protocol, data and retriever."""

    keys: tuple[str, ...]
    """The figures shown."""
    ranked: tuple[Row, ...]
    """By the main figure, best first; equals by name."""
    seen: tuple[Row, ...]
    """Rows of rewriters that had seen images they searched, in the same order."""
    oracles: tuple[Row, ...]
    """Rows that look at the answer, in the same order."""
    references: tuple[str, ...] = ()
    """Labels of the rows that others are measured by, as far as there is a difference to show; `fair` first."""
    fair: str | None = None
    """Label of the best row without a language model, '' where none is better than the raw query text: what a rewriter
    with one has to beat. None where there were no ranks to compare by."""

    @property
    def first(self) -> Result:
        """A result that speaks for all on what they share: suite, task, split, retriever, sizes."""
        return self.rows[0].results[0]

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.ranked + self.seen + self.oracles

    def fairly(self, row: Row) -> Versus | None:
        """One of its rows against the best one without a language model; None to itself and where that is not known."""
        if not self.fair:
            return None if self.fair is None else row.raw
        return row.against[self.references.index(self.fair)]

    @property
    def main(self) -> str:
        """The figure that ranks."""
        return main_figure(self.first.protocol)

    @property
    def parts(self) -> tuple[str, ...]:
        """What is reported one by one: languages, or groups of categories where there are such. Else empty."""
        results = [result for row in self.rows for result in row.results]
        found = parts(self.main, results)
        groups = {group for result in results for group in result.groups.values()}
        return tuple(name for name in found if name in groups) or found

    @property
    def parted_by(self) -> str:
        """What `parts` are: 'language', 'group' or 'category'."""
        if PROTOCOLS[self.first.protocol].by == "language":
            return "language"
        return "group" if set(self.parts) & set(self.first.groups.values()) else "category"


@dataclass(frozen=True)
class Total:
    """One rewriter over several tasks."""

    label: str
    rows: Mapping[str, Row]
    """By task, those that it has."""
    missing: tuple[str, ...]
    """Tasks that it lacks, or whose images it had seen."""
    figure: float
    """Mean R@10 over the tasks that it has, each counting the same."""
    delta: float | None
    """The same of the difference to the raw query text."""
    fair: float | None
    """The same of the difference to each task's best row without a language model."""
    rank: float | None
    """The same of its ranks; None where a row has none."""
    spent: Spent


@dataclass(frozen=True)
class Overall:
    """Rewriters over the tasks of one suite, version and retriever, each task by its own protocol and split."""

    tables: tuple[Table, ...]
    """One a task."""
    ranked: tuple[Total, ...]
    """Those that have all tasks, by the mean figure, best first."""
    partial: tuple[Total, ...]
    """Those that lack one: not ranked, by name."""
    oracles: tuple[Total, ...]
    """Those that look at the answer."""

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(table.first.task for table in self.tables)


def parts(key: str, results: Iterable[Result]) -> tuple[str, ...]:
    """The parts (`de`, `1-panda`, `Animals`) that a figure is reported of; numbered ones by number."""
    start = f"{key}/"
    found = {figure.removeprefix(start) for result in results for figure in result.metrics if figure.startswith(start)}
    return tuple(sorted(found, key=_by_number))


def _by_number(part: str) -> tuple[int, str]:
    number = part.partition("-")[0]
    return (int(number) if number.isdecimal() else 0, part)


def comparable(result: Result) -> tuple[object, ...]:
    """Two results may stand in one table where this is equal; sorts by what a reader looks for."""
    return (
        result.suite,
        result.task,
        result.split,
        result.protocol,
        result.retriever.name,
        result.limit or 0,
        _descending(result.benchmark),
        -result.revision,
        result.retriever.fingerprint,
        result.data.dataset,
        result.data.images or "",
    )


def _descending(version: str) -> tuple[int, ...]:
    """Newer versions first."""
    return tuple(-int(number) for number in version.split("."))


def tables(results: Iterable[Result]) -> list[Table]:
    """All tables of some results, in a fixed order whatever the order of the results.

    Results without public labels have no figures and are left out.
    """
    together: dict[tuple[object, ...], list[Result]] = defaultdict(list)
    for result in results:
        if result.labelled:
            together[comparable(result)].append(result)
    return [_table(together[key]) for key in sorted(together, key=lambda key: tuple(map(_sortable, key)))]


def _sortable(value: object) -> tuple[tuple[int, ...], str]:
    if isinstance(value, tuple):
        return value, ""
    return ((value,), "") if isinstance(value, int) else ((0,), str(value))


def _table(results: list[Result]) -> Table:
    protocol = results[0].protocol
    configurations = _configurations(results)
    rows = []
    for one, members in configurations.items():
        namesakes = [other for other in configurations if other.name == one.name]
        rows.append(_row(one.label(namesakes), sorted(members, key=lambda result: (result.seed, result.id))))
    rows.sort(key=lambda row: (-row.figures[main_figure(protocol)].value, row.label))
    return Table(
        # Results of an earlier version lack figures that were added since.
        keys=tuple(key for key in shown(protocol) if any(key in row.figures for row in rows)),
        ranked=tuple(row for row in rows if not row.oracle and not row.seen),
        seen=tuple(row for row in rows if row.seen and not row.oracle),
        oracles=tuple(row for row in rows if row.oracle),
    )


def _configurations(results: Sequence[Result]) -> dict[_Configuration, list[Result]]:
    """The results of each row: those of one rewriter but for its seed."""
    found: dict[_Configuration, list[Result]] = defaultdict(list)
    for result in results:
        one = _Configuration.of(result)
        found[replace(one, fingerprint=result.rewriter.across_seeds or one.fingerprint)].append(result)
    for one, members in list(found.items()):
        # Trained anew with the same seed: which of the two belongs to the other seeds nobody knows.
        weights = {(result.seed, result.rewriter.fingerprint) for result in members}
        if len(weights) > len({seed for seed, _ in weights}):
            del found[one]
            for result in members:
                found[_Configuration.of(result)].append(result)
    return found


@dataclass(frozen=True)
class _Configuration:
    """What makes one row."""

    name: str
    fingerprint: str
    """Of the rewriter, or of what its seeds share where each has weights of its own."""
    captioner: str
    """Its name; '' where there is none."""
    captions: str
    """The hash of all that determines its captions."""
    seen: bool

    @classmethod
    def of(cls, result: Result) -> _Configuration:
        captions = sha256_json(result.determinants.get("captioner"))
        one = result.rewriter
        return cls(one.name, one.fingerprint, one.captioner or "", captions, result.seen is not None)

    def label(self, namesakes: Sequence[_Configuration]) -> str:
        """The name, and what tells it from others of that name: rows with nothing else apart differ in their mark."""

        def differ(field: str) -> bool:
            return len({getattr(one, field) for one in namesakes}) > 1

        more = [self.captioner or "no captions"] if differ("captioner") else []
        alike = [one for one in namesakes if one.captioner == self.captioner]
        if len({one.captions for one in alike}) > 1:
            more.append(f"captions {self.captions[:8]}")
        if differ("fingerprint"):
            more.append(self.fingerprint[:8])
        return f"{self.name} ({', '.join(more)})" if more else self.name


def _row(label: str, results: Sequence[Result]) -> Row:
    figures = {}
    for key in results[0].metrics:
        if not all(key in result.metrics for result in results):
            continue
        bounds = [result.intervals.get(key) for result in results]
        lows, highs = [b.low for b in bounds if b], [b.high for b in bounds if b]
        figures[key] = over_seeds([result.metrics[key] for result in results], lows, highs)
    main = main_figure(results[0].protocol)
    deltas = [result.deltas[main] for result in results if main in result.deltas]
    delta = None
    if deltas:
        delta = over_seeds([d.value for d in deltas], [d.low for d in deltas], [d.high for d in deltas])
    return Row(label, tuple(results), figures, None if delta is None else Versus(delta))


def over_seeds(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> Figure:
    """Mean over seeds; the interval (for the choice of images) is the seeds' mean interval, the spread is theirs."""
    return Figure(
        statistics.fmean(values),
        statistics.fmean(lows) if lows else None,
        statistics.fmean(highs) if highs else None,
        statistics.stdev(values) if len(values) > 1 else None,
    )
