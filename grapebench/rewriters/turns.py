"""Whose words are whose: in what a model wrote, what it said to the asker, apart from its thinking and other turns.

Models mark their thinking in a dozen ways, and servers leave some of the marks in: `<think>…</think>` (Qwen, DeepSeek),
`[THINK]` (Magistral), `◁think▷` (Kimi), `<seed:think>`, `<|channel|>analysis` (gpt-oss's harmony format), … A chat
template may open the thinking itself, so that only its end is in the answer; `opened` tells that from the prompt.
"""

from __future__ import annotations

import re

_TAG = r"(?:\w{1,12}:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|inner_monologue)"
_OPENS = (
    rf"<{_TAG}>",
    r'<details type="reasoning"[^<>]*>',
    r"\[THINK\]",
    r"◁think▷",
    r"<\|(?:begin_of_thought|START_THINKING|thinking|think)\|>",
    r"<\|channel>(?:thought|analysis)",
    r"<unused94>(?:thought)?",
    r"^\s*Thinking\.\.\.\n",
)
_CLOSES = (
    rf"</{_TAG}>",
    r"(?<=\n)</details>",
    r"\[/THINK\]",
    r"◁/think▷",
    r"<\|(?:end_of_thought|END_THINKING|/thinking|/think)\|>",
    r"<channel\|>",
    r"<unused95>",
    r"\.\.\.done thinking\.",
)
_MARK = re.compile(f"(?P<opens>{'|'.join(_OPENS)})|(?:{'|'.join(_CLOSES)})", re.IGNORECASE)
_OPENED = re.compile(rf"(?:{'|'.join(_OPENS[:-1])}|<\|channel\|>analysis(?:<\|message\|>)?)\s*$", re.IGNORECASE)

_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)([^<]*)(?:<\|constrain\|>[^<]*)?(?:<\|message\|>|$)")
_CHANNEL_END = re.compile(r"<\|(?:end|return|start|call|channel)\|>")
_CHANNELS_LOST = re.compile(r"\s*(?:analysis|commentary)(?=[\"'A-Z])(?:.*?assistantfinal(?P<final>.*))?", re.DOTALL)
"""Harmony's answer where its marks were dropped and its words left."""

_TOOL = re.compile(
    r"\s*(?:<tool_call>|\[TOOL_CALLS?\]|<\|python_tag\|>|<\|tool_call|<｜tool▁calls?▁begin｜>|<function[=_]|<function>"
    r"|<invoke |<tool_use>|\[TOOL_REQUEST\])"
)
_SPECIAL = (
    r"(?:<\|[^<>|\s]{1,40}\|>|<｜[^<>｜\s]{1,40}｜>|</?s>|<(?:start|end)_of_turn>|<\|turn>|<turn\|>|<(?:eos|bos|pad|unk)>"
    r"|\[/?INST\]|<</?SYS>>|\[(?:PAD|UNK|CLS|SEP|BOS|EOS)\])"
)
_END = re.compile(_SPECIAL)
_START = re.compile(rf"\s*(?:{_SPECIAL}\s*)+(?:(?P<role>assistant|model|user|human|system|ai)\s*(?={_SPECIAL}|\n|$))?")
_BARE_ROLE = re.compile(
    r"\s*(?:assistant|model|ai)\s*\n|\s*(?:###\s*)?(?:assistant|response|output)\s*:\s*", re.IGNORECASE
)
_NEXT_TURN = re.compile(
    r"\n\s*(?:user|assistant|human|model|system)\s*\n"
    r"|\n\s*(?:###?\s*)?(?:user|assistant|human|instructions?|input|question)\s*:"
    r"|(?<=[.!?…\"”。！？)])assistant\s*(?:\n|$)",
    re.IGNORECASE,
)


def spoken(text: str) -> tuple[str, str | None]:
    """What a model said in its own turn, and why it said nothing: 'unfinished' (cut off while thinking) or 'tool call'.

    What comes before a mark that ends thinking was thought; what comes after one that ends the turn is another's.
    """
    if "<|channel|>" in text:
        return _final_channel(text)
    if lost := _CHANNELS_LOST.match(text):
        return (lost["final"] or "", None if lost["final"] is not None else "unfinished")
    text, unfinished = without_thinking(text)
    if unfinished and not text.strip():
        return "", "unfinished"
    if _TOOL.match(text):
        return "", "tool call"
    return _turn(text), None


def without_thinking(text: str) -> tuple[str, bool]:
    """What is said outside of thinking, and whether it breaks off in the midst of thinking."""
    said, start, thinks = "", 0, False
    for mark in _MARK.finditer(text):
        if mark["opens"] is None:
            said = said if thinks else ""
            thinks = False
        elif not thinks:
            said += text[start : mark.start()]
            thinks = True
        start = mark.end()
    return (said, True) if thinks else (said + text[start:], False)


def opened(prompt: str) -> str:
    """The mark at the end of a prompt, as the chat template wrote it, that opens thinking; '' where there is none.

    An answer to such a prompt begins in the midst of thinking: read it with this mark before it.
    """
    found = _OPENED.search(prompt)
    return "" if found is None else found[0].strip()


def marked(text: str) -> bool:
    """Whether a text has marks of thinking or of channels, which are special tokens of some models."""
    return "<|channel|>" in text or _MARK.search(text) is not None


def _final_channel(text: str) -> tuple[str, str | None]:
    """The answer in harmony's format: the body of its channel `final`."""
    channels = list(_CHANNEL.finditer(text))
    for channel in reversed(channels):
        if channel[1] == "final":
            return _CHANNEL_END.split(text[channel.end() :], maxsplit=1)[0], None
    calls = any(channel[1] == "commentary" and "to=" in channel[2] for channel in channels)
    return "", "tool call" if calls else "unfinished"


def _turn(text: str) -> str:
    """The first turn in a text, without the marks around it; nothing where the model speaks for the asker."""
    while start := _START.match(text):
        if start["role"] in ("user", "human", "system"):
            return ""
        text = text[start.end() :]
    if role := _BARE_ROLE.match(text):
        text = text[role.end() :]
    text = _END.split(text, maxsplit=1)[0]
    return _NEXT_TURN.split(text, maxsplit=1)[0]
