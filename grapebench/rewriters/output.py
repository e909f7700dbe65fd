"""The output contract: how a rewrite is read from what a model wrote. Every model's output passes through here.

A model may answer in plain text or inside `<rewrite>…</rewrite>`. Thinking, code fences, labels ("Caption:"), list
marks, bold type and quotation marks around the whole are dropped; of several lines the first that holds anything
counts, or each of them where a card says `answer = "lines"`. A text that broke off at the token limit is used (a
caption without its last words still finds its picture) and counted apart, unless the model was still thinking.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from grapebench.records import Query, Rewrite

VERSION = 1
"""Part of every fingerprint; raised when the contract reads any output differently."""
LINES_VERSION = 2
"""The same of `parse_lines`, for answers of several texts."""
UNDETECTED = "undetected"
"""In a rewrite's trace: why the query's challenging concepts could not be read, where they were asked for."""
CUT = ("prompt", "output")
"""What may be cut off; the trace says 'cut prompt', 'cut output'."""

_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHT = re.compile(r"^.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_STILL_THINKING = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_TAGGED = re.compile(r"<rewrite>(.*?)(?:</rewrite>|$)", re.DOTALL | re.IGNORECASE)
_STRAY_TAG = re.compile(r"</?rewrite>", re.IGNORECASE)
_NOUN = r"(?:captions?|rewrit\w*|translation|query|description|answer|output|result)"
LABEL = re.compile(
    rf"^(?:(?:(?:the|a|an|my|new|final|short|edited|rewritten|translated|english|image|search)\s+)*{_NOUN}"
    rf"|(?:sure|okay|certainly|of course|here(?:'s| is| are))\b[^:：]{{0,80}}\b{_NOUN}\b[^:：]{{0,40}})\s*[:：]\s*",
    re.IGNORECASE,
)
MARK = re.compile(r"^(?:[-*•]\s+|#+\s+|>\s+|\d{1,2}[.)]\s+)")
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("「", "」"), ("`", "`"))
REFUSAL = re.compile(
    r"^(?:i(?:['’]m| am) sorry|sorry,|i apologi[sz]e|as an ai\b|as a language model\b|i(?:['’]m| am) unable to\b"
    r"|i (?:cannot|can['’]t|won['’]t) (?:assist|help|provide|comply|fulfil|translate|create|generate|describe|view|see)"
    r"|抱歉|很抱歉|对不起，我)",
    re.IGNORECASE,
)


def parse(raw: str) -> tuple[str, str | None]:
    """The rewrite in a model's output, and why there is none.

    Returns (text, None), or ("", reason) with reason 'empty', 'no words' (marks only), 'refusal' or 'unfinished' (cut
    off while thinking). Never raises; a text that came out goes in and comes out unchanged.
    """
    text = raw
    while (shorter := _unwrap(text)) != text:
        if shorter is None:
            return "", "unfinished"
        text = shorter
    if not text:
        return "", "empty"
    if not any(character.isalnum() for character in text):
        return "", "no words"
    if REFUSAL.match(text):
        return "", "refusal"
    return text, None


def parse_lines(raw: str) -> tuple[tuple[str, ...], str | None]:
    """Every line of a model's output as a text of its own, in order, and why there is none.

    Returns (texts, None), or ((), reason) with a reason of `parse`. Each line is read as `parse` reads an answer;
    repeated ones, those without words and those that end with a colon (they announce the others) are dropped. An output
    that opens with a refusal is one. Never raises; texts that came out, one a line, go in and come out unchanged.
    """
    text, unfinished = without_thinking(raw)
    if unfinished and not text.strip():
        return (), "unfinished"
    text = "\n".join(_TAGGED.findall(text)) or text
    texts: dict[str, None] = {}
    reasons: set[str] = set()
    for line in text.splitlines():
        read, reason = parse(line)
        if any(one.rstrip(" *_").endswith((":", "：")) for one in (line, read)):
            read, reason = "", "empty"
        if reason == "refusal" and not texts:
            return (), reason
        if reason:
            reasons.add(reason)
        else:
            texts[read] = None
    if texts:
        return tuple(texts), None
    return (), "no words" if "no words" in reasons else "empty"


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


def _unwrap(text: str) -> str | None:
    """Take one layer off; None if nothing but unfinished thinking is left. Never longer than what went in."""
    text, unfinished = without_thinking(text)
    if unfinished:
        return text if text.strip() else None
    if tagged := _TAGGED.search(text):
        text = tagged[1]
    text = _STRAY_TAG.sub("", text)
    for line in text.splitlines():
        line = " ".join(line.replace("**", "").split())
        line = "" if line.startswith("```") else LABEL.sub("", MARK.sub("", line))
        for left, right in _QUOTES:
            if len(line) >= len(left + right) and line.startswith(left) and line.endswith(right):
                line = line[len(left) : -len(right)].strip()
        if line:
            return line
    return ""


def without_thinking(text: str) -> tuple[str, bool]:
    """What is said outside of thinking, and whether it breaks off in the midst of thinking."""
    text = _THINKING.sub("", text)
    text = _THOUGHT.sub("", text)
    found = _STILL_THINKING.search(text)
    return (text, False) if found is None else (text[: found.start()], True)
