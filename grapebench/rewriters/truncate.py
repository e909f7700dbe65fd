"""Truncation: as much of the text as the retriever reads, from its beginning or from its end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from grapebench.files import sha256_json
from grapebench.records import Query, Rewrite
from grapebench.retrieval.searcher import Searcher, attached
from grapebench.rewriters.window import PIECE, Fits, fitting


class Truncate:
    """Keeps the longest beginning, or end, of whole words that fits the retriever's window."""

    language_model = False
    sampled = False
    stored = False

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        keep: Literal["start", "end"] = "start"
        words: int | None = Field(None, ge=1)
        """How many words to keep (Chinese and Japanese: characters); None is what fits the retriever's window."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._searcher: Searcher | None = None

    def attach(self, searcher: Searcher) -> None:
        self._searcher = searcher

    @property
    def fingerprint(self) -> str:
        return sha256_json(["truncate", 1, self.settings.model_dump()])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query. Raises UserError where the retriever has no window and no words are set."""
        fits = fitting(attached(self._searcher).retriever, self.settings.words)
        for query in queries:
            yield Rewrite(query.id, texts=(cut(query.text, fits, self.settings.keep),))


def cut(text: str, fits: Fits, keep: Literal["start", "end"] = "start") -> str:
    """The longest part of `text` that fits and consists of its first, or last, whole words.

    A text that fits stays as it is; one whose outermost word alone does not fit is cut down to that word.
    """
    pieces = list(PIECE.finditer(text))
    if len(pieces) < 2 or fits(text):
        return text

    def part(count: int) -> str:
        return text[: pieces[count - 1].end()] if keep == "start" else text[pieces[-count].start() :]

    # The first count of two or more that does not fit is one more than the answer.
    return part(1 + bisect_left(range(2, len(pieces) + 1), True, key=lambda count: not fits(part(count))))
