"""Retrieval-aware chain of thought (ReCoT, of RAQO): a model is asked for a query's challenging concepts, then for the
rewrite that has them in view.

Two questions make one rewrite. A query without challenging concepts stays as it is. Where the first answer cannot be
read, nobody knows whether the query is hard: the second question is asked with the concepts None, as leaving the query
alone would count noise as a finding; the trace says so, and results count it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grapebench.records import Query, Rewrite
from grapebench.rewriters import concepts as concepts_of
from grapebench.rewriters.engines import FINAL, Answer, Request
from grapebench.rewriters.output import UNDETECTED

if TYPE_CHECKING:
    from grapebench.rewriters.prompted import Prompted

Ask = Callable[[Sequence[Request]], Iterable[Answer]]
TOGETHER = 256
"""How many queries have their concepts before their rewrites are asked for; a killed process loses so many detections
at most."""
CONCEPTS = "concepts"
"""In a rewrite's trace: the challenging concepts, as `grapebench.rewriters.concepts.write` has them."""


def detection_key(query_id: str) -> str:
    """The key of the request for a query's concepts."""
    return f"{query_id} {CONCEPTS}"


def trace(found: Sequence[str], undetected: str | None) -> dict[str, str]:
    """What a rewrite says of the detection it was made with."""
    return {CONCEPTS: concepts_of.write(found)} if undetected is None else {UNDETECTED: undetected}


def rewrite(rewriter: Prompted, ask: Ask, queries: Sequence[Query], together: int = TOGETHER) -> Iterator[Rewrite]:
    """One rewrite for each query, as they are ready; tokens and money are those of both answers.

    A detection that failed without a word of the model (a server's error) is a rewrite that failed: both are asked
    again.
    """
    by_key = {detection_key(query.id): query for query in queries}
    detected: list[tuple[Query, Rewrite]] = []
    for answer in ask(rewriter.detect_requests(queries)):
        query = by_key[answer.key]
        first = read(query, answer)
        if first.fallback is not None or first.trace.get(CONCEPTS) == concepts_of.NONE:
            yield first
            continue
        detected.append((query, first))
        if len(detected) >= together:
            yield from _rewritten(rewriter, ask, detected)
            detected = []
    yield from _rewritten(rewriter, ask, detected) if detected else ()


def read(query: Query, answer: Answer) -> Rewrite:
    """A detection as the rewrite it would be by itself: the query's own text, and the concepts in the trace.

    `fallback` is set where it failed and is to be asked again.
    """
    failed = answer.failure is not None and answer.failure not in FINAL
    found: tuple[str, ...] = ()
    undetected = answer.failure
    if answer.failure is None:
        found, undetected = concepts_of.read(answer.raw)
    return Rewrite(
        query.id,
        texts=(query.text,),
        raw=None if failed else answer.raw,
        fallback=answer.failure if failed else None,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        money=answer.money,
        trace=answer.trace | ({} if failed else trace(found, undetected)),
    )


def _rewritten(rewriter: Prompted, ask: Ask, detected: Sequence[tuple[Query, Rewrite]]) -> Iterator[Rewrite]:
    firsts: Mapping[str, Rewrite] = {query.id: first for query, first in detected}
    by_id = {query.id: query for query, _ in detected}
    known = {key: first.trace.get(CONCEPTS, concepts_of.NONE) for key, first in firsts.items()}
    for answer in ask(rewriter.requests(list(by_id.values()), known)):
        first = firsts[answer.key]
        second = rewriter.read(by_id[answer.key], answer)
        yield replace(
            second,
            raw=None if second.raw is None else f"{first.raw}\n{second.raw}",
            prompt_tokens=first.prompt_tokens + second.prompt_tokens,
            completion_tokens=first.completion_tokens + second.completion_tokens,
            money=first.money + second.money,
            trace=first.trace | second.trace,
        )
