"""Wiki markup that was left in a text, taken away so that what a reader sees remains."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

# A semicolon is asked for: of `&lt=1` in a link html.unescape alone would make `<=1`.
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_COMMENT = re.compile(r"<!--.*?-->|<!--|-->", re.DOTALL)
_BLOCK = re.compile(
    r"<(ref|math|gallery|timeline|source|syntaxhighlight|score)\b[^<>]*(?:/>|(?<!/)>.*?</\1\s*>)", re.DOTALL | re.I
)
_TEMPLATE = re.compile(r"\{\{\{[^{}]*\}\}\}|\{\{[^{}]*\}\}")
_SWITCH = re.compile(r"__[A-Z]{3,}__")
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_URL = re.compile(r"\[(?:https?|ftp)://[^\s\[\]]+[ \t]*([^\[\]\n]*)\]")
# A link to a picture, a category or another language shows nothing where it stands.
_UNSHOWN = re.compile(r"\s*(?:(?i:file|image|category)\s*:|[a-z]{2,3}(?:-[a-z]+)*:[^|]*$)")
_CATEGORY = re.compile(r"Category:\S")
# Lines of links whose brackets are gone: a category, or a picture with the name of its file.
_BARE = re.compile(
    r"^[ \t]*(?:Category:\S|(?i:image|file)[ \t]*:[^\n|]*\.(?i:jpe?g|png|gif|svg|tiff?|bmp|webp)\b)[^\n]*(?:\n|$)", re.M
)
_OTHER_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*:\S")
_ATTRIBUTES = re.compile(r"\s*(?:[\w-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[\w%#.]+)\s*)+\|")
_QUOTES = re.compile("'{2,}")
_HEADING = re.compile(r"^(={2,6})[ \t]*([^=\s](?:[^\n]*[^=\s])?)[ \t]*\1[ \t]*$", re.M)
_LIST = re.compile(r"^(?:[*#:;]+[ \t]*)+|^-{4,}[ \t]*", re.M)
_TAG = re.compile(
    r"</?(?:abbr|b|big|blockquote|br|caption|center|cite|code|dd|del|div|dl|dt|em|font|h[1-6]|hr|i|includeonly|ins|kbd"
    r"|li|noinclude|nowiki|ol|onlyinclude|p|poem|pre|q|references|s|samp|small|span|strike|strong|sub|sup|table|td|th"
    r"|tr|tt|u|ul|var)(?:\s[^<>]*|\s*/)?>",
    re.I,
)


def plain(source: str) -> tuple[str, tuple[str, ...]]:
    """The text as a reader of the page sees it, and which kinds of markup were taken away ('lists', 'tables', …).

    Footnotes, formulas, templates and links to pictures go with what is in them; of other links the label stays. What
    only looks like markup stays too: unknown tags, a lone `[[`, `5 < 6`.
    """
    found = []
    text = source
    for kind, strip in _STEPS:
        stripped = strip(text)
        if stripped != text:
            found.append(kind)
        text = stripped
    return text.strip(), tuple(found)


def resolve_entities(text: str) -> str:
    """HTML's named and numbered entities as characters; a bare `&` and an unknown name stay what they are."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)


def _templates(text: str) -> str:
    """From the innermost outwards."""
    count = 1
    while count:
        text, count = _TEMPLATE.subn("", text)
    return _SWITCH.sub("", text)


def _links(text: str) -> str:
    count = 1
    while count:
        text, count = _LINK.subn(_label, text)
    return _URL.sub(r"\1", text)


def _label(link: re.Match[str]) -> str:
    if _UNSHOWN.match(link[1]):
        return ""
    target, _, label = link[1].lstrip(":").partition("|")
    return label or target


def _page_end(text: str) -> str:
    """The page's categories and its versions in other languages, where their brackets are gone already."""
    lines = text.rstrip().split("\n")
    end = len(lines)
    while end and (not (last := lines[end - 1]).strip() or _CATEGORY.match(last) or _OTHER_LANGUAGE.match(last)):
        end -= 1
    return "\n".join(lines[:end]) if any(map(_CATEGORY.match, lines[end:])) else text


def _tables(text: str) -> str:
    """Rows become their cells, one space apart."""
    if not re.search(r"^\s*(?:\||\{\|)", text, re.M):
        return text
    return "\n".join(map(_table_line, text.split("\n")))


def _table_line(line: str) -> str:
    bare = line.strip()
    if bare.startswith(("{|", "|-")):
        return ""
    if bare.startswith("|}"):
        return bare[2:]
    if bare.startswith(("|", "!")):
        cells = re.split(r"\|\||!!" if bare[0] == "!" else r"\|\|", bare[1:].removeprefix("+"))
        return " ".join(_ATTRIBUTES.sub("", cell, count=1).strip() for cell in cells)
    return line


def _quotes(text: str) -> str:
    return "\n".join(map(_quotes_of_line, text.split("\n"))) if "''" in text else text


def _quotes_of_line(line: str) -> str:
    """Two apostrophes are italics, three bold, five both; three may also be italics' end and an apostrophe."""
    runs = list(_QUOTES.finditer(line))
    italic = bold = False
    parts, end = [], 0
    for place, run in enumerate(runs):
        parts.append(line[end : run.start()])
        end = run.end()
        length = len(run[0])
        following = len(runs[place + 1][0]) if place + 1 < len(runs) else 0
        if length == 3 and italic and not bold and (following not in (3, 5) or re.match(r"s\b", line[end:])):
            parts.append("'")
            italic = False
            continue
        italic ^= length in (2, 5)
        bold ^= length in (3, 5)
    return "".join([*parts, line[end:]])


_STEPS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("comments", lambda text: _COMMENT.sub("", text)),
    ("footnotes", lambda text: _BLOCK.sub("", text)),
    ("templates", _templates),
    ("tables", _tables),
    ("links", _links),
    ("categories", _page_end),
    ("bare links", lambda text: _BARE.sub("", text)),
    ("bold and italics", _quotes),
    ("headings", lambda text: _HEADING.sub(r"\2", text)),
    ("lists", lambda text: _LIST.sub("", text)),
    ("tags", lambda text: _TAG.sub(lambda tag: " " if tag[0][:3].lower() == "<br" else "", text)),
    ("entities", resolve_entities),
)
