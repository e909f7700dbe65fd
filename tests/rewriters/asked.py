"""A rewriter that remembers what it was asked, and what it is asked of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter

QUERIES = [Query(str(n), f"text {n}") for n in range(10)]


class Upper:
    """Answers in capitals, backwards, and remembers what it was asked; stops with `error` after `answers`."""

    def __init__(self, answers: int = 10**9, error: BaseException | None = None) -> None:
        self.answers, self.error, self.asked = answers, error, list[str]()

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        self.asked = [query.id for query in queries]
        for query in list(reversed(queries))[: self.answers]:
            yield Rewrite(query.id, (query.text.upper(),), raw=query.text, prompt_tokens=3)
        if self.error:
            raise self.error


def loaded(rewriter: Any, sampled: bool = False, stored: bool = True) -> LoadedRewriter:
    return LoadedRewriter("mine", rewriter, None, "f1", {}, sampled=sampled, stored=stored)
