from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.training.raqo.contrast import Contrast, phrases

TEXTS = st.lists(st.text("ab cd", min_size=1, max_size=12), max_size=5)


def test_phrases_are_words_and_pairs_without_articles_and_marks() -> None:
    assert phrases("A red kite, an OX") == {"red", "kite", "ox", "red kite", "kite ox"}
    assert phrases("… !") == frozenset()


def test_the_word_that_fails_everywhere_is_the_concept() -> None:
    answers = [
        ([f"the verdant {noun} at sea", f"a verdant {noun}"], [f"the green {noun} at sea", f"a small {noun}"])
        for noun in ("kite", "tree", "drum", "fan")
    ]
    learnt = Contrast.learn(answers, 1.0)
    assert learnt.concepts(*answers[0], most=1) == ("verdant",)
    assert learnt.concepts(*answers[0], most=4) == ("verdant",), "every other word finds too"
    assert learnt.concepts([], ["a kite"], 3) == () == learnt.concepts(["kite"], ["a kite"], 3)


def test_how_telling_a_word_is_by_hand() -> None:
    # 3 texts fail and 2 find; 'x' stands in 2 and 1 of them. The last query has only one kind and does not count.
    learnt = Contrast.learn([(["x", "x y", "z"], ["x", "w"]), (["x", "x"], [])], 0.5)
    odds = math.log(2.5 / 1.5) - math.log(1.5 / 1.5)
    assert learnt.telling["x"] == pytest.approx(odds / math.sqrt(1 / 2.5 + 1 / 1.5))
    assert "w" not in learnt.telling


def test_words_that_only_stand_together_are_named_together() -> None:
    answers = [([f"a plus sign and {noun}"], [f"a cross and {noun}"]) for noun in ("kites", "trees", "drums")]
    assert Contrast.learn(answers, 1.0).concepts(*answers[0], most=1) == ("plus sign",)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5), TEXTS, TEXTS, st.integers(1, 4))
def test_concepts_stand_in_what_fails_alone_and_share_no_word(
    answers: list[tuple[list[str], list[str]]], fail: list[str], find: list[str], most: int
) -> None:
    found = Contrast.learn(answers, 1.0).concepts(fail, find, most)
    assert len(found) <= most
    # One of them may say a word twice.
    words = [word for concept in found for word in set(concept.split())]
    assert len(set(words)) == len(words)
    for concept in found:
        assert any(concept in phrases(text) for text in fail)
        assert not any(concept in phrases(text) for text in find)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_failing_and_finding_exchanged_is_the_opposite(answers: list[tuple[list[str], list[str]]]) -> None:
    one = Contrast.learn(answers, 1.0).telling
    other = Contrast.learn([(find, fail) for fail, find in answers], 1.0).telling
    for phrase in one.keys() & other.keys():
        assert one[phrase] == pytest.approx(-other[phrase])
