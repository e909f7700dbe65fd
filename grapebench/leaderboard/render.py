"""Tables for the terminal, and what they have in common with those of the page: figures, names, headlines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grapebench.evaluation.protocols import I2T
from grapebench.evaluation.significance import ALPHA
from grapebench.leaderboard.board import Figure, Row, Spent, Table, Versus, shown

if TYPE_CHECKING:
    from rich.console import Group

    from grapebench.leaderboard.results import Result, Seen

ORACLE = "looks at the answer: the ceiling, not ranked"
FAIR = "‡"
"""Marks the name of the best row without a language model, or `raw` where none is better."""
SEEN = "searched images that it had seen before, so not ranked"
NOTABLE = 0.01
"""The share of queries above which fallbacks and cuts are told beside a row's name."""
TROUBLED = (
    "More than 1 % of the queries fell back (no usable answer came, so they were searched as they are), or they or "
    "their answers were cut off"
)


def figure_name(key: str) -> str:
    """A figure's name for people: 'image→text R@1' for 'i2t_R@1'."""
    return "image→text " + key.removeprefix(I2T) if key.startswith(I2T) else key


def percent(figure: Figure) -> str:
    """`12.3 [10.1, 14.4]`, with `± 0.4` before the bracket over several seeds."""
    return _number(figure, "{:.1f}")


def difference(figure: Figure | None) -> str:
    """`+4.0 [+2.1, +6.0]` in percentage points."""
    return "–" if figure is None else _number(figure, "{:+.1f}")


def mark(versus: Versus) -> str:
    """▲ better and ▼ worse beyond chance, ≈ neither; empty where nothing was tested."""
    if versus.p is None:
        return ""
    return "≈" if versus.p > ALPHA else "▲" if versus.delta.value > 0 else "▼"


def record(versus: Versus | None) -> str:
    """`612/301/107`: queries won, tied and lost."""
    return "–" if versus is None or versus.p is None else f"{versus.wins}/{versus.ties}/{versus.losses}"


def p_value(versus: Versus | None) -> str:
    if versus is None or versus.p is None:
        return "–"
    return "<0.001" if versus.p < 0.001 else f"{versus.p:.3f}"


def troubles(results: Sequence[Result]) -> str:
    """`3.2 % fell back, 1.4 % cut`: what happened to more than 1 % of the queries, over some results; else empty."""
    shares = {
        "fell back": sum(one.fallback_share for one in results) / len(results),
        "cut": sum(one.cut_share for one in results) / len(results),
    }
    return ", ".join(f"{100 * share:.1f} % {what}" for what, share in shares.items() if share > NOTABLE)


def told(result: Result) -> str:
    """All that went wrong with a result's answers in one line, those that never came aside; empty where nothing did."""

    def counts(of: Mapping[str, int]) -> str:
        return ", ".join(f"{why} {count:,}" for why, count in sorted(of.items(), key=lambda one: (-one[1], one[0])))

    # Those whose answer never came are told of elsewhere.
    came = Counter(result.fallbacks) - Counter(result.unanswered)
    partial, lost = (sum(of.values()) for of in (result.partial, result.uncaptioned))
    lines = [f"{came.total():,} searched as they came ({counts(came)})"] if came else []
    lines += [f"{partial:,} with fewer answers than asked for ({counts(result.partial)})"] if partial else []
    lines += [f"cut off: {counts(result.cut)}"] if result.cut else []
    undetected = sum(result.undetected.values())
    lines += [f"{undetected:,} without concepts ({counts(result.undetected)})"] if undetected else []
    lines += [f"{lost:,} reference images without a caption ({counts(result.uncaptioned)})"] if lost else []
    return f"of {result.queries:,} queries " + "; ".join(lines) if lines else ""


def place(row: Row) -> str:
    """The rank, or the mark of a row that has none."""
    return _mark(row.results[0]).strip() or ("–" if row.rank is None else str(row.rank))


def _number(figure: Figure, form: str) -> str:
    def show(fraction: float) -> str:
        # A difference of -0.04 points is +0.0, not -0.0.
        return form.format(round(100 * fraction, 1) + 0.0)

    spread = "" if figure.spread is None else f" ± {100 * figure.spread:.1f}"
    if figure.low is None or figure.high is None:
        return show(figure.value) + spread
    return f"{show(figure.value)}{spread} [{show(figure.low)}, {show(figure.high)}]"


