"""Tables for people: Markdown for LEADERBOARD.md and rich tables for the terminal, from the same cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grapebench.leaderboard.board import DELTA, SHOWN, Figure, Row, Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable
    from rich.text import Text

    from grapebench.cards import TaskCard
    from grapebench.leaderboard.results import Result

SUITES = {
    "mini": (
        "The generated miniature (`--suite mini`)",
        "Small generated pictures and a small retriever that ship with grapebench and run anywhere. The tasks bear the "
        "names of the real benchmarks and shift the queries in the same way, but **no figure here says anything of the "
        "real ones**.",
    ),
    "full": ("The real benchmarks (`--suite full`)", "Official annotation files, real images, real weights."),
}
_ORACLE = "looks at the answer: the ceiling, not ranked"


def percent(figure: Figure) -> str:
    """`12.3 [10.1, 14.4]`, with `± 0.4` before the bracket over several seeds."""
    return _number(figure, "{:.1f}")


def difference(figure: Figure | None) -> str:
    """`+4.0 [+2.1, +6.0]` in percentage points."""
    return "–" if figure is None else _number(figure, "{:+.1f}")


def _number(figure: Figure, form: str) -> str:
    def show(fraction: float) -> str:
        # A difference of -0.04 points is +0.0, not -0.0.
        return form.format(round(100 * fraction, 1) + 0.0)

    spread = "" if figure.spread is None else f" ± {100 * figure.spread:.1f}"
    if figure.low is None or figure.high is None:
        return show(figure.value) + spread
    return f"{show(figure.value)}{spread} [{show(figure.low)}, {show(figure.high)}]"


def headline(table: Table) -> str:
    """What all rows of a table share, in one line."""
    one = table.first
    weights = one.retriever.description.get("weights_sha256") or one.retriever.fingerprint
    parts = [
        f"split {one.split}",
        f"retriever {one.retriever.name} ({str(weights)[:12]})",
        f"{one.queries:,} queries" + ("" if one.limit is None else f" (only the first {one.limit:,})"),
        f"{one.gallery:,} images" + (f", {one.duplicates:,} of them duplicates" if one.duplicates else ""),
        f"revision {one.revision}",
    ]
    return " · ".join(parts)


def _columns(table: Table) -> list[str]:
    return ["Rewriter", *table.keys, f"Δ {DELTA}", "Ties", "Fallbacks", "Result"]


def _cells(table: Table, row: Row, links: Mapping[str, str]) -> list[str]:
    count = len(row.results)
    ties = sum(result.ties for result in row.results) / count
    fallbacks = sum(sum(result.fallbacks.values()) / result.queries for result in row.results) / count
    return [
        _escape(row.label),
        *(percent(row.figures[key]) for key in table.keys),
        difference(row.delta),
        f"{100 * ties:.1f} %",
        f"{100 * fallbacks:.1f} %",
        _results(row, links),
    ]


def terminal(table: Table, marked: Iterable[str] = ()) -> RichTable:
    """The leaderboard for a terminal; rows that hold one of the `marked` result ids stand out.

    To fit 80 characters, the figures' intervals, ties and fallbacks are left to the page.
    """
    one, ids = table.first, set(marked)
    caption = "Percent; Δ in points to the raw query text, paired, with its 95 % interval over images."
    if table.oracles:
        caption += f" * {_ORACLE}."
    title = f"Leaderboard: {one.task} · suite {one.suite} · {headline(table)}"
    shown = _rich_table(title, ["Rewriter", *table.keys, f"Δ {DELTA}"], caption)
    for row in table.rows:
        figures = [percent(replace(row.figures[key], low=None, high=None)) for key in table.keys]
        cells = [cell.replace(" ±", "\n±") for cell in figures] + [difference(row.delta).replace(" [", "\n[")]
        style = "bold" if ids & {result.id for result in row.results} else None
        apart = bool(table.ranked and table.oracles) and row is table.ranked[-1]
        shown.add_row(*map(_plain, [_name(row), *cells]), style=style, end_section=apart)
    return shown


def results(found: Sequence[Result]) -> RichTable:
    """Some results of one table, each with its intervals and the beginning of its id, for a terminal."""
    one = found[0]
    keys = [key for key in SHOWN[one.protocol] if key in one.metrics][:3]
    seeds = len({result.seed for result in found}) > 1
    columns = ["Rewriter", *(["Seed"] if seeds else []), *keys, "Result"]
    shown = _rich_table(f"Results: {one.task} · suite {one.suite} · split {one.split}", columns)
    for result in found:
        figures = [result_figure(result, key) for key in keys]
        seed = [str(result.seed)] if seeds else []
        cells = [
            result.rewriter.name,
            *seed,
            *(percent(figure).replace(" [", "\n[") for figure in figures),
            result.id[:8],
        ]
        shown.add_row(*map(_plain, cells))
    return shown


def result_figure(result: Result, key: str) -> Figure:
    """One figure of one result with its interval, where it has one."""
    bounds = result.intervals.get(key)
    return Figure(result.metrics[key], *((bounds.low, bounds.high) if bounds else ()))


def languages(table: Table) -> RichTable:
    """R@10 of each language, one a line, for a terminal."""
    title = f"{table.first.task} · {DELTA} by language"
    shown = _rich_table(title, ["Language", *(_name(row) for row in table.rows)])
    columns = [_language_cells(table, row)[1:] for row in table.rows]
    for language, *cells in zip([*table.languages, "mean"], *columns, strict=True):
        shown.add_row(*map(_plain, [language, *cells]))
    return shown


def _rich_table(title: str, columns: Sequence[str], caption: str | None = None) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(
        title=_plain(title), caption=caption and _plain(caption), box=box.SIMPLE_HEAD, pad_edge=False,
        title_justify="left", caption_justify="left",
    )  # fmt: skip
    for position, column in enumerate(columns):
        shown.add_column(column, justify="left" if position == 0 else "right", no_wrap=position == 0)
    return shown


def _plain(text: str) -> Text:
    """Text of a result is shown as it is, never read as markup."""
    from rich.text import Text

    return Text(text)


def _name(row: Row) -> str:
    return row.label + (" *" if row.oracle else "")


def _language_cells(table: Table, row: Row) -> list[str]:
    keys = [*(f"{DELTA}/{language}" for language in table.languages), DELTA]
    known = [row.figures.get(key) for key in keys]
    return [_name(row), *("–" if figure is None else f"{100 * figure.value:.1f}" for figure in known)]


def markdown(tables: Sequence[Table], cards: Mapping[str, TaskCard], links: Mapping[str, str]) -> str:
    """The whole LEADERBOARD.md.

    `cards` by task name give titles and the papers' figures; `links` by result id lead to the result's folder.
    One line holds one row, so that a new result is a small difference.
    """
    lines = [
        "# Leaderboard",
        "",
        "Built by `grapebench leaderboard build` from the results beside it; not edited by hand.",
        "R@K in percent, with 95 % intervals by a bootstrap over images. Δ is the paired difference to searching the "
        "raw query text (`identity`), in percentage points. Over several seeds: their mean ± standard deviation. Ties: "
        "queries where another image scores exactly as the target (counted against it). Fallbacks: queries that were "
        "searched as they came because the rewrite could not be used. "
        f"An oracle {_ORACLE}.",
    ]
    for suite, (title, about) in SUITES.items():
        chosen = [table for table in tables if table.first.suite == suite]
        if chosen:
            lines += ["", f"## {title}", "", about]
        seen = set()
        for table in chosen:
            task = table.first.task
            if task not in seen:
                seen.add(task)
                card = cards.get(task)
                lines += ["", f"### {_escape(task)}" + (f": {_escape(card.title)}" if card else "")]
            lines += _section(table, links)
    return "\n".join(lines + _published(cards)) + "\n"


def _section(table: Table, links: Mapping[str, str]) -> list[str]:
    lines = ["", _escape(headline(table)), "", *_head(_columns(table))]
    for row in table.ranked:
        lines.append(_line(_cells(table, row, links)))
    if table.oracles:
        lines += ["", f"Oracle ({_ORACLE}):", "", *_head(_columns(table))]
        for row in table.oracles:
            lines.append(_line(_cells(table, row, links)))
    if table.languages:
        lines += ["", f"{DELTA} by language:", "", *_head(["Rewriter", *table.languages, "mean"])]
        lines += [_line([_escape(cell) for cell in _language_cells(table, row)]) for row in table.rows]
    lines += ["", "Commands:", ""]
    for row in table.rows:
        lines += [f"- {_escape(row.label)}: {_code(result.command)}{_commit(result)}" for result in row.results]
    return lines


def _results(row: Row, links: Mapping[str, str]) -> str:
    return " ".join(f"[{result.id}]({links[result.id]})" if result.id in links else result.id for result in row.results)


def _commit(result: Result) -> str:
    commit, dirty = result.environment.commit, result.environment.dirty
    return "" if commit is None else f" at {commit[:10]}" + (" with local changes" if dirty else "")


def _published(cards: Mapping[str, TaskCard]) -> list[str]:
    printed = [(name, entry) for name, card in sorted(cards.items()) for entry in card.published]
    if not printed:
        return []
    keys = sorted({key for _, entry in printed for key in entry.metrics}, key=_metric_order)
    lines = [
        "",
        "## Published figures",
        "",
        "As the papers print them, in percent, on the real benchmarks with their own retrievers and models. "
        "**Nothing here was measured by grapebench.**",
        "",
        *_head(["Task", "Method", *keys, "Source"]),
    ]
    for name, entry in printed:
        figures = [f"{entry.metrics[key]:.1f}" if key in entry.metrics else "" for key in keys]
        lines.append(_line([_escape(name), _escape(entry.method), *figures, _escape(entry.source)]))
    return lines


def _metric_order(key: str) -> tuple[str, int, str]:
    name, _, k = key.partition("@")
    return name, int(k) if k.isdigit() else 0, key


def _head(columns: Sequence[str]) -> list[str]:
    return [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(cells) + " |"


_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|"} | {"<": "&lt;", ">": "&gt;"})


def _escape(text: str) -> str:
    """Text of a result or a card as plain Markdown text in one line."""
    return " ".join(text.replace("&", "&amp;").split()).translate(_SPECIAL)


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{' '.join(text.split())}{fence}"
