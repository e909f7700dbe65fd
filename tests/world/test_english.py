from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.world import english
from grapebench.world.content import Content, Thing
from grapebench.world.parse import parse
from grapebench.world.scenes import observe, random_scene

STYLES = {
    "canonical": english.CANONICAL, "retriever": english.RETRIEVER, "people": english.PEOPLE, "model": english.MODEL,
}  # fmt: skip
KITE = Thing("kite", "red", "small", "striped")


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(st.integers(0, 2**32))
def test_parsing_inverts_every_style(style: english.Style, seed: int) -> None:
    rng = random.Random(seed)
    content = observe(random_scene(rng), rng)
    assert parse(english.realise(content, style, rng)).facts() == content.facts()


def test_no_word_means_two_things() -> None:
    words = Counter(word for concepts in english.WORDS.values() for some in concepts.values() for word in some)
    assert max(words.values()) == 1


def test_known_synonyms_are_second_words() -> None:
    seconds = {words[1] for concepts in english.WORDS.values() for words in concepts.values()}
    assert seconds >= english.KNOWN_SYNONYMS


def test_canonical_caption() -> None:
    content = Content((KITE, Thing("umbrella", "orange", "large", "plain")), "above", "snow")
    expected = "a small red striped kite above a large orange umbrella in the snow"
    assert english.realise(content, english.CANONICAL, random.Random(0)) == expected


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", set()),
        ("Nothing to see here.", set()),
        ("A RED KITE", {("object", "kite"), ("colour", "kite", "red")}),
        ("red red kite", {("object", "kite"), ("colour", "kite", "red")}),
        ("a kite to the left of a tea vessel",
         {("object", "kite"), ("object", "teapot"), ("relation", "kite", "left", "teapot")}),
        ("a teapot right of a kite",
         {("object", "kite"), ("object", "teapot"), ("relation", "kite", "left", "teapot")}),
        ("a kite at sea, the kite is red", {("object", "kite"), ("background", "water")}),
        ("reddish kites", set()),
    ],
)  # fmt: skip
def test_parsing_by_hand(text: str, facts: set[tuple[str, ...]]) -> None:
    assert parse(text).facts() == facts


@pytest.mark.parametrize(
    ("phrase", "article"), [("orange kite", "an"), ("umbrella", "an"), ("uniform fan", "a"), ("ebony fan", "an")]
)
def test_article(phrase: str, article: str) -> None:
    assert english.article(phrase) == article
