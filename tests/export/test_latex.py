from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import catalog
from grapebench.export import latex
from grapebench.leaderboard import board, store
from grapebench.leaderboard.board import Table

COMMAND = re.compile(r"\\(?:[a-zA-Z]+(?:\{\})?|[^a-zA-Z])")


@pytest.fixture(scope="module")
def published() -> list[Table]:
    found, broken = store.find([catalog.folder() / "leaderboard" / "results"])
    assert not broken
    return board.tables(one.result for one in found)


def rows_of(text: str) -> list[list[str]]:
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in text.splitlines() if line.endswith(r"\\")]


def test_the_best_of_each_column_is_bold(published: list[Table]) -> None:
    (table,) = (one for one in published if one.first.task == "cirr" and one.first.protocol == "composed")
    text = latex.page([table])
    head, *rows = rows_of(text)
    assert head == ["Rewriter", "R@1", "R@5", "R@10", "R@50", r"R\_subset@1", r"$\Delta$ R@10"]
    assert len(rows) == len(table.rows)
    for column, key in enumerate(table.keys, 1):
        bold = {row[0] for row in rows if row[column].startswith(r"\textbf{")}
        shown = {row.label: round(100 * row.figures[key].value, 1) for row in table.ranked}
        assert bold == {label for label, value in shown.items() if value == max(shown.values())}, key
    assert not any("textbf" in cell for row in rows for cell in row if row[0].endswith("{*}")), "no oracle"
    assert text.count(r"\midrule") == 2 and "[" not in text.replace("{[}", "")
    assert r"{\scriptsize [" in latex.page([table], intervals=True)


def test_every_table_is_whole(published: list[Table]) -> None:
    text = latex.page(published, intervals=True)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(published)
    for part in text.split(r"\begin{tabular}{")[1:]:
        width = len(part.partition("}")[0])
        rows = rows_of(part.partition(r"\end{tabular}")[0])
        assert rows and all(len(row) == width for row in rows)
    plain = COMMAND.sub("", text)
    assert plain.count("{") == plain.count("}")


@given(st.text())
def test_text_of_strangers_holds_no_command(text: str) -> None:
    escaped = latex.escape(text)
    known = {*latex._SPECIAL.values()}
    for value in sorted(known, key=len, reverse=True):
        escaped = escaped.replace(value, "")
    assert not set(escaped) & set('\\{}$&#%_~^[]*"\n\r\t\0')


def test_escaping_keeps_the_words() -> None:
    assert latex.escape("a_b & 50 % of 图\n$x$") == r"a\_b \& 50 \% of 图 \$x\$"
    assert latex.escape("[x] * \\input{y}") == r"{[}x{]} {*} \textbackslash{}input\{y\}"


def test_a_row_may_begin_with_anything(published: list[Table], tmp_path: Path) -> None:
    """After the end of a line LaTeX would take [ and * as its arguments."""
    text = latex.page(published[:1]).replace("grape &", latex.escape("[2em] grape") + " &")
    assert not re.search(r"\\\\\s*[\[*]", text)
