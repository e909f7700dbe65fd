from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grapebench.records import Rewrite
from grapebench.rewriters.output import parse, parse_json, parse_lines, schema, tally
from tests.rewriters.answers import ASKED, CONDENSE, FRESH, GOOD, NOT_READ, READ

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<rewrite>", "</rewrite>", "<think>", "</think>", "\n", "```", '"', "“", "”", "Caption:",
             "Here is the caption:", "**", "- ", "1. ", "a red kite", " ", "I'm sorry", "'", "`", "：", "!", "2. ", "{",
             "}", '{"rewrite": "', "[", "<p>", "&amp;", "<answer>", "<|im_end|>", "</s>", "<|channel|>", "final",
             "<|message|>", "assistant", "Sure!", "Here you go:", "以下是翻译：", "Please provide", "Be brief.", "「",
             "」", "„", "Original query:", "Photograph:", "\\boxed{", "![", "](x)", "(1)", "*"]
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


@given(PIECES)
@example("Be brief.\nCaption: a red kite")
def test_the_laws_hold_with_instructions_too(raw: str) -> None:
    text, reason = parse(raw, CONDENSE)
    assert (text == "") == (reason is not None)
    if reason is None:
        assert parse(text, CONDENSE) == (text, None)
    texts, _ = parse_lines(raw, CONDENSE)
    if texts:
        assert parse_lines("\n".join(texts), CONDENSE) == (texts, None)


def test_there_are_enough_cases() -> None:
    assert len(READ) + len(NOT_READ) + len(ASKED) >= 150 and len(set(GOOD)) == len(GOOD) >= 50
    assert len({language for language, *_ in READ + NOT_READ}) >= 15


@pytest.mark.parametrize("caption", GOOD)
def test_a_good_caption_is_left_alone(caption: str) -> None:
    assert parse(caption) == (caption, None)
    assert parse(caption, CONDENSE) == (caption, None)
    assert parse_lines(caption) == ((caption,), None)


@pytest.mark.parametrize(("language", "raw", "text"), READ)
def test_what_models_write_is_read(language: str, raw: str, text: str) -> None:
    assert parse(raw) == (text, None)


@pytest.mark.parametrize(("language", "raw", "reason"), NOT_READ)
def test_what_is_no_answer_is_counted(language: str, raw: str, reason: str) -> None:
    assert parse(raw) == ("", reason)


@pytest.mark.parametrize(("raw", "text", "reason"), FRESH)
def test_what_the_contract_was_not_made_for_is_read(raw: str, text: str, reason: str | None) -> None:
    assert parse(raw) == (text, reason)


@pytest.mark.parametrize(("instructions", "raw", "text", "reason"), ASKED)
def test_an_echo_of_the_prompt_is_no_answer(
    instructions: tuple[str, ...], raw: str, text: str, reason: str | None
) -> None:
    assert parse(raw, instructions) == (text, reason)


@pytest.mark.parametrize(
    ("raw", "several", "found"),
    [
        ('{"rewrite": "a red kite"}', False, (("a red kite",), None)),
        ('<think>hm</think>\n{"rewrite": " a red\\nkite "}', False, (("a red kite",), None)),
        ('{"rewrite": "Caption: \\"a\\" kite"}', False, (('Caption: "a" kite',), None)),
        ('{"rewrites": ["a kite", "a fish", "a kite", ""]}', True, (("a kite", "a fish"), None)),
        ('{"rewrite": "I\'m sorry, but I can\'t help with that."}', False, ((), "refusal")),
        ('{"rewrite": ""}', False, ((), "empty")),
        ('{"rewrites": []}', True, ((), "empty")),
        ('{"rewrite": "a red ki', False, ((), "not json")),
        ('{"rewrite": ["a kite"]}', False, ((), "not json")),
        ('{"rewrite": "a", "why": "b"}', False, ((), "not json")),
        ('```json\n{"rewrite": "a kite"}\n```', False, ((), "not json")),
        ("a red kite", False, ((), "not json")),
        ('"a red kite"', False, ((), "not json")),
        ("<think>a red kite", False, ((), "unfinished")),
        ("[" * 100_000, False, ((), "not json")),
        ("", False, ((), "empty")),
    ],
)
def test_json_is_read_without_guessing(raw: str, several: bool, found: tuple[tuple[str, ...], str | None]) -> None:
    assert parse_json(raw, several) == found


def test_the_schema_says_what_is_read() -> None:
    assert schema(False)["properties"] == {"rewrite": {"type": "string"}} and schema(False)["required"] == ["rewrite"]
    assert schema(True)["properties"] == {"rewrites": {"type": "array", "items": {"type": "string"}}}


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
        ('{"captions": ["a red kite", "a fish"]}', ("a red kite", "a fish")),
        ('```json\n["a red kite", "a fish"]\n```', ("a red kite", "a fish")),
        ("Here you go:\n1. a red kite\n2. a fish<|im_end|>\n3. a dog", ("a red kite", "a fish")),
        ("1. FC Köln fans", ("1. FC Köln fans",)),
        ("以下是描述：\n1、红色的风筝\n2、一条鱼", ("红色的风筝", "一条鱼")),
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
