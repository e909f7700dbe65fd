from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.records import Query, Rewrite
from grapebench.rewriters.samples import Combination, elect, expand

QUERY = Query("q", "ein Drachen", language="de")


def said(*texts: str, fallback: str | None = None) -> Rewrite:
    return Rewrite(
        "q", texts, raw=" / ".join(texts), fallback=fallback, prompt_tokens=5, completion_tokens=2, money=0.5
    )


FAILED = Rewrite("q", ("ein Drachen",), fallback="error 500", prompt_tokens=1)


def test_ids() -> None:
    assert [one.id for one in expand(QUERY, 3)] == ["q", "q#1", "q#2"]
    assert expand(QUERY, 1) == [QUERY]
    assert {(one.text, one.language) for one in expand(QUERY, 3)} == {("ein Drachen", "de")}


def test_distinct_answers_are_weighted_by_how_often_they_came() -> None:
    made = Combination()(QUERY, [said("a kite"), said("a dragon"), said("a kite")])
    assert (made.query_id, made.texts, made.weights, made.fusion) == ("q", ("a kite", "a dragon"), (2.0, 1.0), "mean")
    assert (made.prompt_tokens, made.completion_tokens, made.money) == (15, 6, 1.5)
    assert (made.raw, made.fallback, made.trace) == ("a kite\na dragon\na kite", None, {})
    once = Combination("rrf")(QUERY, [said("a kite"), said("a dragon")])
    assert (once.weights, once.fusion) == ((), "rrf")
    assert Combination("max")(QUERY, [said("a"), said("b"), said("a")]).weights == ()


def test_the_query_itself_may_stand_beside_its_answers() -> None:
    made = Combination(with_query=0.5)(QUERY, [said("a kite"), said("a kite")])
    assert (made.texts, made.weights) == (("a kite", "ein Drachen"), (2.0, 0.5))
    same = Combination(with_query=0.5)(QUERY, [said("ein Drachen")])
    assert (same.texts, same.weights) == (("ein Drachen",), (1.5,))
    assert Combination()(QUERY, [said("a kite")]).texts == ("a kite",)


def test_lines_of_an_answer_are_texts_of_their_own() -> None:
    made = Combination("rrf")(QUERY, [said("a kite", "a red kite"), said("a kite", "the sky")])
    assert (made.texts, made.weights) == (("a kite", "a red kite", "the sky"), (2.0, 1.0, 1.0))


def test_unusable_answers_do_not_count() -> None:
    answers = [said("ein Drachen", fallback="refusal"), said("a kite"), FAILED, said("ein Drachen", fallback="refusal")]
    made = Combination(with_query=1)(QUERY, answers)
    assert (made.texts, made.fallback) == (("a kite", "ein Drachen"), None)
    assert made.trace == {"answers": "1 of 4 usable, the others: refusal", "unanswered": "error 500"}
    nothing = Combination(with_query=1)(QUERY, [answers[0], FAILED, FAILED])
    assert (nothing.texts, nothing.weights, nothing.fallback) == (("ein Drachen",), (), "error 500")
    assert nothing.prompt_tokens == 7
    assert Combination("max")(QUERY, [FAILED]).raw is None


def test_cut_prompts_and_answers_stay_known() -> None:
    cut = Rewrite("q", ("a",), raw="a", trace={"cut output": "no end", "served by": "x" * 1000})
    assert Combination()(QUERY, [said("b"), cut]).trace == {"cut output": "no end"}


def test_what_was_detected_stays_known() -> None:
    told = [{"concepts": "kite"}, {"undetected": "empty"}, {"concepts": "None"}, {"concepts": "kite"}]
    told += [{"undetected": "no words"}] * 2
    answers = [Rewrite("q", (f"{place}",), raw="a", trace=trace) for place, trace in enumerate(told)]
    assert Combination()(QUERY, answers).trace == {"concepts": "kite | None", "undetected": "no words"}


def test_the_vote() -> None:
    answers = [said("A kite."), said("a dragon"), said("a  kite"), said("a paper dragon in the sky")]
    made = Combination(vote=True)(QUERY, answers)
    assert (made.texts, made.weights, made.completion_tokens) == (("A kite.",), (), 8)
    both = Combination(vote=True, with_query=1)(QUERY, answers)
    assert both.texts == ("A kite.", "ein Drachen")


@pytest.mark.parametrize(
    ("texts", "winner"),
    [
        (["one"], "one"),
        (["b c", "a b c", "x"], "b c"),  # 'b c' and 'a b c' overlap equally: the first
        (["x y z", "a red kite", "a red kite flies", "a kite"], "a red kite"),
        (["...", "!", "a"], "..."),  # without words two are equal, and more than one
        (["风筝", "红 风筝", "风筝。"], "风筝"),
    ],
)
def test_the_vote_by_hand(texts: list[str], winner: str) -> None:
    assert elect(texts) == winner


@given(st.lists(st.sampled_from(["a b", "A  b!", "a c", "b c d", "e", ""]), min_size=1, max_size=8))
def test_the_vote_against_the_plain_definition(texts: list[str]) -> None:
    plain = ["".join(c if c.isalnum() else " " for c in text.lower()).split() for text in texts]
    groups = Counter(map(tuple, plain))
    chosen = texts.index(elect(texts))
    assert groups[tuple(plain[chosen])] == max(groups.values())

    def agreement(place: int) -> float:
        shares = []
        for other, words in enumerate(plain):
            if other != place:
                union = set(words) | set(plain[place])
                shares.append(len(set(words) & set(plain[place])) / len(union) if union else 1)
        return sum(shares) / max(len(shares), 1)

    for place, words in enumerate(plain):
        if groups[tuple(words)] == max(groups.values()):
            assert agreement(chosen) >= agreement(place) - 1e-12
            if place < chosen:
                assert agreement(chosen) > agreement(place) - 1e-12


def test_without_texts_there_is_no_vote() -> None:
    with pytest.raises(ValueError, match="empty"):
        elect([])
