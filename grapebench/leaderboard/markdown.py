"""LEADERBOARD.md: all tables as Markdown.

One row is one line in each table, and its place depends on figures and names alone: a new result is a small difference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from grapebench.leaderboard.board import Figure, Overall, Row, Spent, Table, Total, Versus
from grapebench.leaderboard.markup import code, escape, folded, link, slug, table, whole
from grapebench.leaderboard.render import (
    FAIR,
    ORACLE,
    SEEN,
    TROUBLED,
    difference,
    figure_name,
    headline,
    mark,
    p_value,
    parts_lines,
    parts_title,
    percent,
    place,
    record,
    reference_names,
    row_name,
    seen_before,
    troubles,
)

if TYPE_CHECKING:
    from grapebench.cards import TaskCard
    from grapebench.leaderboard.building import Board
    from grapebench.leaderboard.results import Result, Similarities

SUITES = {
    "mini": (
        "The generated miniature",
        "Small generated pictures and a small retriever that ship with grapebench and run anywhere (`--suite mini`). "
        "The tasks bear the names of the real benchmarks and shift the queries in the same way, but **no figure here "
        "says anything of the real ones**.",
    ),
    "full": ("The real benchmarks", "Official annotation files, real images, real weights (`--suite full`)."),
}
_ABOUT = (
    "Does rewriting a query help a frozen vision-language retriever find the right image? Each row is a rewriter; what "
    "it is measured with, the retriever, the queries and the images, is the same for all rows of a table. Every figure "
    "comes from a result that can be looked into, with the rewrites themselves and the command that makes it again. "
    "The page is built by `grapebench leaderboard build`, and not edited by hand."
)
_READING = (
    "**#** is the rank: 1 + the number of rows that are better beyond chance. Rows that no test tells apart share it.",
    "**R@K** is the percentage of queries whose right image is among the first K, **mAP** the mean average precision. "
    "The figure in bold type ranks. In brackets stands its 95 % interval, after ± the standard deviation over seeds.",
    "**Δ** is the difference in points to searching the raw query text (`raw`) or to the row that is named, query by "
    "query: ▲ better and ▼ worse beyond chance, ≈ neither (p above 0.05, after correction for the number of rows).",
    "**Clusters** are queries that share a right image, a reference image, look-alikes or an article: they succeed and "
    "fail together, so that intervals draw them and tests swap them together. Above a table stands how many there are.",
    f"**{FAIR}** marks the fair reference, the best row without a language model; where none is better than the raw "
    "text, that is the raw text itself. Of a rewriter with a language model, the difference to it is the gain.",
    "**W/T/L** counts the queries won, tied and lost against the same: those whose right image stands higher, as "
    "high, or lower.",
    "**Tokens** are those that the rewriter's model read + wrote, **ms** the milliseconds of rewriting, both for each "
    "query; **paid** is for all of them, where a price is known.",
    "**Seeds** are the row's results; each leads to its files.",
    f"A row with \\* is an oracle: it {ORACLE}. A row with † {SEEN}.",
    f"In parentheses after a name: {TROUBLED[0].lower()}{TROUBLED[1:]}.",
)


def page(board: Board, links: Mapping[str, str], guide: str | None = None) -> str:
    """The whole LEADERBOARD.md.

    `links` by result id lead to the results' folders, `guide` to the page that says how to read this one.
    """
    submitters = {one.result.id: one.by for one in board.stored if one.by}
    lines = ["# Leaderboard", "", _ABOUT, "", "## How to read it", ""]
    lines += [f"- {text}" for text in _READING]
    lines += ["", f"More on each of these: {link('reading the leaderboard', guide)}."] if guide else []
    lines += ["", "## Contents", "", *_contents(board)]
    for suite, (title, about) in SUITES.items():
        chosen = [one for one in board.tables if one.first.suite == suite]
        if chosen:
            lines += ["", f'## {title} <a id="{slug(suite)}"></a>', "", about]
        overall = [one for one in board.overall if one.tables[0].first.suite == suite]
        lines += ["", f'### All tasks <a id="{slug(suite, "overall")}"></a>'] if overall else []
        lines += [line for one in overall for line in _overall(one)]
        for task, tables in groupby(chosen, key=lambda one: one.first.task):
            card = board.cards.get(task)
            name = escape(task) + (f": {escape(card.title)}" if card else "")
            lines += ["", f'### {name} <a id="{slug(suite, task)}"></a>']
            lines += _task(list(tables), card, links, submitters)
    return "\n".join(lines + _published(board.cards)) + "\n"


def _contents(board: Board) -> list[str]:
    lines = []
    for suite, (title, _) in SUITES.items():
        tasks = dict.fromkeys(one.first.task for one in board.tables if one.first.suite == suite)
        over = any(one.tables[0].first.suite == suite for one in board.overall)
        places = [f"[all tasks](#{slug(suite, 'overall')})"] if over else []
        places += [f"[{escape(task)}](#{slug(suite, task)})" for task in tasks]
        lines += [f"- [{title}](#{slug(suite)}): {', '.join(places)}"] if places else []
    return lines + (["- [Published figures](#published)"] if any(c.published for c in board.cards.values()) else [])


def _overall(over: Overall) -> list[str]:
    one = over.tables[0].first
    shared = escape(f"retriever {one.retriever.name} · version {one.benchmark}")
    lines = [
        "",
        f"R@10 by task, each by its own protocol and split, and means in which each counts the same · {shared}",
    ]
    paid = any(total.spent.money for total in over.ranked + over.oracles)
    columns = [
        "Rewriter",
        "**mean R@10**",
        "Δ raw",
        f"Δ {FAIR}",
        "mean #",
        *map(escape, over.tasks),
        *_cost_columns(paid),
    ]
    lines += ["", *table(columns, [_total(over, total, paid) for total in over.ranked])]
    if over.partial:
        lines += ["", "Not of all tasks, so without a mean:", ""]
        lines += table(["Rewriter", *map(escape, over.tasks)], [_by_task(over, total) for total in over.partial])
    if over.oracles:
        lines += ["", f"Oracle ({ORACLE}):", "", *table(columns, [_total(over, total, paid) for total in over.oracles])]
    return lines


def _total(over: Overall, total: Total, paid: bool) -> list[str]:
    label, *figures = _by_task(over, total)
    if total.missing:
        return [label, "–", "–", "–", "–", *figures, *["–"] * len(_cost_columns(paid))]
    deltas = [difference(None if one is None else Figure(one)) for one in (total.delta, total.fair)]
    rank = "–" if total.rank is None else f"{total.rank:.1f}"
    means = [percent(Figure(total.figure)), *deltas, rank]
    return [label, *means, *figures, *_cost(total.spent, paid)]


def _by_task(over: Overall, total: Total) -> list[str]:
    found = (total.rows.get(task) for task in over.tasks)
    return [escape(total.label), *("–" if row is None else _value(row, "R@10") for row in found)]


def _cost_columns(paid: bool) -> list[str]:
    return ["Tokens", "ms", *(["paid"] if paid else [])]


def _cost(spent: Spent, paid: bool) -> list[str]:
    tokens = f"{spent.read:.0f} + {spent.written:.0f}" if spent.read or spent.written else "–"
    # What rounds to nothing is left out.
    ms = f"{spent.ms:.1f}" if spent.ms is not None and spent.ms >= 0.05 else "–"
    return [whole(tokens), ms, *([f"{spent.money:.4g}" if spent.money else "–"] if paid else [])]


def _task(
    tables: Sequence[Table], card: TaskCard | None, links: Mapping[str, str], submitters: Mapping[str, str]
) -> list[str]:
    """The card's own protocol first, then each other one under a title."""
    together: dict[str, list[str]] = {card.protocol: []} if card else {}
    for one in tables:
        together.setdefault(one.first.protocol, []).extend(_section(one, links, submitters))
    lines: list[str] = []
    for protocol, found in together.items():
        titled = card is not None and protocol != card.protocol
        lines += (["", f"#### Protocol {protocol}"] if titled else []) + found
    return lines