@dataclass(frozen=True)
class _Line:
    """One row of a table in the terminal."""

    cells: Sequence[str]
    style: str | None = None
    last: bool = False
    """A rule is drawn under it."""


def headline(table: Table) -> str:
    """What all rows of a table share, in one line."""
    one = table.first
    weights = one.retriever.description.get("weights_sha256") or one.retriever.fingerprint
    parts = [
        f"split {one.split}",
        f"protocol {one.protocol}",
        f"retriever {one.retriever.name} ({str(weights)[:12]})",
        asked(one),
        f"{one.gallery:,} images" + (f", {one.duplicates:,} of them duplicates" if one.duplicates else ""),
        f"version {one.benchmark}, revision {one.revision}",
    ]
    return " · ".join(parts)


def asked(result: Result) -> str:
    """`1,020 queries in 170 clusters`: over these intervals are drawn and tests are made; there are none without
    labels."""
    only = "" if result.limit is None else f" (only the first {result.limit:,})"
    told = "" if result.clusters is None else f" in {result.clusters:,} cluster{'s' * (result.clusters != 1)}"
    return f"{result.queries:,} queries{only}{told}"


def figure_columns(table: Table) -> list[str]:
    return ["Rewriter", *map(figure_name, table.keys), f"Δ {table.main}"]


def percent_or_none(row: Row, key: str, bounds: bool = True) -> str:
    figure = row.figures.get(key)
    if figure is None:
        return "–"
    return percent(figure if bounds else replace(figure, low=None, high=None))


def terminal(table: Table, marked: Iterable[str] = ()) -> Group:
    """The leaderboard for a terminal; rows that hold one of the `marked` result ids stand out.

    To fit 80 characters, the figures' intervals and ties are left to the page; and where rows are measured by other
    rows, the differences have a table of their own under that of the figures.
    """
    from rich.console import Group

    one, ids = table.first, set(marked)
    placed = any(row.rank is not None for row in table.ranked)
    apart = bool(table.references)
    caption = "Percent"
    caption += "." if apart else "; Δ in points to the raw query text, paired, with its 95 % interval over clusters."
    caption += " #: 1 + the rows that are better beyond chance; what no paired test tells apart shares it." * placed
    caption += f" † {SEEN}." if table.seen else ""
    caption += f" * {ORACLE}." if table.oracles else ""
    troubled = [f"{row.label} {some}" for row in table.rows if (some := troubles(row.results))]
    caption += f" ! {TROUBLED}: {'; '.join(troubled)}." if troubled else ""
    rows = []
    for group in (table.ranked, table.seen, table.oracles):
        for row in group:
            figures = [percent_or_none(row, key, bounds=False) for key in table.keys]
            cells = [cell.replace(" ±", "\n±") for cell in figures]
            cells += [] if apart else [difference(row.delta).replace(" [", "\n[")]
            style = _style(row, ids)
            rank = [place(row)] if placed else []
            name = row_name(row) + (" !" if troubles(row.results) else "")
            rows.append(_Line([*rank, name, *cells], style, last=row is group[-1]))
    title = f"Leaderboard: {one.task} · suite {one.suite} · {headline(table)}"
    columns = [*(["#"] if placed else []), *(figure_columns(table)[:-1] if apart else figure_columns(table))]
    found = _table(title, columns, rows, caption, name=int(placed))
    return Group(found, differences(table, ids)) if apart else found


def _style(row: Row, ids: set[str]) -> str | None:
    return "bold" if ids & {result.id for result in row.results} else None


def differences(table: Table, marked: Iterable[str] = ()) -> Group:
    """What each row is ahead of those that rows are measured by; as in `terminal`, some rows stand out."""
    ids = set(marked)
    caption = (
        "In points, paired, with its 95 % interval over clusters: ▲ better and ▼ worse beyond chance, ≈ neither (p "
    )
    caption += "above 0.05, after correction for the number of rows). raw: the raw query text."
    if table.fair is not None:
        caption += f" {FAIR}: the best without a language model."
    rows = []
    for group in (table.ranked, table.seen, table.oracles):
        for row in group:
            cells = [_marked(versus) for versus in (row.raw, *row.against)]
            rows.append(_Line([row_name(row), *cells], _style(row, ids), last=row is group[-1]))
    columns = ["Rewriter", *(f"to {name}" for name in reference_names(table))]
    return _table(f"Δ {table.main}", columns, rows, caption)


