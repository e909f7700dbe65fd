"""Challenging concepts: what in a query a retriever will misread, as models are asked to write it and as it is read.

RAQO's retrieval-aware chain of thought (ReCoT): a model names the concepts of a query that the retriever finds hard,
then rewrites the query with them in view. Its word for a query without any is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from grapebench.rewriters import announcing, output, speaking, turns, wrappings

VERSION = 2
"""Part of the fingerprint of every rewriter that detects; raised when any detection is read differently."""
NONE = "None"

_BETWEEN = re.compile(r"[;；、，\n]|,(?!\d)")
_GOES_ON = re.compile(r"([;；、，,])\s*\n")
_EDGES = " \"'“”‘’«»「」`*_[]{}.。:：!！?？#>•–—-"
_LABEL = re.compile(
    r"^(?:[^\W\d_]+[\s-]+){0,6}?(?:concepts?|terms?|words?|phrases?)\b[^:：;；,，、]{0,60}[:：]\s*", re.IGNORECASE
)
_NONE = re.compile(
    r"^(?:(?:there (?:is|are)|(?:the|this) \w+ (?:has|contains|holds)) )?"
    r"(?:none|nothing|n/a|no (?:[\w-]+ ){0,3}(?:concepts?|terms?|words?|phrases?))"
    r"(?: (?:in|to|of|are|is|at|that|were|was|found|detected|here)\b.*)?$",
    re.IGNORECASE,
)


def normal(concepts: Iterable[str]) -> tuple[str, ...]:
    """Concepts as they are read: stripped of decoration, distinct (case aside), in order; what is none left out.

    A concept holds no separator: one that does is several.
    """
    found: dict[str, str] = {}
    for text in concepts:
        for item in map(_clean, _BETWEEN.split(_settled(text)[0])):
            if _is_word(item) and not _NONE.match(item) and not speaking.said_instead(item):
                found.setdefault(item.casefold(), item)
    return tuple(found.values())


def write(concepts: Iterable[str]) -> str:
    """Concepts as a model is to write them: joined by '; ', or 'None'. `read` gives back `normal(concepts)`."""
    return "; ".join(normal(concepts)) or NONE


def read(raw: str) -> tuple[tuple[str, ...], str | None]:
    """The concepts in a model's answer, as `normal` has them, and why none can be read.

    Returns (concepts, None), ((), None) where the model says that there are none, or ((), reason) with reason 'empty',
    'no words' (marks only), 'refusal' or 'unfinished' (cut off while thinking). Concepts stand in one line, or in
    lines that each have a list mark. Never raises.
    """
    text, unfinished = _settled(raw)
    if unfinished and not text.strip():
        return (), "unfinished"
    lines = _listed(text)
    if lines and (reason := speaking.said_instead(_clean(lines[0]))):
        return (), reason
    concepts = normal(lines)
    if concepts or any(_NONE.match(_clean(item)) for line in lines for item in _BETWEEN.split(line)):
        return concepts, None
    return (), "no words" if text.strip() and not _is_word(text) else "empty"


@dataclass(frozen=True, slots=True)
class Both:
    """Concepts and rewrite out of one answer."""

    concepts: tuple[str, ...]
    undetected: str | None
    """Why no concepts can be read: a reason of `read`, or 'missing' for an answer that speaks of none."""
    rewrite: str
    """Empty where the answer has none."""
    fallback: str | None
    """Why there is no rewrite: a reason of `grapebench.rewriters.output.parse`. None where there is one, and where no
    concept is challenging, so that none is needed."""


def write_both(concepts: Iterable[str], rewrite: str) -> str:
    """What a model that is asked once is to write: a line of concepts, then the rewrite, unless there are none."""
    written = write(concepts)
    line = f"Concepts: {written}"
    return line if written == NONE else f"{line}\nRewrite: {' '.join(rewrite.split())}"


def read_both(raw: str, instructions: tuple[str, ...] = ()) -> Both:
    """The reverse of `write_both`, as lenient as `read` and `output.parse`. Never raises."""
    text, _ = _settled(raw)
    lines = text.splitlines()
    start = next((place for place, line in enumerate(lines) if _LABEL.match(_opened(line))), None)
    if start is None:
        rewrite, reason = output.parse(raw, instructions)
        return Both((), reason or "missing", rewrite, reason)
    after = range(start + 1, len(lines))
    end = next((place for place in after if announcing.label(_opened(lines[place]))), None)
    if end is None:  # the rewrite has no label: it follows a line of concepts, and a list of them is followed by none
        end = start + 1 if _is_word(_clean(lines[start])) else len(lines)
    concepts, undetected = read("\n".join(lines[start:end]))
    rewrite, reason = output.parse("\n".join(lines[end:]), instructions)
    unneeded = reason == "empty" and not concepts and undetected is None
    return Both(concepts, undetected, rewrite, None if unneeded else reason)


def _settled(text: str) -> tuple[str, bool]:
    """What is said outside of thinking, without bold type, and whether it breaks off in the midst of thinking."""
    unfinished = False
    while True:
        shorter, broken = turns.without_thinking(text.replace("**", ""))
        unfinished |= broken
        if shorter == text:
            return text, unfinished
        text = shorter


def _listed(text: str) -> list[str]:
    """The lines that hold the concepts: the first that holds anything, or all with list marks if that has one."""
    lines = [line.strip() for line in _GOES_ON.sub(r"\1 ", text).splitlines()]
    lines = [line for line in lines if not line.startswith("```") and _is_word(_clean(line))]
    return (
        [line for line in lines if wrappings.MARK.match(line)]
        if lines and wrappings.MARK.match(lines[0])
        else lines[:1]
    )


def _clean(text: str) -> str:
    while True:
        shorter = _LABEL.sub("", _opened(" ".join(text.split()))).rstrip(_EDGES)
        if shorter == text:
            return text
        text = shorter


def _opened(line: str) -> str:
    """A line without what may stand before its label."""
    return wrappings.MARK.sub("", line.strip()).lstrip(_EDGES)  # a mark first: its digit is no edge


def _is_word(text: str) -> bool:
    return any(character.isalnum() for character in text)
