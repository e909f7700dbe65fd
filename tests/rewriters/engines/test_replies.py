from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.rewriters.engines import replies
from grapebench.rewriters.engines.spending import Prices, Usage
from grapebench.rewriters.output import parse

PRICES = Prices(2.0, 8.0, 0.5)
NAMES = [
    *("choices", "message", "content", "finish_reason", "refusal", "usage", "prompt_tokens", "completion_tokens"),
    *("prompt_tokens_details", "cached_tokens", "type", "text", "error", "code", "model"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=20,
)


def reply(message: Any, finish: str = "stop", **fields: Any) -> str:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return json.dumps(
        {"model": "m", "choices": [{"message": message, "finish_reason": finish}], "usage": usage} | fields
    )


def read(text: str) -> Any:
    return replies.read_text("k", text, "m", PRICES)


def test_an_answer_with_tokens_and_money() -> None:
    found = read(reply({"content": "a dog"}))
    assert (found.key, found.raw, found.failure, found.trace) == ("k", "a dog", None, {})
    assert (found.prompt_tokens, found.completion_tokens) == (1000, 100)
    assert found.money == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


def test_cached_tokens_have_a_price_of_their_own() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 600}}
    assert read(reply({"content": "x"}, usage=usage)).money == pytest.approx((400 * 2 + 600 * 0.5) / 1e6)
    assert Prices(2.0, 8.0).money(Usage(1000, 0, 600)) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("message", "finish", "raw", "failure"),
    [
        ({"content": None, "refusal": "I cannot."}, "stop", "I cannot.", "refusal"),
        ({"content": "half an", "refusal": None}, "content_filter", "half an", "content filter"),
        ({"content": [{"type": "text", "text": "a "}, {"type": "text", "text": "cat"}]}, "stop", "a cat", None),
        ({"content": None}, "stop", "", None),
        ({"content": None, "reasoning_content": "hm, a"}, "length", "<think>hm, a", None),
        ({"content": " ", "reasoning": "hm, a"}, "length", "<think>hm, a", None),
        ({"content": "a cat", "reasoning_content": "hm"}, "stop", "a cat", None),
        ({"content": None, "tool_calls": [{"id": 1}]}, "tool_calls", '<tool_call>[{"id": 1}]', None),
        ({"content": "a cat", "tool_calls": []}, "stop", "a cat", None),
        ({"content": "x\ud83d"}, "stop", "x?", None),
        (None, "stop", "", "no answer in the reply"),
        ({"content": "x"}, "error", "", "no answer in the reply"),
    ],
)
def test_what_a_message_may_hold(message: Any, finish: str, raw: str, failure: str | None) -> None:
    found = read(reply(message, finish))
    assert (found.raw, found.failure) == (raw, failure)


def test_an_answer_cut_off_is_marked() -> None:
    assert read(reply({"content": "a dog on"}, "length")).trace == {"cut output": "no end within max_new_tokens"}


def test_another_model_than_asked_for_is_told() -> None:
    assert read(reply({"content": "x"}, model="m-2024", system_fingerprint="fp_1")).trace == {
        "served by": "m-2024 fp_1"
    }


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "3", "completion_tokens": 1}, {"prompt_tokens": -1}, 7])
def test_without_token_counts_there_is_an_answer_still(usage: Any) -> None:
    found = read(reply({"content": "x"}, usage=usage))
    assert (found.raw, found.failure, found.prompt_tokens, found.money) == ("x", None, 0, 0)
    assert found.trace == {"usage": "the server did not say how many tokens it took"}


def test_an_error_in_a_reply_is_told() -> None:
    assert read('{"error": {"message": "no\\nroom", "code": 500}}').trace == {"error": "no room"}


@pytest.mark.parametrize("text", ["", "<html>", "[" * 10**5, '{"choices": ['])
def test_garbage_is_a_failure(text: str) -> None:
    assert read(text).failure == "no JSON in the reply"


@given(JSON)
def test_no_json_breaks_it(body: Any) -> None:
    found = replies.read("k", body, "m", PRICES)
    assert found.money >= 0 and isinstance(found.raw, str)
    found.raw.encode()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_reply_is_utf_8_whatever_its_header_says(mark: bytes) -> None:
    text = reply({"content": "caf\u00e9 \u8336"})
    content = mark + json.dumps(json.loads(text), ensure_ascii=False).encode()
    assert read(replies.decoded(content, content.decode("latin-1"))).raw == "caf\u00e9 \u8336"


def test_a_reply_that_is_no_utf_8_is_what_its_header_says() -> None:
    content = b'{"choices": [{"message": {"content": "caf\xe9"}, "finish_reason": "stop"}]}'
    assert read(replies.decoded(content, content.decode("latin-1"))).raw == "caf\u00e9"


def test_what_came_instead_of_a_text_has_its_own_reason() -> None:
    """Thinking that used the tokens up is unfinished, a tool call is one; neither is an empty answer."""
    cut = read(reply({"content": None, "reasoning_content": "the user wants a kite"}, "length"))
    assert parse(cut.raw) == ("", "unfinished") and "cut output" in cut.trace
    called = read(reply({"content": None, "tool_calls": [{"function": {"name": "search"}}]}, "tool_calls"))
    assert parse(called.raw) == ("", "tool call")
    assert parse(read(reply({"content": None})).raw) == ("", "empty")
