"""Engines: what runs a chat model. One module each: transformers in this process, vLLM, an OpenAI-compatible server.

An engine knows nothing of queries or rewrites: it turns chat messages into raw answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Message = dict[str, str]
"""One turn of a chat: {'role': 'system' | 'user' | 'assistant', 'content': text}."""

FINAL = frozenset({"refusal", "content filter"})
"""Failures that are the model's own word (`raw` holds what it said): paid for, stored, and not asked again."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a chat model."""

    key: str
    """Names the request, unique among those asked together; decides, with the seed, what is drawn when sampling."""
    messages: tuple[Message, ...]
    shorter: Callable[[int], tuple[Message, ...] | None]
    """The messages with only the first so many characters of the query's text, for a prompt that does not fit the
    model's context; None where nothing of the text would be left."""
    length: int
    """How many characters the query's text has."""
    images: tuple[bytes, ...] = ()
    """Encoded image files that go with the last user turn; only for engines that see."""
    schema: dict[str, Any] | None = None
    """The JSON Schema that the answer has to keep to; only for engines that are `structured`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request."""

    key: str
    raw: str
    """The model's own text, unparsed; empty where it failed."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float = 0.0
    failure: str | None = None
    """Why there is no answer ('refusal', 'error 500', 'timeout', …); such a request is asked again by the next run,
    unless it is FINAL."""
    trace: dict[str, str] = field(default_factory=dict)
    """'cut prompt' and 'cut output', where either happened, and what else a reader may want to know."""


class Engine(Protocol):
    """Its constructor takes `(settings, setup)` and loads nothing heavy; the first `answer` does."""

    @property
    def sampled(self) -> bool:
        """Whether answers depend on the request's key and the seed."""

    @property
    def sees(self) -> bool:
        """Whether requests may carry images."""

    structured: bool
    """Whether it can hold a model to a JSON Schema; where it is not there, it cannot."""

    @property
    def identity(self) -> Any:
        """All that determines an answer but messages, key and seed, as JSON: weights, adapter, generation. It is
        hashed into the rewriter's fingerprint."""

    @property
    def description(self) -> dict[str, Any]:
        """What a result says of it: model, weights' hash, generation, versions."""

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body of a chat completion that asks a server for the same answer, as a batch file takes it."""

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer for each request, in any order, as they are ready. Raises UserError where nothing can be asked."""
