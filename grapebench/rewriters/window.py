"""The window: how much of a text a retriever reads, and the pieces in which a text may be cut to fit it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from grapebench.errors import UserError
from grapebench.records import Retriever

Fits = Callable[[str], bool]
"""Whether a retriever reads a text to its end."""

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
PIECE = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
"""A word; Chinese and Japanese characters are one each, as there is no space between words."""


@runtime_checkable
class Windowed(Protocol):
    """A retriever that says how much of a text it reads."""

    @property
    def window(self) -> int:
        """How many tokens of a text are read, special ones included."""

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Tokens of each text, special ones included, before anything is cut off."""


def fitting(retriever: Retriever, words: int | None) -> Fits:
    """Whether a text fits: into so many pieces, or, where `words` is None, into the retriever's own window.

    Raises UserError where neither is known.
    """
    if words is not None:
        return lambda text: len(PIECE.findall(text)) <= words
    if not isinstance(retriever, Windowed):
        raise UserError(
            f"the retriever ({type(retriever).__name__}) does not say how much of a text it reads",
            fix="say it in the rewriter's card, in words: [settings] words = 40",
        )
    window = retriever.window
    return lambda text: retriever.count_tokens([text])[0] <= window
