"""From the rows of the three data sets to what a model is shown: prompts rendered as at inference, and answers.

A model that is asked twice (a detection, then a rewrite) learns each in a prompt of its own. One that is asked once
learns to write a line of concepts before the rewrite: in the first stage that line alone, which nothing ends as the
rewrite follows, and in the last the order of rewrites after a line that is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from grapebench.records import Query
from grapebench.rewriters import concepts
from grapebench.training import policy

if TYPE_CHECKING:
    from grapebench.rewriters.models import Chat
    from grapebench.rewriters.prompted import Local
    from grapebench.training.raqo.config import Stage

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Example:
    """A prompt and answers to it, as tokens; the best answer is the first."""

    prompt: list[int]
    answers: list[list[int]]
    """Each with the token that ends it, unless more is to follow."""
    rewards: list[float]
    """Of the answers, descending; of a single one it says nothing."""


@dataclass(frozen=True)
class Examples:
    """What a stage learns from."""

    used: list[Example]
    left_out: dict[str, int]
    """How many rows could not be used, by reason."""


def examples(stage: Stage, rows: Sequence[Row], rewriter: Local, chat: Chat, candidates: int) -> Examples:
    """The examples of a stage, in the order of the rows; at most the `candidates` best answers of a list."""
    room = rewriter.engine.settings.max_new_tokens  # type: ignore[attr-defined]
    made = [_TEXTS[stage](row, rewriter, candidates) for row in rows]
    usable = [place for place, texts in enumerate(made) if not isinstance(texts, str)]
    left_out = Counter(texts for texts in made if isinstance(texts, str))
    # By their places: a query may stand in several rows.
    queries = [replace(query_of(rows[place]), id=str(place)) for place in usable]
    if stage == "ccd" and rewriter.detects:
        requests = rewriter.detect_requests(queries)
    elif rewriter.detects:
        requests = rewriter.requests(queries, {str(place): concepts.write(rows[place]["concepts"]) for place in usable})
    else:
        requests = rewriter.requests(queries)
    prompts = chat.tokenise(policy.prompts(chat, requests, room))
    used = []
    for place, prompt in zip(usable, prompts, strict=True):
        texts: Any = made[place]
        (given,) = chat.tokenise([texts.given])
        end = [ending(chat)] if texts.ends else []
        answers = [[*tokens, *end] for tokens in chat.tokenise(list(texts.answers))]
        kept = [number for number, answer in enumerate(answers) if len(given) + len(answer) <= room]
        if len(kept) < (2 if stage == "pro" else 1):
            left_out["longer than max_new_tokens"] += 1
            continue
        used.append(Example([*prompt, *given], [answers[one] for one in kept], [texts.rewards[one] for one in kept]))
    return Examples(used, dict(left_out))


def query_of(row: Row) -> Query:
    """The query of a row, without its answer."""
    return Query(row["query_id"], row["query"], language=row["language"], reference_caption=row["caption"] or None)


def ending(chat: Chat) -> int:
    """The token that ends an answer."""
    eos = chat.tokenizer.eos_token_id
    return int(eos) if eos in chat.ends else min(chat.ends)


@dataclass(frozen=True)
class _Texts:
    answers: tuple[str, ...]
    rewards: tuple[float, ...] = (0.0,)
    given: str = ""
    """How the answers begin, where that is not learnt."""
    ends: bool = True


def _detection(row: Row, rewriter: Local, candidates: int) -> _Texts | str:
    named = tuple(row["concepts"])
    if rewriter.detects:
        return _Texts((concepts.write(named),))
    line, more, _ = concepts.write_both(named, "…").partition("\n")
    return _Texts((line + more,), ends=not more)


def _rewrite(row: Row, rewriter: Local, candidates: int) -> _Texts | str:
    if rewriter.settings.answer != "concepts":
        return _Texts((row["rewrite"],))
    if not row["concepts"]:
        return "no concepts"  # written down, it would say that the query stays as it is
    return _Texts((concepts.write_both(row["concepts"], row["rewrite"]),))


def _ranked(row: Row, rewriter: Local, candidates: int) -> _Texts | str:
    pairs = sorted(zip(row["rewrites"], row["rewards"], strict=True), key=lambda pair: -pair[1])[:candidates]
    if len(pairs) < 2:
        return "a single rewrite"
    rewrites, rewards = (tuple(side) for side in zip(*pairs, strict=True))
    if rewriter.settings.answer != "concepts":
        return _Texts(rewrites, rewards)
    if not row["concepts"]:
        return "no concepts"
    label = "Rewrite:"
    given = concepts.write_both(row["concepts"], "…").partition(label)[0] + label
    return _Texts(tuple(f" {rewrite}" for rewrite in rewrites), rewards, given)


_TEXTS = {"ccd": _detection, "qre": _rewrite, "pro": _ranked}
