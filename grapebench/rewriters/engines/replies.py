"""What an OpenAI-compatible server sends back, taken for granted in nothing: replies, errors, and what they mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from grapebench.rewriters.engines import Answer
from grapebench.rewriters.engines.spending import Prices, Usage

NO_ANSWER = "no answer in the reply"
NO_JSON = "no JSON in the reply"
NO_CREDIT = "no credit"
REFUSED = "connection refused"
TIMEOUT = "timeout"
LOST = "connection lost"
UNANSWERED = frozenset({NO_ANSWER, NO_JSON, TIMEOUT, LOST})
"""Failures after which nobody knows whether the server charges for the request."""
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|max(?:imum)?[ _]model[ _]len|prompt is too long|too many tokens", re.IGNORECASE
)


def decoded(content: bytes, said: str) -> str:
    """A reply as text: JSON is UTF-8 (RFC 8259), whatever its header names; `said` is the text as the header has it."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return said


def read_text(key: str, text: str, model: str, prices: Prices) -> Answer:
    """The answer in the text of a reply; garbage is a failure, never an error."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Answer(key, "", failure=NO_JSON)
    return read(key, body, model, prices)


def read(key: str, body: object, model: str, prices: Prices) -> Answer:
    """The answer in a chat completion as JSON; where there is none, why.

    Tokens and money are counted for whatever came back. `model` is the one asked for: where the server names another
    one (a dated version of it), the trace says so.
    """
    reply = body if isinstance(body, Mapping) else {}
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}
    message = choice.get("message") if isinstance(choice.get("message"), Mapping) else None
    finish = choice.get("finish_reason")
    trace: dict[str, str] = {}
    raw, failure = "", None
    if message is None or finish == "error":
        failure = NO_ANSWER
        if told := error_message(reply) or error_message(choice):
            trace["error"] = told
    else:
        raw = _text(message.get("content"))
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            raw, failure = _text(refusal), "refusal"
        elif finish == "content_filter":
            failure = "content filter"
        elif finish == "length":
            trace["cut output"] = "no end within max_new_tokens"
        if failure is None and not raw.strip():
            raw = _beside(message) or raw
    usage = read_usage(reply.get("usage"))
    if usage is None:
        usage = Usage(0, 0)
        if failure != NO_ANSWER:
            trace["usage"] = "the server did not say how many tokens it took"
    served = " ".join(str(reply[name]) for name in ("model", "system_fingerprint") if reply.get(name))
    if served not in ("", model):
        trace["served by"] = served
    return Answer(key, raw, usage.prompt, usage.completion, prices.money(usage), failure, trace)


def read_usage(found: object) -> Usage | None:
    """The token counts of a reply; None where it has none that can be read."""
    if not isinstance(found, Mapping):
        return None
    prompt, completion = _count(found.get("prompt_tokens")), _count(found.get("completion_tokens"))
    if prompt is None or completion is None:
        return None
    details = found.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return Usage(prompt, completion, min(cached or 0, prompt))


def why(error: Exception) -> str:
    """An error of the client in two words, as it is counted: 'timeout', 'connection lost', 'error 500', …"""
    import openai

    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return REFUSED if type(error.__cause__).__name__ == "ConnectTimeout" else TIMEOUT
    if isinstance(error, openai.APIConnectionError):
        return REFUSED if type(error.__cause__).__name__ == "ConnectError" else LOST
    if isinstance(error, openai.APIStatusError):
        code = _code(error.body)
        if code == "content_filter":
            return "content filter"
        if error.status_code == 402 or code == "insufficient_quota":
            return NO_CREDIT
        return f"error {error.status_code}"
    return type(error).__name__


def is_too_long(error: Exception) -> bool:
    """Whether the server turned a prompt down because it does not fit the model's context."""
    body = getattr(error, "body", None)
    return _code(body) == "context_length_exceeded" or bool(_TOO_LONG.search(error_message(body)))


def error_message(body: object) -> str:
    """What the server says in an error, in one line of at most 200 characters; '' where it says nothing."""
    found: Any = body
    for name in ("error", "message", "detail"):
        if isinstance(found, Mapping):
            found = found.get(name, found)
    return " ".join(found.split())[:200] if isinstance(found, str) else ""


def _code(body: object) -> str | None:
    found = body.get("error", body) if isinstance(body, Mapping) else None
    code = found.get("code") if isinstance(found, Mapping) else None
    return code if isinstance(code, str) else None


def _text(content: object) -> str:
    """A message's content: a text, or by some servers a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        content = "".join(part for part in parts if isinstance(part, str))
    # Half a character pair, which JSON can express, would fit into no file.
    return content.encode("utf-8", "replace").decode() if isinstance(content, str) else ""


def _beside(message: Mapping[str, Any]) -> str:
    """What a model did instead of answering, where a server tells it apart from the text: it called a tool, or thought.

    It is written as a model without such a server writes it, so that one contract reads both.
    """
    calls = message.get("tool_calls") or message.get("function_call")
    if calls:
        return f"<tool_call>{json.dumps(calls, ensure_ascii=True)}"
    thoughts = (_text(message.get(name)).strip() for name in ("reasoning_content", "reasoning", "thinking"))
    thought = next((text for text in thoughts if text), "")
    return f"<think>{thought}" if thought else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