def _section(shown: Table, links: Mapping[str, str], submitters: Mapping[str, str]) -> list[str]:
    lines = ["", escape(headline(shown))]
    keys = shown.keys[: shown.keys.index(shown.main) + 1]
    names = [f"**{figure_name(key)}**" if key == shown.main else figure_name(key) for key in keys]
    against = [f"{whole(f'Δ {escape(name)}')} W/T/L" for name in reference_names(shown)]
    paid = any(row.spent.money for row in shown.rows)
    columns = ["#", "Rewriter", *names, *against, *_cost_columns(paid), "Seeds"]
    notes = ("", f"Marked † ({SEEN}):", f"Oracle ({ORACLE}):")
    for note, rows in zip(notes, (shown.ranked, shown.seen, shown.oracles), strict=True):
        if rows:
            lines += (["", note] if note else []) + [""]
            lines += table(columns, [_cells(shown, row, keys, links, paid) for row in rows], texts=2)
    lines += folded("Intervals and tests", _intervals(shown))
    lines += folded("Ties, fallbacks, cuts, similarities", _beside(shown))
    if shown.parts:
        parts = zip(*parts_lines(shown), strict=True)
        head, *found = ([escape(cell) for cell in cells] for cells in parts)
        lines += folded(parts_title(shown), table(["Rewriter", *head[1:]], found))
    return lines + folded("Commands", [line for row in shown.rows for line in _commands(row, links, submitters)])


def _cells(shown: Table, row: Row, keys: Sequence[str], links: Mapping[str, str], paid: bool) -> list[str]:
    return [
        escape(place(row)),
        escape(row.label) + (f" ({whole(some)})" if (some := troubles(row.results)) else ""),
        *(_figure(row, key) if key == shown.main else _value(row, key) for key in keys),
        *map(_versus, (row.raw, *row.against)),
        *_cost(row.spent, paid),
        " ".join(link(str(r.seed), links[r.id]) if r.id in links else str(r.seed) for r in row.results),
    ]