def _marked(versus: Versus | None) -> str:
    """`+4.0 ▲` over its interval."""
    if versus is None:
        return "–"
    value, bracket, bounds = difference(versus.delta).partition(" [")
    return f"{value} {mark(versus)}".strip() + bracket.replace(" ", "\n") + bounds


def results(found: Sequence[Result]) -> Group:
    """Some results of one table, each with its intervals and the beginning of its id, for a terminal."""
    one = found[0]
    keys = [key for key in shown(one.protocol) if key in one.metrics][:3]
    seeds = len({result.seed for result in found}) > 1
    columns = ["Rewriter", *(["Seed"] if seeds else []), *map(figure_name, keys), "Result"]
    rows = []
    for result in found:
        figures = [percent(result_figure(result, key)).replace(" [", "\n[") for key in keys]
        seed = [str(result.seed)] if seeds else []
        name = result.rewriter.name + _mark(result) + (" !" if troubles([result]) else "")
        rows.append(_Line([name, *seed, *figures, result.id[:8]]))
    title = f"Results: {one.task} · suite {one.suite} · split {one.split} · protocol {one.protocol} · {asked(one)}"
    caption = "" if one.labelled else "The labels of this split are not public: nothing can be measured here."
    return _table(title, columns, rows, caption)


def result_figure(result: Result, key: str) -> Figure:
    """One figure of one result with its interval, where it has one."""
    bounds = result.intervals.get(key)
    return Figure(result.metrics[key], *((bounds.low, bounds.high) if bounds else ()))


def seen_before(seen: Seen | None) -> str:
    """Which images a rewriter had seen, in training or beside it, before it searched them; empty where none."""
    return f"had seen {seen.images:,} of the {seen.gallery:,} images ({', '.join(seen.sources)})" if seen else ""


def cost(row: Row) -> str:
    """`35 + 12 tokens, 8.1 ms, 0.42 paid`, over all seeds; what is not known is left out."""
    return spent(row.spent)


def spent(cost: Spent) -> str:
    """Tokens and milliseconds are of one query, money is of all of a task; what rounds to nothing is left out."""
    told = [f"{cost.read:.0f} + {cost.written:.0f} tokens"] if cost.read or cost.written else []
    told += [f"{cost.ms:.1f} ms"] if cost.ms is not None and cost.ms >= 0.05 else []
    told += [f"{cost.money:.4g} paid"] if cost.money else []
    return ", ".join(told) or "–"


def row_name(row: Row) -> str:
    """The row's label with the mark of a row that is not ranked."""
    return row.label + _mark(row.results[0])


def reference_names(table: Table) -> list[str]:
    """What rows are measured by, `raw` first; the best of them that has no language model is marked."""
    first = "raw" + f" {FAIR}" * (table.fair == "")
    return [first, *(label + f" {FAIR}" * (label == table.fair) for label in table.references)]


def _mark(result: Result) -> str:
    return " *" if result.rewriter.oracle else " †" if result.seen else ""


def parts(table: Table) -> Group:
    """The main figure of each language or group of categories, one a line, for a terminal."""
    head, *lines = parts_lines(table)
    return _table(f"{table.first.task} · {parts_title(table)}", head, [_Line(line) for line in lines])


def parts_title(table: Table) -> str:
    return f"{figure_name(table.main)} by {table.parted_by}"


def parts_lines(table: Table) -> list[list[str]]:
    """A head, one line a part with a column for each rewriter, and the whole."""
    whole = "mean" if table.parted_by == "language" else "all"
    lines = [[table.parted_by.capitalize(), *(row_name(row) for row in table.rows)]]
    for name, key in [*((part, f"{table.main}/{part}") for part in table.parts), (whole, table.main)]:
        figures = [row.figures.get(key) for row in table.rows]
        lines.append([name, *("–" if figure is None else f"{100 * figure.value:.1f}" for figure in figures)])
    return lines


def _table(title: str, columns: Sequence[str], rows: Sequence[_Line], caption: str = "", name: int = 0) -> Group:
    """A table between its title and caption, which are as wide as the terminal; `name` is the column of names."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(columns):
        whole = position <= name
        table.add_column(column, justify="left" if position == name else "right", no_wrap=whole, overflow="fold")
    for row in rows:
        # Text of a result is shown as it is, never read as markup.
        table.add_row(*map(Text, row.cells), style=row.style, end_section=row.last)
    below = [Text(caption, style="dim italic")] if caption else []
    return Group(Text(title, style="italic"), table, *below, "")
