"""Rare wordings of English queries: some of their words replaced by synonyms that the retriever may not know."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from grapebench.training.raqo.contrast import WORD
from grapebench.training.raqo.synonyms import Synonyms

_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Wording:
    text: str
    rare: tuple[str, ...]
    """The words put in, in their order."""


def wordings(text: str, synonyms: Synonyms, rng: random.Random, count: int, replaced: int) -> list[Wording]:
    """At most `count` different wordings of a text, each with one to `replaced` of its words or phrases replaced."""
    places = _places(text, synonyms)
    found: dict[str, Wording] = {}
    if not places:
        return []
    for _ in range(4 * count):  # draws repeat themselves where there is little to replace
        if len(found) == count:
            break
        chosen = sorted(rng.sample(range(len(places)), rng.randint(1, min(replaced, len(places)))))
        drawn = [(*places[number][:2], rng.choice(places[number][2])) for number in chosen]
        made = _replace(text, drawn)
        found.setdefault(made, Wording(made, tuple(rare for _, _, rare in drawn)))
    return list(found.values())


def _places(text: str, synonyms: Synonyms) -> list[tuple[int, int, tuple[str, ...]]]:
    """Where phrases with synonyms start and end, from the left, the longest first, none within another."""
    words = list(WORD.finditer(text))
    found, number = [], 0
    while number < len(words):
        step = 1
        for length in range(min(synonyms.longest, len(words) - number), 0, -1):
            start, end = words[number].start(), words[number + length - 1].end()
            if some := synonyms.of(" ".join(text[start:end].casefold().split())):
                found.append((start, end, some))
                step = length
                break
        number += step
    return found


def _replace(text: str, drawn: list[tuple[int, int, str]]) -> str:
    made, last = "", 0
    for start, end, rare in drawn:
        made += text[last:start]
        made = _ARTICLE.sub(lambda match, rare=rare: _article(match[1], rare) + match[2], made)  # type: ignore[misc]
        made += rare[:1].upper() + rare[1:] if text[start].isupper() else rare
        last = end
    return made + text[last:]


def _article(old: str, word: str) -> str:
    """The article before another word, by its first letter."""
    new = "an" if word[:1].lower() in "aeiou" else "a"
    return new.capitalize() if old[0].isupper() else new