def _value(row: Row, key: str) -> str:
    return percent(Figure(row.figures[key].value)) if key in row.figures else "–"


def _figure(row: Row, key: str) -> str:
    return whole(percent(row.figures[key])) if key in row.figures else "–"


def _versus(versus: Versus | None) -> str:
    """`+42.9 ▲ 786/144/90`; without the tests and counts where there were no ranks."""
    if versus is None:
        return "–"
    delta = difference(Figure(versus.delta.value))
    return delta if versus.p is None else f"{whole(f'{delta} {mark(versus)}')} {record(versus)}"


def _delta(versus: Versus | None) -> str:
    return whole(difference(None if versus is None else versus.delta))


def _intervals(shown: Table) -> list[str]:
    tests = [column for name in reference_names(shown) for column in (f"Δ {escape(name)}", "p (Holm)")]
    return table(
        ["Rewriter", *map(figure_name, shown.keys), *tests],
        (
            [
                escape(row_name(row)),
                *(_figure(row, key) for key in shown.keys),
                *(cell for one in (row.raw, *row.against) for cell in (_delta(one), p_value(one))),
            ]
            for row in shown.rows
        ),
    )


_SIMILARITIES = ("positive", "others", "top_others", "margin")


def _beside(shown: Table) -> list[str]:
    columns = [
        "Rewriter",
        "Ties",
        "Fallbacks",
        "Cut",
        "Cosine to the positive",
        "to all others",
        "to the ten nearest",
        "Margin",
    ]
    rows = []
    for row in shown.rows:
        shares = [(one.ties, one.fallback_share, one.cut_share) for one in row.results]
        cells = [f"{100 * sum(values) / len(values):.1f} %" for values in zip(*shares, strict=True)]
        rows.append([escape(row_name(row)), *cells, *(_cosines(row, name) for name in _SIMILARITIES)])
    return table(columns, rows)


def _cosines(row: Row, name: str) -> str:
    """Before and after, means over seeds; what not all results have is left out."""

    def mean(sides: Sequence[Similarities]) -> float | None:
        values = [getattr(side, name) for side in sides]
        return None if None in values or not values else sum(values) / len(values)

    found = [result.inflation for result in row.results if result.inflation]
    both = mean([one.before for one in found]), mean([one.after for one in found])
    if len(found) < len(row.results) or None in both:
        return "–"
    return whole(f"{both[0]:.3f} → {both[1]:.3f}")


def _commands(row: Row, links: Mapping[str, str], submitters: Mapping[str, str]) -> list[str]:
    """One line for all seeds, where their commands are the same but for the seed."""

    def made(result: Result) -> tuple[str, ...]:
        return _but_for_the_seed(result), _commit(result), seen_before(result.seen), submitters.get(result.id, "")

    lines = []
    for (*_, by), some in groupby(row.results, key=made):
        results = list(some)
        asked = " ".join(f"--seed {result.seed}" for result in results)
        command = results[0].command.replace(f"--seed {results[0].seed}", asked, 1)
        ids = " ".join(link(r.id, links[r.id]) if r.id in links else escape(r.id) for r in results)
        seen = seen_before(results[0].seen)
        notes = _commit(results[0]) + (f"; {escape(seen)}" if seen else "") + (f"; by {escape(by)}" if by else "")
        lines.append(f"- {escape(row_name(row))}: {code(command)}{notes}; {ids}")
    return lines


def _but_for_the_seed(result: Result) -> str:
    """Equal for two results that one command with two seeds makes; where it does not name its seed once, its own."""
    pattern = rf"--seed {result.seed}(?= |$)"
    return re.sub(pattern, "--seed", result.command) if len(re.findall(pattern, result.command)) == 1 else result.id


def _commit(result: Result) -> str:
    commit, dirty = result.environment.commit, result.environment.dirty
    return "" if commit is None else f" at {escape(commit[:10])}" + (" with local changes" if dirty else "")


def _published(cards: Mapping[str, TaskCard]) -> list[str]:
    printed = [(name, entry) for name, card in sorted(cards.items()) for entry in card.published]
    if not printed:
        return []
    keys = sorted({key for _, entry in printed for key in entry.metrics}, key=_metric_order)
    rows = [
        [
            escape(name),
            escape(entry.method),
            *(f"{entry.metrics[key]:.1f}" if key in entry.metrics else "" for key in keys),
            escape(entry.source),
        ]
        for name, entry in printed
    ]
    return [
        "",
        '## Published figures <a id="published"></a>',
        "",
        "As the papers print them, in percent, on the real benchmarks with their own retrievers and models. "
        "**Nothing here was measured by grapebench.**",
        "",
        *table(["Task", "Method", *map(figure_name, keys), "Source"], rows, texts=2),
    ]


def _metric_order(key: str) -> tuple[str, int, str]:
    name, _, k = key.partition("@")
    return name, int(k) if k.isdigit() else 0, key
