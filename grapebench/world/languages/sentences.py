"""Sentences: templates with optional parts, compiled once for each combination of what is to be said."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from grapebench.world.content import INVERSE, Content, Thing
from grapebench.world.languages.phrases import Phrases, pick

_PART = re.compile(r"\[([^\[\]/]*)(?:/([^\[\]/]*))?\]")
_NUMBER = re.compile(r"<([^<>|]*)\|([^<>|]*)>")
_SLOT = re.compile(r"\{(\w+)(?::(\w+))?\}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A template reduced to one combination: a %-format and what fills it, as (slot, case)."""

    text: str
    slots: tuple[tuple[str, str], ...]


def reduced(template: str, present: frozenset[str], plural: bool) -> Pattern | None:
    """The pattern for the slots that are present, or None if the template needs one that is not.

    `[x]` stands when all slots within are present, `[x/y]` is y otherwise; `<x|y>` is y in the plural; `{a:acc}` is
    the slot a in the case acc.
    """

    def part(match: re.Match[str]) -> str:
        stands = all(name in present for name, _ in _SLOT.findall(match[1]))
        return match[1] if stands else match[2] or ""

    text = _NUMBER.sub(lambda m: m[2] if plural else m[1], _PART.sub(part, template))
    slots = tuple((name, case) for name, case in _SLOT.findall(text))
    if not present.issuperset(name for name, _ in slots) or not {"rest", "place"} & present <= {n for n, _ in slots}:
        return None
    return Pattern(_SLOT.sub("%s", text), slots)


@dataclass(frozen=True)
class Language:
    """A language: noun phrases, fixed expressions, templates.

    Slots of `related` templates: a and b (the first two things), rel (how a stands to b), inv (the inverse, from the
    same row of `relations`), rest (the other things, a list), place. Slots of `listed` templates: all (a list), place.
    Number in `<|>` is that of the list. `lists` holds separators: (between, before the last, between just two).
    `places` maps a background to its expressions, by case ("" unless a template asks for another). `cases` numbers
    the noun cases.
    """

    phrases: Phrases
    relations: Mapping[str, tuple[str, ...]]
    places: Mapping[str, Mapping[str, tuple[str, ...]]]
    related: tuple[str, ...]
    listed: tuple[str, ...]
    lists: tuple[tuple[str, str, str], ...]
    cases: Mapping[str, int] = field(default_factory=lambda: {"": 0})
    capital: Callable[[str], str] = str.upper
    _patterns: dict[tuple[bool, int, bool], tuple[Pattern, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for place in (False, True):
            for related, count in ((True, 0), (True, 1), (True, 2), (False, 1), (False, 2)):
                present = {"a", "b", "rel", "inv"} if related else {"all"}
                present |= ({"place"} if place else set()) | ({"rest"} if related and count else set())
                templates = self.related if related else self.listed
                found = (reduced(template, frozenset(present), count > 1) for template in templates)
                self._patterns[related, count, place] = tuple(pattern for pattern in found if pattern)

    def realise(self, content: Content, rng: random.Random) -> str:
        """One caption."""
        things = content.things
        related = content.relation is not None and len(things) > 1
        listed = things[2:] if related else things
        key = (related, min(len(listed), 2), content.background is not None)
        pattern = pick(self._patterns[key], rng)
        row = rng.random()
        values = []
        for slot, case in pattern.slots:
            if slot == "a" or slot == "b":
                values.append(self.phrases(things[slot == "b"], self.cases[case], rng))
            elif slot == "rel" or slot == "inv":
                relation = content.relation if slot == "rel" else INVERSE[content.relation]  # type: ignore[index]
                words = self.relations[relation]  # type: ignore[index]
                values.append(words[int(row * len(words))])
            elif slot == "place":
                values.append(pick(self.places[content.background][case], rng))  # type: ignore[index]
            else:
                values.append(self._list(listed, self.cases[case], rng))
        text = pattern.text % tuple(values)
        return self.capital(text[0]) + text[1:]

    def _list(self, things: tuple[Thing, ...], case: int, rng: random.Random) -> str:
        phrases = [self.phrases(thing, case, rng) for thing in things]
        if len(phrases) == 1:
            return phrases[0]
        between, last, two = pick(self.lists, rng)
        if len(phrases) == 2:
            return phrases[0] + two + phrases[1]
        return between.join(phrases[:-1]) + last + phrases[-1]

    def vocabulary(self) -> dict[tuple[str, str], frozenset[str]]:
        """All forms by (kind, concept)."""
        found = self.phrases.vocabulary()
        found |= {("relation", name): frozenset(words) for name, words in self.relations.items()}
        for name, cases in self.places.items():
            found["background", name] = frozenset(words for forms in cases.values() for words in forms)
        return found


def places(**words: str) -> dict[str, dict[str, tuple[str, ...]]]:
    """Backgrounds from short notation: synonyms parted by " | "; a single case."""
    return {name: {"": tuple(text.split(" | "))} for name, text in words.items()}


def relations(**words: str) -> dict[str, tuple[str, ...]]:
    """Relations from short notation: synonyms parted by "|", spaces kept."""
    return {name: tuple(text.split("|")) for name, text in words.items()}
