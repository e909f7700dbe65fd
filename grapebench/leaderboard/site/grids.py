"""Tables as the templates show them: text that is ready to read, and numbers to sort by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grapebench.leaderboard import render
from grapebench.leaderboard.board import Figure, Overall, Row, Spent, Table, Total, Versus, parts

if TYPE_CHECKING:
    from grapebench.cards import TaskCard
    from grapebench.leaderboard.results import Result


@dataclass(frozen=True)
class Column:
    title: str
    about: str = ""
    """A sentence for those who ask what it is."""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    text: str
    more: tuple[str, ...] = ()
    """Lines under it, smaller."""
    sort: float | str | None = None
    """What the column is sorted by; None comes last whichever way."""
    bar: tuple[float, float, float] | None = None
    """An interval and the value in it, in percent, to be drawn."""


@dataclass(frozen=True)
class Link:
    text: str
    href: str
    about: str


@dataclass(frozen=True)
class Line:
    """A row: its head, then its cells."""

    label: str
    href: str
    about: str
    mechanism: str
    cells: tuple[Cell, ...]
    links: tuple[Link, ...] = ()
    oracle: bool = False
    troubles: str = ""
    """What went wrong with many of its answers."""


@dataclass(frozen=True)
class Group:
    """Rows that are sorted among themselves."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Grid:
    caption: str
    head: str
    """What the rows are."""
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    linked: bool = False
    """Whether rows end in links to single results."""


NONE = Cell("–")


def result_href(result: Result) -> str:
    return f"results/{result.id}.html"


def board_grid(table: Table) -> Grid:
    """The table of a task as it stands on the board."""
    main = table.main
    columns = [
        Column("Rank", "1 + the number of rewriters that are better beyond chance: equal ranks cannot be told apart"),
        *(Column(render.figure_name(key), "percent, with its 95 % interval over clusters") for key in table.keys),
        *(Column(f"Δ {main} to {name}", about) for name, about in _references(table)),
        Column(
            "Win / tie / loss", "queries whose right image stands higher, the same, or lower than with the raw text"
        ),
        Column("Tokens", "read + written, a query"),
        Column("ms", "milliseconds that rewriting took, a query"),
    ]
    groups = [
        Group(title, tuple(_board_line(table, row) for row in rows))
        for title, rows in (
            ("", table.ranked),
            ("Had seen images that they searched: not ranked", table.seen),
            ("Oracles: they look at the answer, not ranked", table.oracles),
        )
        if rows
    ]
    caption = f"{table.first.task}: {table.first.split}, protocol {table.first.protocol}"
    return Grid(caption, "Rewriter", tuple(columns), tuple(groups), linked=True)


def _references(table: Table) -> list[tuple[str, str]]:
    """What rows are measured by, each with a sentence."""
    raw, *others = render.reference_names(table)
    told = [(raw, "points over searching the raw query text, paired by query")]
    told += [(name, "points over that row, paired by query") for name in others]
    best = "; without a language model nothing is better: the fair reference"
    return [(name, about + best * name.endswith(render.FAIR)) for name, about in told]


def _board_line(table: Table, row: Row) -> Line:
    cells = [
        Cell("–" if row.rank is None else str(row.rank), sort=row.rank),
        *(_figure(row.figures.get(key), bar=key == table.main) for key in table.keys),
        _versus(row.raw),
        *(_versus(row.against[place]) if place < len(row.against) else NONE for place in range(len(table.references))),
        _outcome(row.raw),
        *_spent(row.spent),
    ]
    seeds = [
        Link(f"seed {one.seed}", result_href(one), f"{row.label}, seed {one.seed}: the result") for one in row.results
    ]
    one = row.results[0].rewriter
    return Line(
        row.label, result_href(row.results[0]), row.title, one.mechanism, tuple(cells), tuple(seeds), one.oracle,
        render.troubles(row.results),
    )  # fmt: skip


def _figure(figure: Figure | None, *, bar: bool = False) -> Cell:
    if figure is None:
        return NONE
    text, interval = _split(render.percent(figure))
    drawn = None
    if bar and figure.low is not None and figure.high is not None:
        drawn = (round(100 * figure.low, 1), round(100 * figure.value, 1), round(100 * figure.high, 1))
    return Cell(text, (interval,) if interval else (), figure.value, drawn)


def _split(text: str) -> tuple[str, str]:
    value, bracket, interval = text.partition(" [")
    return value, bracket.strip() + interval


def _versus(versus: Versus | None) -> Cell:
    if versus is None:
        return NONE
    text, interval = _split(render.difference(versus.delta))
    told = [interval] if interval else []
    told += [f"p {render.p_value(versus)} {render.mark(versus)}"] if versus.p is not None else []
    return Cell(text, tuple(told), versus.delta.value)


def _outcome(versus: Versus | None) -> Cell:
    if versus is None or not versus.wins + versus.ties + versus.losses:
        return NONE
    text = f"{versus.wins:,} / {versus.ties:,} / {versus.losses:,}"
    return Cell(text, sort=versus.wins - versus.losses)


def _spent(spent: Spent) -> tuple[Cell, Cell]:
    tokens = Cell(f"{spent.read:,.0f} + {spent.written:,.0f}", sort=spent.read + spent.written)
    if not spent.read and not spent.written:
        tokens = Cell("0", sort=0)
    if spent.money:
        tokens = replace(tokens, more=(f"{spent.money:.4g} paid",))
    return tokens, NONE if spent.ms is None else Cell(f"{spent.ms:,.1f}", sort=spent.ms)


