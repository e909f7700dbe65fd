"""Text, code, links and tables as Markdown; whatever comes from a result or a card is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]|~$"} | {"<": "&lt;", ">": "&gt;"})


def escape(text: str) -> str:
    """As plain text in one line, without what cannot be seen."""
    shown = "".join(character for character in " ".join(text.split()) if character.isprintable())
    return shown.replace("&", "&amp;").translate(_SPECIAL)


def code(text: str) -> str:
    """As code in one line."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in (text[:1], text[-1:]) else ""
    return f"{fence}{space}{text}{space}{fence}"


def whole(text: str) -> str:
    """A cell that breaks before a bracket and nowhere else."""
    return text.replace(" ", "\u00a0").replace("\u00a0[", " [")


def link(text: str, target: str) -> str:
    return f"[{escape(text)}]({quote(target, safe='/.-_~@+=')})"


def slug(*words: str) -> str:
    """The name of a place on the page."""
    return re.sub(r"[^\w-]+", "-", "-".join(words)).lower()


def line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> list[str]:
    """Its lines; the first columns, as many as `texts`, stand to the left."""
    rule = [*[":---"] * texts, *["---:"] * (len(columns) - texts)]
    return [line(columns), line(rule), *map(line, rows)]


def folded(title: str, lines: Iterable[str]) -> list[str]:
    """Lines that a reader opens when wanted."""
    return ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"]
