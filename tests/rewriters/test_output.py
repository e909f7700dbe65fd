from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grapebench.records import Rewrite
from grapebench.rewriters.output import parse, parse_lines, tally

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<rewrite>", "</rewrite>", "<think>", "</think>", "\n", "```", '"', "“", "”", "Caption:",
             "Here is the caption:", "**", "- ", "1. ", "a red kite", " ", "I'm sorry", "'", "`", "：", "!"]
        ),
        st.text(max_size=6),
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(PIECES)
@example('""a""')
@example("<rewrite>Caption:</rewrite>")
def test_never_raises_and_is_idempotent(raw: str) -> None:
    text, reason = parse(raw)
    assert (text == "") == (reason is not None)
    assert len(text) <= len(raw)
    if reason is None:
        assert parse(text) == (text, None)
        assert "\n" not in text and text.strip() == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a red kite", "a red kite"),
        ("  a red\tkite \n", "a red kite"),
        ("<rewrite>a red kite</rewrite>", "a red kite"),
        ("Sure!\n<rewrite>\na red kite\n</rewrite> I hope it helps.", "a red kite"),
        ("<rewrite>a red kite", "a red kite"),
        ("<think>a fish? no</think>\n\na red kite", "a red kite"),
        ("a fish? no</think>a red kite", "a red kite"),
        ("a red kite <think>is that", "a red kite"),
        ("```text\na red kite\n```", "a red kite"),
        ("Caption: a red kite", "a red kite"),
        ("**Caption:** a red kite", "a red kite"),
        ("**English caption**: a red kite", "a red kite"),
        ("Caption:\n\na red kite\nIt flies.", "a red kite"),
        ("Here's a short caption for your article: “a red kite”", "a red kite"),
        ("1. a red kite\n2. a blue fish", "a red kite"),
        ('- "a red kite"', "a red kite"),
        ("here is a picture of a red kite", "here is a picture of a red kite"),
        ("3 red kites", "3 red kites"),
        ("a boy's 'best' kite", "a boy's 'best' kite"),
        ("红色的风筝", "红色的风筝"),
    ],
)
def test_what_is_read(raw: str, text: str) -> None:
    assert parse(raw) == (text, None)


@given(PIECES)
@example("a:\nb")
@example("<rewrite>a</rewrite><rewrite>b</rewrite>")
@example('"Caption:</rewrite>')
@example('"a kite:"\nb')
def test_lines_never_raise_and_are_idempotent(raw: str) -> None:
    texts, reason = parse_lines(raw)
    assert (texts == ()) == (reason is not None)
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert parse(text) == (text, None)
    if texts:
        assert parse_lines("\n".join(texts)) == (texts, None)


@pytest.mark.parametrize(
    ("raw", "texts"),
    [
        ("a red kite", ("a red kite",)),
        ("1. a red kite\n\n2) “a blue kite”\n- a kite", ("a red kite", "a blue kite", "a kite")),
        ("Here are five captions:\na red kite\na blue kite", ("a red kite", "a blue kite")),
        ("**Sure, here you go:**\na red kite\nOf animals:\na fish", ("a red kite", "a fish")),
        ("Caption: a red kite\nCaption: a red kite\nCaption: a fish", ("a red kite", "a fish")),
        ("<think>1\n2</think>\na red kite\n---\na fish", ("a red kite", "a fish")),
        ("```\na red kite\na fish\n```", ("a red kite", "a fish")),
        ("<rewrite>a red kite\na fish</rewrite> I hope it helps.", ("a red kite", "a fish")),
        ("<rewrite>a red kite</rewrite>\n<rewrite>a fish</rewrite>\nDone!", ("a red kite", "a fish")),
        ("a red kite\na fish\n<think>what else", ("a red kite", "a fish")),
        ("a red kite\nI'm sorry, no more.", ("a red kite",)),
    ],
)
def test_what_is_read_line_by_line(raw: str, texts: tuple[str, ...]) -> None:
    assert parse_lines(raw) == (texts, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        ("Captions:\n\n", "empty"),
        ("---\n...", "no words"),
        ("I'm sorry, but I can't help.\nTry this: kites", "refusal"),
        ("<think>a red kite\na fish", "unfinished"),
    ],
)
def test_lines_without_a_text_fall_back(raw: str, reason: str) -> None:
    assert parse_lines(raw) == ((), reason)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("<rewrite></rewrite>", "empty"),
        ("Caption:", "empty"),
        ('""', "empty"),
        ("...", "no words"),
        ("?!", "no words"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("As an AI, I do not see pictures", "refusal"),
        ("I cannot create a caption.", "refusal"),
        ("抱歉，我无法回答。", "refusal"),
        ("<think>let me see: a red", "unfinished"),
    ],
)
def test_what_is_refused_falls_back(raw: str, reason: str) -> None:
    assert parse(raw) == ("", reason)


def test_trouble_is_counted() -> None:
    rewrites = [
        Rewrite("a", ("text",), raw="", fallback="empty"),
        Rewrite("b", ("text",), raw="", fallback="empty"),
        Rewrite("c", ("text",), raw="...", fallback="no words"),
        Rewrite("d", ("fine",), raw="fine", trace={"cut output": "…"}),
        Rewrite("e", ("fine",), raw="fine"),
    ]
    rewrites.append(Rewrite("f", ("fine",), raw="fine", trace={"undetected": "no words"}))
    assert tally(rewrites) == {
        "fallbacks": {"empty": 2, "no words": 1},
        "cut": {"prompt": 0, "output": 1},
        "undetected": {"no words": 1},
    }
