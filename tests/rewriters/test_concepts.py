from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grapebench.rewriters import output
from grapebench.rewriters.concepts import Both, normal, read, read_both, write, write_both

PIECES = [
    "kite", "Kite", "paper lantern", "1,000", "None", "no concepts", "Concepts:", "Rewrite:", "Caption: x", "<think>",
    "</think>", "**", "*", "- ", "2. ", "> ", "; ", ", ", "、", "\n", "\n\n", "\u2028", '"', "「", "[", "{", "```", ":",
    ".", "I'm sorry, ", "sorry,5", "<rewrite>", " ", "风筝", "words are: ",
]  # fmt: skip
ANSWERS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("raw", "concepts"),
    [
        ("kite; paper lantern", ("kite", "paper lantern")),
        ("Concepts: kite; lantern.", ("kite", "lantern")),
        ("**Challenging concepts:** kite, lantern", ("kite", "lantern")),
        ("kite; Kite; a kite; KITE", ("kite", "a kite")),
        ("Here are the challenging concepts in the query:\n\n1. kite\n2. 'lantern'\n\nGood luck.", ("kite", "lantern")),
        ("Concepts:\n- kite\n* lantern", ("kite", "lantern")),
        ("Concepts: kite; lantern\nBoth are rare in photographs.", ("kite", "lantern")),
        ("kite;\nlantern", ("kite", "lantern")),
        ('["kite", "lantern"]', ("kite", "lantern")),
        ('```json\n{"concepts": [\n  "kite",\n  "lantern"\n]}\n```', ("kite", "lantern")),
        ("<think>None?</think>\nkite", ("kite",)),
        ("风筝；灯笼、“红色”", ("风筝", "灯笼", "红色")),
        ("1,000 people, a kite", ("1,000 people", "a kite")),
        ("None; kite", ("kite",)),
        ("no entry sign; nothing but blue", ("no entry sign", "nothing but blue")),
    ],
)  # fmt: skip
def test_concepts_are_read_from_what_models_write(raw: str, concepts: tuple[str, ...]) -> None:
    assert read(raw) == (concepts, None)


@pytest.mark.parametrize(
    "raw",
    ["None", "none.", "Concepts: None", "**None**", "No challenging concepts", "<think>kite?</think> none",
     "There are no challenging concepts in this query.", "The query contains no difficult terms.", "N/A",
     "Nothing", "None; none"],
)  # fmt: skip
def test_none_is_an_answer(raw: str) -> None:
    assert read(raw) == ((), None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("Concepts:", "empty"),
        ("...", "no words"),
        ("; ; -", "no words"),
        ("<think>the kite may", "unfinished"),
        ("I'm sorry, I cannot help with that.", "refusal"),
        ("Concepts: As an AI I see none", "refusal"),
    ],
)
def test_what_cannot_be_read_has_a_reason(raw: str, reason: str) -> None:
    assert read(raw) == ((), reason)


@given(ANSWERS)
@example("none; I'm sorry")
@example("a <think>; b</think>")
@example("x,** y")
def test_what_is_read_is_written_and_read_again(raw: str) -> None:
    concepts, reason = read(raw)
    assert read(write(concepts)) == (concepts, None)
    assert normal(concepts) == concepts
    assert not (concepts and reason)
    assert len({concept.casefold() for concept in concepts}) == len(concepts)
    assert all(any(map(str.isalnum, concept)) and ";" not in concept and "\n" not in concept for concept in concepts)


@given(st.lists(ANSWERS, max_size=5))
@example(["", "kite; lantern", " Kite"])
def test_any_concepts_are_written_as_they_are_read(concepts: list[str]) -> None:
    assert read(write(concepts)) == (normal(concepts), None)
    assert write(normal(concepts)) == write(concepts)


def test_what_is_written() -> None:
    assert write(["kite", "paper lantern"]) == "kite; paper lantern"
    assert write([]) == write(["None", " "]) == "None"
    assert write_both(["kite"], " a red\nkite ") == "Concepts: kite\nRewrite: a red kite"
    assert write_both([], "a red kite") == "Concepts: None"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("Concepts: kite; sky\nRewrite: a red kite", Both(("kite", "sky"), None, "a red kite", None)),
        ("Concepts: None", Both((), None, "", None)),
        ("Concepts: None\nRewrite: a kite", Both((), None, "a kite", None)),
        ("Concepts: kite", Both(("kite",), None, "", "empty")),
        ("Concepts: kite\n\n'a red kite'", Both(("kite",), None, "a red kite", None)),
        ("Concepts:\n- kite\n- sky\n\nRewritten query: 'a kite'", Both(("kite", "sky"), None, "a kite", None)),
        ("<think>hm</think>**Concepts:** kite\n**Rewrite:** <rewrite>a kite", Both(("kite",), None, "a kite", None)),
        ("Query: ein Drachen\nConcepts: Drachen\nRewrite: a kite", Both(("Drachen",), None, "a kite", None)),
        ("Concepts: ...\nRewrite: a kite", Both((), "empty", "a kite", None)),
        ("a red kite", Both((), "missing", "a red kite", None)),
        ("I'm sorry, but no", Both((), "refusal", "", "refusal")),
        ("<think>Concepts: kite", Both((), "unfinished", "", "unfinished")),
        ("", Both((), "empty", "", "empty")),
    ],
)  # fmt: skip
def test_concepts_and_rewrite_are_read_from_one_answer(raw: str, found: Both) -> None:
    assert read_both(raw) == found


@given(ANSWERS, ANSWERS)
@example("kite", "Concepts: lantern")
@example("new caption", "x: Rewrite: y")
def test_both_are_written_and_read_again(names: str, raw: str) -> None:
    concepts, (rewrite, reason) = read(names)[0], output.parse(raw)
    found = read_both(write_both(concepts, rewrite))
    if concepts:
        assert found == Both(concepts, None, rewrite, "empty" if reason else None)
    else:
        assert found == Both((), None, "", None)


@given(ANSWERS)
def test_an_answer_with_both_never_raises(raw: str) -> None:
    found = read_both(raw)
    assert not (found.rewrite and found.fallback) and not (found.concepts and found.undetected)
    assert normal(found.concepts) == found.concepts
