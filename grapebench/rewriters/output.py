"""The output contract: how a rewrite is read from what a model wrote. Every model's output passes through here.

What cannot be read with confidence is a counted fallback on the query's own text, never searched in silence; and a good
caption is left alone, whatever quotes, digits, colons and parentheses it has.

1. *Whose words?* (`turns`) Thinking is dropped, and the marks of turns with what follows them: another turn.
2. *What is inside?* (`wrappings`) Answer tags (`<rewrite>…</rewrite>`, `<answer>`, …), code fences, JSON, HTML's
   elements, bold type, list marks and quotation marks around the whole are taken off.
3. *Which line?* Labels ("Caption:") and announcements ("Here you go:", "Sure!") are dropped (`announcing`); of the rest
   the first line counts, or each where a card says `answer = "lines"`. Where an answer repeats its source under a label
   before the rewrite under another, the second one is taken.
4. *Is it an answer?* No: where it refuses, asks back or thinks aloud (`speaking`), or repeats its instruction (`echo`).

A text that broke off at the token limit is used (a caption without its last words still finds its picture) and counted
apart, unless the model was still thinking. Two stricter forms, "json" and "json-lines", guess nothing: `parse_json`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from grapebench.records import Query, Rewrite
from grapebench.rewriters import announcing, echo, speaking, turns, wrappings
from grapebench.rewriters.echo import Instructions

VERSION = 2
"""Part of every fingerprint; raised when the contract reads any output differently."""
LINES_VERSION = 3
"""The same of `parse_lines`, for answers of several texts."""
UNDETECTED = "undetected"
"""In a rewrite's trace: why the query's challenging concepts could not be read, where they were asked for."""
NOT_JSON = "not json"
CUT = ("prompt", "output")
"""What may be cut off; the trace says 'cut prompt', 'cut output'."""

_PLAIN = re.compile(
    r"(?:an?|two|three|four|five|six|several|some|many|small|large|big|little|tiny|tall|young|old|black|white|red|green|blue|yellow"
    r"|orange|purple|pink|brown|gr[ae]y|dark|light|wooden|man|men|woman|women|people|boys?|girls?|child|children|dogs?|cats?)"
    r"(?:,? [A-Za-z]+)+\.?",
    re.IGNORECASE,
)
"""A caption in which there is nothing to take off: most are, and millions are read in training."""

_LAYERED = re.compile(r"[<\[{`~\\&◁:：\r\n]|\.\.\.|assistant|analysis|commentary", re.IGNORECASE)
"""Without any of these a text has no layer to take off."""


def parse(raw: str, instructions: Instructions = ()) -> tuple[str, str | None]:
    """The rewrite in a model's output, and why there is none.

    Returns (text, None), or ("", reason) with reason 'empty', 'no words' (marks only), 'refusal', 'question' (it asks
    back), 'echo' (it repeats its instructions), 'unfinished' (cut off while thinking), 'tool call' or 'unreadable'
    (data or markup without one answer). Never raises; a text that came out goes in and comes out unchanged.
    """
    if _PLAIN.fullmatch(raw):
        return ("", "echo") if echo.is_echo(raw, instructions) else (raw, None)
    text = raw
    while True:
        shorter, reason = _unwrap(text, instructions)
        if reason:
            return "", reason
        if shorter == text:
            break
        text = shorter
    reason = _no_answer(text, instructions)
    return ("", reason) if reason else (text, None)


def parse_lines(raw: str, instructions: Instructions = ()) -> tuple[tuple[str, ...], str | None]:
    """Every line of a model's output as a text of its own, in order, and why there is none.

    Returns (texts, None), or ((), reason) with a reason of `parse`. Each line is read as `parse` reads an answer;
    repeated ones, those without words, those that echo or speak to the asker and those that end with a colon (they
    announce the others) are dropped. An output that opens with a refusal is one. Never raises; texts that came out, one
    a line, go in and come out unchanged.
    """
    while True:
        texts, reason = _lines(raw, instructions)
        joined = "\n".join(texts)
        if reason or joined == raw:
            return texts, reason
        raw = joined


def schema(several: bool) -> dict[str, Any]:
    """The JSON Schema of an answer in the strict forms: `{"rewrite": text}` or `{"rewrites": [text, …]}`."""
    text: dict[str, Any] = {"type": "string"}
    key, kind = ("rewrites", {"type": "array", "items": text}) if several else ("rewrite", text)
    return {"type": "object", "properties": {key: kind}, "required": [key], "additionalProperties": False}


def parse_json(raw: str, several: bool = False, instructions: Instructions = ()) -> tuple[tuple[str, ...], str | None]:
    """The texts of an answer that keeps to `schema`, and why there are none; nothing is guessed.

    Returns (texts, None), or ((), reason) with reason 'not json' for anything else, and else one of `parse`: a text
    that refuses in JSON still does. Thinking before the object is no part of the answer.
    """
    text, reason = turns.spoken(raw)
    if reason:
        return (), reason
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return (), NOT_JSON if text.strip() else "empty"
    if not isinstance(value, dict) or set(value) != {"rewrites" if several else "rewrite"}:
        return (), NOT_JSON
    (found,) = value.values()
    texts = found if several else [found]
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        return (), NOT_JSON
    kept: dict[str, None] = {}
    reasons = ["empty"]
    for one in (" ".join(one.encode("utf-8", "replace").decode().split()) for one in texts):
        reason = _no_answer(one, instructions)
        if reason:
            reasons.append(reason)
        else:
            kept[one] = None
    return (tuple(kept), None) if kept else ((), reasons[-1])


def missing(query: Query) -> Rewrite:
    """What stands for the rewrite that a rewriter never gave."""
    return Rewrite(query.id, texts=(query.text,), fallback="missing")


def is_cut(rewrite: Rewrite) -> bool:
    """Whether the end of the query did not fit the model, or the answer reached its token limit."""
    return any(f"cut {place}" in rewrite.trace for place in CUT)


def tally(rewrites: Iterable[Rewrite]) -> dict[str, dict[str, int]]:
    """How often each kind of trouble occurred: {'fallbacks': {reason: n}, 'cut': {'prompt': n, 'output': n},
    'undetected': {reason: n}}."""
    fallbacks: Counter[str] = Counter()
    cut: Counter[str] = Counter()
    undetected: Counter[str] = Counter()
    for rewrite in rewrites:
        if rewrite.fallback:
            fallbacks[rewrite.fallback] += 1
        cut.update(place for place in CUT if f"cut {place}" in rewrite.trace)
        if UNDETECTED in rewrite.trace:
            undetected[rewrite.trace[UNDETECTED]] += 1
    return {
        "fallbacks": dict(fallbacks),
        "cut": {"prompt": cut["prompt"], "output": cut["output"]},
        "undetected": dict(undetected),
    }


def _unwrap(text: str, instructions: Instructions) -> tuple[str, str | None]:
    """Take one layer off, and say why nothing is left. Never longer than what went in."""
    said, reason = _inside(text)
    if reason:
        return "", reason
    if said != text:
        return said, None
    lines = [line for line in said.splitlines() if line.strip()]
    worded = [place for place, line in enumerate(lines) if _has_words(line)]
    if not worded:
        return wrappings.bare(said), None
    lines = lines[worded[0] :]
    line, rest = lines[0], lines[1:]
    plain = wrappings.bare(wrappings.without_number(line) if wrappings.numbered(lines) else line)
    if echo.is_label(announcing.any_label(plain), instructions):
        if (answer := _labelled(rest, instructions)) is None:
            return "", "echo"
        return answer, None
    named = announcing.label(plain)
    if named and announcing.is_source(named) and (answer := _labelled(rest, instructions)) is not None:
        return answer, None
    plain = echo.without_label(plain, instructions)
    if rest and (instead := speaking.said_instead(plain)):
        return "", instead
    spoken = announcing.without_lead(plain)
    if rest and (not _has_words(spoken) or (spoken == plain and announcing.is_heading(plain))):
        return "\n".join((wrappings.without_number(rest[0]), *rest[1:])), None
    if rest and spoken.endswith((":", "：")):
        if announcing.quotes_next_line(spoken):
            return f"{spoken} {wrappings.bare(rest[0])}", None
        return "\n".join((wrappings.without_number(rest[0]), *rest[1:])), None
    return spoken.strip(), None


def _inside(text: str) -> tuple[str, str | None]:
    """A text without its outermost layer, be it thinking, other turns or a wrapping; and why nothing is left."""
    if not _LAYERED.search(text):
        return text, None
    for layer in (turns.spoken, wrappings.content):
        said, reason = layer(text)
        if reason or said != text:
            return said, reason
    return text, None


def _labelled(lines: Sequence[str], instructions: Instructions) -> str | None:
    """The lines from the first on that has the label of an answer; None where there is none with a text."""
    for place, line in enumerate(lines):
        plain = wrappings.bare(line)
        named = announcing.label(plain)
        own = echo.without_label(plain, instructions)
        if named and not announcing.is_source(named):
            own = announcing.without_lead(plain)
        elif own == plain:
            continue
        answer = "\n".join((own, *lines[place + 1 :])).strip()
        return answer or None
    return None


def _lines(raw: str, instructions: Instructions) -> tuple[tuple[str, ...], str | None]:
    text = raw
    while True:
        said, reason = turns.spoken(text)
        if reason:
            return (), reason
        values = wrappings.structured(said)
        tagged = wrappings.tagged(said)
        if values:
            said = "\n".join(values)
        elif tagged:
            said = "\n".join(tagged)
        elif fenced := wrappings.fenced(said):
            said = fenced
        if said == text:
            break
        text = said
    lines = [line for line in text.splitlines() if line.strip()]
    announced = False
    listed = wrappings.numbered(lines)
    texts: dict[str, None] = {}
    reasons: list[str] = []
    for line in lines:
        line = wrappings.without_number(line) if listed or announced else line
        read, reason = parse(line, instructions)
        announced = reason == "empty"
        if any(one.rstrip(" *_").endswith((":", "：")) for one in (line, read)):
            read, reason, announced = "", "empty", True
        if reason in ("refusal", "question") and not texts:
            return (), reason
        if reason:
            reasons.append(reason)
        else:
            texts[read] = None
    if texts:
        return tuple(texts), None
    return (), next((reason for reason in reasons if reason != "empty"), "empty")


def _no_answer(text: str, instructions: Instructions) -> str | None:
    """Why a line is no answer, though there is one."""
    if not text:
        return "empty"
    if not _has_words(text):
        return "no words"
    if reason := speaking.said_instead(text):
        return reason
    return "echo" if echo.is_echo(text, instructions) else None


def _has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
