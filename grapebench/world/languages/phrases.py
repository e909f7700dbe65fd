"""Noun phrases: one composer for all languages, driven by tables of inflected forms."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, product
from typing import TypeVar

from grapebench.world.content import Thing

T = TypeVar("T")
Forms = tuple[str, ...]
Table = Mapping[str, tuple[Forms, ...]]


def pick(options: Sequence[T], rng: random.Random) -> T:
    """One of the options; a fraction of the cost of `rng.choice`, and the same in every Python version."""
    return options[int(rng.random() * len(options))]


@dataclass(frozen=True, slots=True)
class Noun:
    """One word for a shape: its form in each case, its gender, a classifier that opens the phrase, and a determiner
    that stands right before the noun (each with its space)."""

    forms: Forms
    gender: int = 0
    classifier: str = ""
    determiner: str = ""


Article = Callable[[Noun, int, str], str]


class Phrases:
    """Writes a thing as an indefinite noun phrase.

    `nouns`: shape → its synonyms. `tables`: name → value → synonyms, each with one form a slot, where
    slot = case × genders + gender (a single form serves all slots). `layouts`: the orders in which the words may
    stand, as names of tables and "noun"; a table's name begins with the attribute it says ("size", "size_before").
    `article`: (noun, slot, following word) → what precedes, its space included.
    """

    def __init__(
        self,
        nouns: Mapping[str, tuple[Noun, ...]],
        tables: Mapping[str, Table],
        layouts: Iterable[str],
        article: Article,
        *,
        genders: int = 1,
        cases: int = 1,
        space: str = " ",
    ) -> None:
        self.nouns, self.article, self.genders, self.space = nouns, article, genders, space
        self.tables = {
            name: {value: tuple(_spread(forms, genders * cases) for forms in words) for value, words in table.items()}
            for name, table in tables.items()
        }
        self._layouts = {
            said: _for_said(tuple(layouts), frozenset(compress(("size", "colour", "texture"), said)))
            for said in product((False, True), repeat=3)
        }

    def __call__(self, thing: Thing, case: int, rng: random.Random) -> str:
        values = {"size": thing.size, "colour": thing.colour, "texture": thing.texture}
        patterned = thing.texture is not None and thing.texture != "plain"
        layout = pick(self._layouts[thing.size is not None, thing.colour is not None, patterned], rng)
        noun = pick(self.nouns[thing.shape], rng)
        slot = case * self.genders + noun.gender
        words = []
        for name, attribute in layout:
            if attribute == "noun":
                words.append(noun.determiner + noun.forms[case])
            else:
                words.append(pick(self.tables[name][values[attribute]], rng)[slot])  # type: ignore[index]
        return self.article(noun, slot, words[0]) + self.join(words)

    def join(self, words: list[str]) -> str:
        """The words as one string."""
        return self.space.join(words)

    def vocabulary(self) -> dict[tuple[str, str], frozenset[str]]:
        """All forms by (kind, concept)."""
        found = {("object", s): frozenset(f for noun in words for f in noun.forms) for s, words in self.nouns.items()}
        for name, table in self.tables.items():
            for value, words in table.items():
                key = (name.split("_")[0], value)
                found[key] = found.get(key, frozenset()) | {form for forms in words for form in forms}
        return found


def _spread(forms: Forms, slots: int) -> Forms:
    return forms if len(forms) > 1 else forms * slots


def _for_said(layouts: tuple[str, ...], said: frozenset[str]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The layouts without the attributes that are not said, each once."""
    kept: dict[tuple[tuple[str, str], ...], None] = {}
    for layout in layouts:
        named = tuple((name, name.split("_")[0]) for name in layout.split())
        kept[tuple((name, kind) for name, kind in named if kind == "noun" or kind in said)] = None
    return tuple(kept)


def table(**words: str) -> dict[str, tuple[Forms, ...]]:
    """A table from short notation: synonyms parted by " | ", the forms of one word by "/"."""
    return {value: tuple(tuple(word.split("/")) for word in text.split(" | ")) for value, text in words.items()}


def gendered(genders: str, **words: str) -> dict[str, tuple[Noun, ...]]:
    """Nouns from short notation "m Kreis | f Scheibe": a letter of `genders`, then the word, the same in all cases."""
    return {
        shape: tuple(Noun((word[2:],) * 3, genders.index(word[0])) for word in text.split(" | "))
        for shape, text in words.items()
    }


def by_slot(*articles: str) -> Article:
    """An article that depends on the slot alone."""
    return lambda noun, slot, following: articles[slot]


def by_classifier(noun: Noun, slot: int, following: str) -> str:
    """The noun's own classifier in place of an article."""
    return noun.classifier
