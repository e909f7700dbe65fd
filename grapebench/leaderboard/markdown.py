"""LEADERBOARD.md: all tables as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from grapebench.leaderboard.board import Row, Table
from grapebench.leaderboard.render import (
    ORACLE,
    SEEN,
    cost,
    difference,
    figure_columns,
    figure_name,
    headline,
    parts_lines,
    parts_title,
    percent_or_none,
    row_name,
    seen_before,
)

if TYPE_CHECKING:
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


def page(tables: Sequence[Table], cards: Mapping[str, TaskCard], links: Mapping[str, str]) -> str:
    """The whole LEADERBOARD.md.

    `cards` by task name give titles and the papers' figures; `links` by result id lead to the result's folder.
    One line holds one row of figures, so that a new result is a small difference.
    """
    lines = [
        "# Leaderboard",
        "",
        "Built by `grapebench leaderboard build` from the results beside it; not edited by hand.",
        "R@K and mAP in percent, with 95 % intervals by a bootstrap over images; image→text is the way back, from each "
        "image to its texts. Δ is the paired difference to searching the raw query text (`identity`), in percentage "
        "points; Δ to another row is the difference to that one, where both came with their ranks. Over several seeds: "
        "their mean ± standard deviation. Ties: queries where another image scores exactly as the target (counted "
        "against it). Fallbacks: queries that were searched as they came because the rewrite could not be used. Cost: "
        "for each query the tokens that were read + written, and the milliseconds that rewriting took; for all of them "
        "what was paid, where a price is known. "
        f"An oracle (\\*) {ORACLE}. A rewriter with † {SEEN}.",
    ]
    for suite, (title, about) in SUITES.items():
        chosen = [table for table in tables if table.first.suite == suite]
        if chosen:
            lines += ["", f"## {title}", "", about]
        for task in dict.fromkeys(table.first.task for table in chosen):
            card = cards.get(task)
            lines += ["", f"### {_escape(task)}" + (f": {_escape(card.title)}" if card else "")]
            lines += _task([table for table in chosen if table.first.task == task], card, links)
    return "\n".join(lines + _published(cards)) + "\n"


def _task(tables: Sequence[Table], card: TaskCard | None, links: Mapping[str, str]) -> list[str]:
    """The card's own protocol first, then each other one under a title."""
    together: dict[str, list[str]] = {card.protocol: []} if card else {}
    for table in tables:
        together.setdefault(table.first.protocol, []).extend(_section(table, links))
    lines: list[str] = []
    for protocol, found in together.items():
        titled = card is not None and protocol != card.protocol
        lines += (["", f"#### Protocol {protocol}"] if titled else []) + found
    return lines


def _section(table: Table, links: Mapping[str, str]) -> list[str]:
    lines = ["", _escape(headline(table))]
    against = [f"Δ {table.main} to {_escape(label)}" for label in table.references]
    columns = [*figure_columns(table), *against, "Ties", "Fallbacks", "Cost", "Result"]
    notes = ("", f"Marked † ({SEEN}):", f"Oracle ({ORACLE}):")
    for note, rows in zip(notes, (table.ranked, table.seen, table.oracles), strict=True):
        if rows:
            lines += (["", note] if note else []) + ["", *_head(columns)]
            lines += [_line(_cells(table, row, links)) for row in rows]
    if table.parts:
        head, *parts = ([_escape(cell) for cell in line] for line in parts_lines(table))
        lines += ["", f"{parts_title(table)}:", "", *_head(head), *map(_line, parts)]
    lines += ["", "Commands:", ""]
    for row in table.rows:
        lines += [f"- {_escape(row_name(row))}: {_code(r.command)}{_commit(r)}{_seen_before(r)}" for r in row.results]
    return lines


def _cells(table: Table, row: Row, links: Mapping[str, str]) -> list[str]:
    count = len(row.results)
    ties = sum(result.ties for result in row.results) / count
    fallbacks = sum(sum(result.fallbacks.values()) / result.queries for result in row.results) / count
    return [
        _escape(row_name(row)),
        *(percent_or_none(row, key) for key in table.keys),
        difference(row.delta),
        *map(difference, row.against),
        f"{100 * ties:.1f} %",
        f"{100 * fallbacks:.1f} %",
        cost(row),
        _results(row, links),
    ]


def _results(row: Row, links: Mapping[str, str]) -> str:
    return " ".join(f"[{result.id}]({links[result.id]})" if result.id in links else result.id for result in row.results)


def _commit(result: Result) -> str:
    commit, dirty = result.environment.commit, result.environment.dirty
    return "" if commit is None else f" at {commit[:10]}" + (" with local changes" if dirty else "")


def _seen_before(result: Result) -> str:
    return f"; {_escape(seen_before(result.seen))}" if result.seen else ""


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
        *_head(["Task", "Method", *map(figure_name, keys), "Source"]),
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
