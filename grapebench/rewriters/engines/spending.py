"""What answers cost, and a limit that is never passed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from grapebench.rewriters.engines import Message

TURN_TOKENS = 16
"""What a chat template may put around one turn, at most."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them."""

    prompt: int
    completion: int
    cached: int = 0
    """Those of the prompt that were charged at the lower price."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Per million tokens, in any one currency."""

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    """Of prompt tokens that the server had in its cache; None where they cost the same."""

    def money(self, usage: Usage) -> float:
        cached = self.prompt if self.cached is None else self.cached
        fresh = usage.prompt - usage.cached
        return (fresh * self.prompt + usage.cached * cached + usage.completion * self.completion) / 1e6


def most_tokens(messages: Sequence[Message]) -> int:
    """An upper bound of a prompt's tokens: a tokeniser over bytes has none that stands for less than one byte."""
    return TURN_TOKENS + sum(TURN_TOKENS + len(message["content"].encode()) for message in messages)


class Purse:
    """A spending limit: the worst case of a request is held before it is sent, and its real price taken afterwards.

    Two questions about a query may be under way on two event loops, each in a thread of its own.
    """

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.spent = 0.0
        self._held = 0.0
        self._low = 1.0
        """The most that a real price was above its estimate; all later estimates are raised by it."""
        self._lock = threading.Lock()

    def hold(self, worst: float) -> float | None:
        """What is held for a request that may cost `worst`; None where the limit could then be passed."""
        with self._lock:
            worst *= self._low
            if self.limit is not None and self.spent + self._held + worst > self.limit:
                return None
            self._held += worst
            return worst

    def settle(self, held: float, spent: float) -> None:
        """Put back what was held for a request and take what it cost."""
        with self._lock:
            self._held -= held
            self.spent += spent
            if held and spent > held:
                self._low *= spent / held


@functools.cache
def purse(server: str, model: str, limit: float | None) -> Purse:
    """The one purse that all of a process's questions to a model are paid from, whatever tasks and seeds it runs."""
    return Purse(limit)
