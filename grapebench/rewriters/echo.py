"""Echoes: an answer that repeats the words it was asked with, as models without instruction tuning do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

Instructions = tuple[str, ...]
"""The fixed words that a model was asked with."""

_RUN = 4
"""So many words in a row are the instruction's own, and so many letters of a script without spaces are as good as a
word."""
_WORD = re.compile(r"[^\W_]+")
_DENSE = re.compile(r"([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff])")
_LABEL = re.compile(r"^\s*([^\W\d_][^:：\n]{0,40})[:：][ \t]*(.*)$", re.MULTILINE)
_SENTENCE = re.compile(r"[.!?:;。！？：；\n]+")


def is_echo(text: str, instructions: Instructions) -> bool:
    """Whether a line is made of the words of an instruction: a whole sentence of it, or half of its runs of four words.

    The query's own text is no part of the instruction.
    """
    if not instructions:
        return False
    words = _words(text)
    if len(words) < 2:
        return False
    runs, sentences = _parts(instructions)
    if words in sentences:
        return True
    own = [words[start : start + _RUN] for start in range(len(words) - _RUN + 1)]
    shared = sum(run in runs for run in own)
    return shared >= 2 and 2 * shared >= len(own)


def is_label(label: str, instructions: Instructions) -> bool:
    """Whether a label is one under which the instructions name what they give, as in 'Photograph: …'."""
    return bool(label) and label.strip().casefold() in _labels(instructions)[0]


def without_label(line: str, instructions: Instructions) -> str:
    """A line without the label that the instructions end with: the one that they want the answer under."""
    found = _LABEL.match(line)
    return found[2] if found and found[1].strip().casefold() in _labels(instructions)[1] else line


@lru_cache(maxsize=64)
def _labels(instructions: Instructions) -> tuple[frozenset[str], frozenset[str]]:
    """The labels in the instructions, casefolded: those over what is given, and those that an answer is to follow."""
    found = {label[1].strip().casefold() for text in instructions for label in _LABEL.finditer(text)}
    last = list(_LABEL.finditer(instructions[-1].rstrip())) if instructions else []
    wanted = {label[1].strip().casefold() for label in last[-1:] if not label[2]}
    return frozenset(found - wanted), frozenset(wanted)


@lru_cache(maxsize=64)
def _parts(instructions: Instructions) -> tuple[frozenset[tuple[str, ...]], frozenset[tuple[str, ...]]]:
    """Every run of words in the instructions, and every sentence."""
    runs = {run for text in instructions for run in _runs(_words(text))}
    sentences = {_words(part) for text in instructions for part in _SENTENCE.split(text)}
    return frozenset(runs), frozenset(sentence for sentence in sentences if len(sentence) >= 2)


def _runs(words: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    return (words[start : start + _RUN] for start in range(len(words) - _RUN + 1))


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(_DENSE.sub(r" \1 ", text.casefold())))
