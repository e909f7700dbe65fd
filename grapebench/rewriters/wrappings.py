"""What models wrap an answer in: answer tags, code fences, JSON, HTML, quotation marks, list marks, bold type."""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from typing import Any

UNREADABLE = "unreadable"
"""Why there is no text: data or markup that holds no one answer."""

_ANSWER = (
    r"(?:(?:final|rewritten|new|translated|image|search|edited)[ _-]?)?"
    r"(?:rewrit(?:e|ten|ing)|answer|captions?|output|response|result|query|translation|description|text|sentence)"
)
_TAGGED = re.compile(rf"<({_ANSWER}|final)>(.*?)(?:</\1>|$)", re.DOTALL | re.IGNORECASE)
_STRAY = re.compile(rf"</?(?:{_ANSWER}|final)>", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{(?:\\text\{)?([^{}]*)\}{0,2}\$?")
_KEY = re.compile(rf"{_ANSWER}|改写|翻译|描述|标题|答案|キャプション|説明|翻訳|캡션|번역", re.IGNORECASE)
_GIVEN = re.compile(r"(?:original|source|input|query|text)(?![ _-]?rewrit)", re.IGNORECASE)
"""A key that rather holds what the model was given."""
_FENCE = re.compile(
    r"\s*(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[ \t]*\n(?P<content>.*?)(?:\n[ \t]*(?P=fence)|(?P=fence)|\Z)",
    re.DOTALL,
)
_SHORT_FENCE = re.compile(
    r"\s*```+[ \t]*(?:(?:te?xt|plaintext|plain|markdown|md|json|html|xml|bash)[ \t]+)?([^`\n]+?)[ \t]*```+"
)
_ELEMENTS = "a|abbr|article|b|big|blockquote|body|br|caption|center|cite|code|dd|div|dl|dt|em|figcaption|figure|font|footer|h[1-6]|header|hr|html|i|label|li|main|mark|ol|p|pre|q|section|small|span|strong|sub|sup|table|tbody|td|th|thead|title|tr|u|ul"
_ELEMENT = re.compile(rf"</?(?:{_ELEMENTS})(?:\s+[\w-]+\s*=[^<>]*)?\s*/?>", re.IGNORECASE)
_BREAKS = re.compile(r"<(?:br|/p|/div|/h[1-6]|/li|/tr|/title|hr)\b[^<>]*>", re.IGNORECASE)
_PAGE = re.compile(
    r"<!doctype|<(?:html|head|style|script|svg|table|form|iframe|img|input|button|meta|link)\b[^<>]*>?|<!--|<\?xml",
    re.IGNORECASE,
)
_PICTURE = re.compile(r"!\[([^\[\]]*)\]\([^()]*\)")
_LINK = re.compile(r"\[([^\[\]]+)\]\((?:https?:|#|/)[^()]*\)")
_PAIRS = (
    '""',
    "''",
    "“”",
    "„“",
    "„”",
    "””",
    "‘’",
    "‚‘",
    "«»",
    "»«",
    "‹›",
    "「」",
    "『』",
    "《》",
    "〈〉",
    "【】",
    "``",
    "**",
    "__",
    "＂＂",
)
_APOSTROPHES = "'’‘"
MARK = re.compile(r"^(?:[-*•·–—‣▪●○►➤✓]\s+|#+\s+|>\s+|\d{1,2}[.)]\s+)")
"""A list mark as a line may begin with; a number is one only where others are beside it."""
_SURE_MARK = re.compile(
    r"^(?:[-*•·–—‣▪●○►➤✓]\s+|#{1,6}\s+|>\s+|\(?\d{1,2}\)\s+|\(\d{1,2}\)\s*|[①-⑳]\s*|\d{1,2}、\s*|[一二三四五六七八九十]、\s*|[a-dA-D]\)\s+)"
)
_NUMBER = re.compile(r"^\**\s*(?:\d{1,2}|[٠-٩]{1,2}|[०-९]{1,2}|[a-dA-D])\.\s+")


def content(text: str) -> tuple[str, str | None]:
    """What is inside of the outermost wrapping, or the text itself where there is none; and why that cannot be read."""
    tagged = [found[2] for found in _TAGGED.finditer(text)]
    if tagged:
        return next((one for one in tagged if one.strip()), ""), None
    text = _STRAY.sub("", text)
    if boxed := _BOXED.search(text):
        return boxed[1], None
    if short := _SHORT_FENCE.match(text):
        return short[1], None
    if fence := _FENCE.match(text):
        return fence["content"], None
    values = structured(text)
    if values is not None:
        return (values[0], None) if values else ("", UNREADABLE)
    return _without_html(text)


def tagged(text: str) -> list[str]:
    """What stands in answer tags."""
    return [found[2] for found in _TAGGED.finditer(text) if found[2].strip()]


def fenced(text: str) -> str:
    """What stands in the code fence that a text begins with; '' where it begins with none."""
    fence = _FENCE.match(text)
    return fence["content"] if fence else ""


def structured(text: str) -> list[str] | None:
    """The answers in a text that is data as a whole, JSON or a Python literal, broken off or not.

    None where it is no data, and [] where the data hold no answer or nobody can say which text is it.
    """
    text = text.strip()
    if not re.match(r"\{\s*[\"'}]|\[\s*[\"'{]", text):
        return None
    value = _loaded(text)
    if value is None:
        # "[1] a dog" and '["a" and "b" on a door]' are no data; what opens an object with a key is.
        return [] if re.match(r"\{\s*[\"'][^\"']*[\"']\s*:", text) else None
    return list(dict.fromkeys(_answers(value)))


def _loaded(text: str) -> Any:
    if text[-1] in "}]":
        for read in (json.loads, ast.literal_eval):
            try:
                return read(text)
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                pass
    for end in ('"}', '"]}', '"]', "}", "]}"):
        try:
            return json.loads(text + end)
        except (ValueError, RecursionError):
            continue
    # Words may follow the data, as an explanation does.
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _answers(value: Any) -> Iterator[str]:
    """The texts that are the answer: those under a key that says so, or the only ones there are."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _answers(one)
    elif isinstance(value, dict) and not ("arguments" in value and "name" in value):
        keys = [key for key in value if isinstance(key, str) and _KEY.search(key)]
        named = [value[key] for key in sorted(keys, key=lambda key: _GIVEN.match(key) is not None)]
        chosen = named[:1] if named else list(value.values()) if len(value) == 1 else []
        for one in chosen:
            yield from _answers(one)


def _without_html(text: str) -> tuple[str, str | None]:
    """The text without HTML's own elements; a whole page, or what shows things beside text, cannot be read."""
    text = _LINK.sub(r"\1", _PICTURE.sub(r"\1", text))
    if _PAGE.search(text):
        return "", UNREADABLE
    plain = _ELEMENT.sub("", _BREAKS.sub("\n", text))
    if plain == text and not re.search(r"&(?:amp|lt|gt|quot|nbsp|#\d+|#x[\da-fA-F]+);", text):
        return text, None
    return html.unescape(plain).replace("\xa0", " "), None


def bare(line: str) -> str:
    """A line without list mark, bold type and the quotation marks around the whole of it."""
    line = " ".join(line.replace("**", "").split())
    line = _SURE_MARK.sub("", line)
    for left, right in map(tuple, _PAIRS):
        end = line.rstrip(".。") if right not in ".。" else line
        if len(end) >= 2 and end[0] == left and end[-1] == right and _encloses(end, left, right):
            return end[1:-1].strip()
    # An answer that broke off before its closing mark.
    if line[:1] in '"“„«「『《`' and not any(mark in line[1:] for mark in '"”“»」』》`'):
        return line[1:].strip()
    return line


def _encloses(line: str, left: str, right: str) -> bool:
    """Whether the first mark of a line is closed by its last one, and not by one in between, as in '"a" and "b"'."""
    inside = line[1:-1]
    if left != right:
        depth = 0
        for character in inside:
            depth += (character == left) - (character == right)
            if depth < 0:
                return False
        return True
    for place, character in enumerate(inside):
        if character != left:
            continue
        before, after = inside[:place][-1:], inside[place + 1 :][:1]
        if left in _APOSTROPHES and before.isalnum() and after.isalnum():
            continue  # an apostrophe within a word
        # The first one inside says it: one that opens is nested, one that closes ends what the first one began.
        return before in ("", " ", left) and after not in ("", " ")
    return True


def numbered(lines: list[str]) -> bool:
    """Whether the numbers of lines are those of a list: '1. FC Köln fans' by itself is none."""
    numbers = sum(_NUMBER.match(line.strip()) is not None for line in lines)
    return numbers > 1 or (numbers == 1 and any(_SURE_MARK.match(line.strip()) for line in lines))


def without_number(line: str) -> str:
    """A line without the number that it has in a list."""
    return _NUMBER.sub("", line.strip())
