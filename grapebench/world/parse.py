"""Reading English back into facts: the judge of whether a rewrite still says what the query said."""

from __future__ import annotations

import re
from functools import cache

from grapebench.world.content import Content, Thing
from grapebench.world.english import WORDS


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, tuple[str, str]]]:
    meaning = {
        word: (kind, concept)
        for kind, concepts in WORDS.items()
        for concept, words in concepts.items()
        for word in words
    }
    longest_first = sorted(meaning, key=len, reverse=True)
    return re.compile(r"\b(" + "|".join(map(re.escape, longest_first)) + r")\b"), meaning


def parse(text: str) -> Content:
    """The content of an English sentence of the miniature, whoever wrote it.

    Attributes belong to the next shape word; a relation stands between the first two things; words that mean nothing
    here are passed over. A shape named twice is one thing.
    """
    pattern, meaning = _pattern()
    things: dict[str, Thing] = {}
    pending: dict[str, str] = {}
    relation = background = None
    for match in pattern.finditer(text.lower()):
        kind, concept = meaning[match[1]]
        if kind == "shape":
            known = things.get(concept, Thing(concept))
            things[concept] = Thing(
                concept,
                pending.get("colour", known.colour),
                pending.get("size", known.size),
                pending.get("texture", known.texture),
            )
            pending = {}
        elif kind == "relation":
            if relation is None and len(things) == 1:
                relation = concept
            pending = {}
        elif kind == "background":
            background, pending = concept, {}
        else:
            pending[kind] = concept
    return Content(tuple(things.values()), relation if len(things) > 1 else None, background)