def overall_grid(overall: Overall) -> Grid:
    """Rewriters over tasks."""
    count = len(overall.tasks)
    columns = [
        Column("Mean R@10", "the mean over the tasks, each counting the same"),
        Column("Mean Δ to raw", "points over searching the raw query text"),
        Column(f"Mean Δ to {render.FAIR}", "points over each task's best row without a language model"),
        Column("Mean rank", "of the ranks in the tasks' tables"),
        *(Column(task, "R@10 of the task") for task in overall.tasks),
        Column("Tasks", "how many of the tasks it has"),
        Column("Tokens", "read + written, a query"),
        Column("ms", "milliseconds that rewriting took, a query"),
    ]
    groups = [
        Group(title, tuple(_total_line(overall, one, count) for one in totals))
        for title, totals in (
            ("", overall.ranked),
            ("Not of all tasks, so without a mean", overall.partial),
            ("Oracles: they look at the answer, not ranked", overall.oracles),
        )
        if totals
    ]
    one = overall.tables[0].first
    return Grid(f"Over {count} tasks, retriever {one.retriever.name}", "Rewriter", tuple(columns), tuple(groups))


def _total_line(overall: Overall, total: Total, count: int) -> Line:
    rows = [total.rows.get(task) for task in overall.tasks]
    figures = [NONE if row is None else _figure(row.figures.get("R@10")) for row in rows]
    whole = [
        Cell(f"{100 * total.figure:.1f}", sort=total.figure),
        *(NONE if one is None else Cell(render.difference(Figure(one)), sort=one) for one in (total.delta, total.fair)),
        NONE if total.rank is None else Cell(f"{total.rank:.1f}", sort=total.rank),
    ]
    spent = _spent(total.spent)
    cells = [
        *(whole if not total.missing else [NONE] * len(whole)),
        *(replace(cell, more=()) for cell in figures),
        Cell(f"{count - len(total.missing)} of {count}", sort=count - len(total.missing)),
        *(spent if not total.missing else [NONE] * len(spent)),
    ]
    first = next(row for row in rows if row is not None)
    one = first.results[0].rewriter
    return Line(total.label, "", first.title, one.mechanism, tuple(cells), oracle=one.oracle)


def parts_grid(table: Table) -> Grid | None:
    """The main figure by language or category, a line for each."""
    if not table.parts:
        return None
    head, *lines = render.parts_lines(table)
    found = tuple(
        Line(line[0], "", "", "", tuple(Cell(text, sort=None if text == "–" else float(text)) for text in line[1:]))
        for line in lines
    )
    groups = (Group("", found[:-1]), Group("", found[-1:]))
    return Grid(render.parts_title(table), head[0], tuple(Column(name) for name in head[1:]), groups)


def published_grid(cards: Mapping[str, TaskCard]) -> Grid | None:
    """What papers print."""
    printed = [(name, entry) for name, card in sorted(cards.items()) for entry in card.published]
    if not printed:
        return None
    keys = sorted({key for _, entry in printed for key in entry.metrics}, key=_metric_order)
    figures = [Column(render.figure_name(key)) for key in keys]
    columns = (Column("Method", numeric=False), *figures, Column("Source", numeric=False))
    lines = []
    for name, entry in printed:
        values = [Cell(f"{entry.metrics[k]:.1f}", sort=entry.metrics[k]) if k in entry.metrics else NONE for k in keys]
        cells = (Cell(entry.method, sort=entry.method), *values, Cell(entry.source, sort=entry.source))
        lines.append(Line(name, "", "", "", cells))
    return Grid("Figures that papers print", "Task", columns, (Group("", tuple(lines)),))


def _metric_order(key: str) -> tuple[str, int, str]:
    name, _, k = key.partition("@")
    return name, int(k) if k.isdigit() else 0, key


def figures_grid(result: Result, *, of_parts: bool) -> Grid | None:
    """A result's figures before and after; those of single languages or categories, or the others."""
    keys = [key for key in result.metrics if ("/" in key) is of_parts and key != "median_rank"]
    if of_parts:
        order = {name: place for place, name in enumerate(_parts_of(result))}
        keys.sort(key=lambda key: order.get(key.partition("/")[2], len(order)))
    lines = [Line(render.figure_name(key), "", "", "", _change(result, key)) for key in keys]
    if not of_parts and "median_rank" in result.metrics:
        before, after = (side["median_rank"] for side in (result.metrics_before, result.metrics))
        lines.append(
            Line("median rank", "", "", "", (Cell(f"{before:g}"), Cell(f"{after:g}"), Cell(f"{after - before:+g}")))
        )
    if not lines:
        return None
    columns = (
        Column("Before", "the raw query text"),
        Column("After", "the rewrites, with the 95 % interval over clusters"),
        Column("Δ", "points, paired by query, with its 95 % interval"),
    )
    caption = "Figures by language or category" if of_parts else "Figures, percent"
    return Grid(caption, "Figure", columns, (Group("", tuple(lines)),))


def _parts_of(result: Result) -> list[str]:
    found = {key.partition("/")[0] for key in result.metrics if "/" in key}
    return [part for key in sorted(found) for part in parts(key, [result])]


def _change(result: Result, key: str) -> tuple[Cell, ...]:
    before, delta = result.metrics_before.get(key), result.deltas.get(key)
    return (
        NONE if before is None else Cell(f"{100 * before:.1f}", sort=before),
        _figure(render.result_figure(result, key), bar=True),
        NONE if delta is None else _versus(Versus(Figure(delta.value, delta.low, delta.high))),
    )


def mechanisms(grids: Sequence[Grid]) -> list[str]:
    return sorted({line.mechanism for grid in grids for group in grid.groups for line in group.lines} - {""})
