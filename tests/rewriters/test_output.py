from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grapebench.records import Query
from grapebench.rewriters.output import parse, tally, to_rewrite

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
    rewrite = to_rewrite(Query("q", "红色的风筝"), raw, 5, 7)
    assert (rewrite.texts, rewrite.raw, rewrite.fallback) == (("红色的风筝",), raw, reason)
    assert (rewrite.prompt_tokens, rewrite.completion_tokens) == (5, 7)


def test_trouble_is_counted() -> None:
    query = Query("q", "text")
    rewrites = [
        to_rewrite(query, ""),
        to_rewrite(query, ""),
        to_rewrite(query, "..."),
        to_rewrite(query, "fine", trace={"cut output": "…"}),
        to_rewrite(query, "fine"),
    ]
    assert tally(rewrites) == {"fallbacks": {"empty": 2, "no words": 1}, "cut": {"prompt": 0, "output": 1}}
