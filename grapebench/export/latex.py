"""Tables of the board as LaTeX, for the package booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from grapebench.leaderboard.board import Figure, Row, Table
from grapebench.leaderboard.render import ORACLE, SEEN, figure_columns, headline, row_name

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "Δ": r"$\Delta$", "→": r"$\to$", "†": r"$^\dagger$", "±": r"$\pm$",
    "·": r"$\cdot$", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
"""What LaTeX reads as a command (after a line's end also brackets and stars), and what of our own signs it lacks."""


def escape(text: str) -> str:
    """Text of a result as plain LaTeX text in one line; letters of other scripts are left to the reader's fonts."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    return "".join(_SPECIAL.get(character, character) for character in " ".join(plain.split()))


def page(tables: Sequence[Table], intervals: bool = False) -> str:
    """All tables, to be taken in by \\input; `intervals` adds the 95 % intervals, in a smaller size."""
    head = r"% Made by `grapebench export table --format latex`; needs \usepackage{booktabs}."
    return "\n\n".join([head, *(_table(table, intervals) for table in tables)]) + "\n"


def _table(table: Table, intervals: bool) -> str:
    """One table environment; the best of the ranked rows is bold in each column, equal ones all."""
    name, *columns = figure_columns(table)
    best = {key: _best(table.ranked, key) for key in table.keys}
    notes = [f"* {ORACLE}."] if table.oracles else []
    notes += [f"† {SEEN}."] if table.seen else []
    one = table.first
    caption = f"{one.task}, suite {one.suite} · {headline(table)}. Percent; Δ in points to the raw query text."
    lines = [
        r"\begin{table}",
        rf"\caption{{{escape(' '.join([caption, *notes]))}}}",
        r"\centering",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        _line(map(escape, [name, *columns])),
    ]
    for group in (table.ranked, table.seen, table.oracles):
        if group:
            lines.append(r"\midrule")
        for row in group:
            marked = {key for key in table.keys if row in table.ranked and _shown(row, key) == best[key]}
            cells = [_cell(row.figures.get(key), "{:.1f}", intervals, key in marked) for key in table.keys]
            cells.append(_cell(row.delta, "{:+.1f}", intervals))
            lines.append(_line([escape(row_name(row)), *cells]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _best(rows: Iterable[Row], key: str) -> float | None:
    """As it is shown: what is shown as equal is equally good."""
    return max((value for row in rows if (value := _shown(row, key)) is not None), default=None)


def _shown(row: Row, key: str) -> float | None:
    figure = row.figures.get(key)
    return None if figure is None else round(100 * figure.value, 1)


def _cell(figure: Figure | None, form: str, intervals: bool, bold: bool = False) -> str:
    if figure is None:
        return "--"

    def show(fraction: float) -> str:
        # A difference of -0.04 points is +0.0, and a minus is one in mathematics alone.
        text = form.format(round(100 * fraction, 1) + 0.0)
        return f"${text}$" if text[0] in "+-" else text

    found = rf"\textbf{{{show(figure.value)}}}" if bold else show(figure.value)
    found += "" if figure.spread is None else rf" $\pm$ {100 * figure.spread:.1f}"
    if intervals and figure.low is not None and figure.high is not None:
        found += rf" {{\scriptsize [{show(figure.low)}, {show(figure.high)}]}}"
    return found


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
