"""A chat model behind an OpenAI-compatible server (Chat Completions): OpenAI, `vllm serve`, `transformers serve`."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.metadata
import importlib.util
import os
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from grapebench.errors import UserError, missing_extra
from grapebench.rewriters.engines import FINAL, Answer, Request, replies
from grapebench.rewriters.engines.background import iterate
from grapebench.rewriters.engines.giving_up import given_up, is_hopeless
from grapebench.rewriters.engines.images import with_images
from grapebench.rewriters.engines.served import response_format
from grapebench.rewriters.engines.spending import Prices, Purse, Usage, most_tokens, purse
from grapebench.rewriters.sampling import seed_of
from grapebench.rewriters.setup import Setup

OPENAI = "https://api.openai.com/v1"
LONGEST_WAIT = 120
"""Seconds: the longest Retry-After that the client waits for."""
_NO_KEY = "none"
"""Sent where the environment holds no key: a local server asks for none."""
_OWN_FIELDS = (
    "messages",
    "model",
    "n",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
)


class Api:
    """Asks a server with several requests under way at once, and yields each answer as it comes.

    The key is read from the environment when requests are sent and kept nowhere.
    """

    paid = True

    class Settings(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

        model: str
        """As the server names it."""
        base_url: str | None = None
        """Where the server is, up to '/v1'; without one the environment variable OPENAI_BASE_URL, or OpenAI."""
        key_env: str = "OPENAI_API_KEY"
        """The environment variable that holds the key; a server that wants none needs none."""
        concurrency: int = Field(8, ge=1, le=1000)
        """How many requests are under way at once."""
        timeout: float = Field(120.0, gt=0)
        """Seconds without a byte from the server after which a request has failed."""
        retries: int = Field(5, ge=0)
        """How often the client tries again after 408, 409, 429, 5xx, a lost connection or a timeout."""
        max_new_tokens: int = Field(64, ge=1)
        tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
        """The field that `max_new_tokens` is sent in."""
        sample: bool = False
        temperature: float = Field(1.0, gt=0)
        top_p: float = Field(1.0, gt=0, le=1)
        stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
        """Texts that end an answer where the model writes one of them; OpenAI takes up to four."""
        leave_out: tuple[Literal["temperature", "top_p", "seed"], ...] = ()
        """Fields that the model takes none of; they are not sent."""
        image: bool = False
        """The model sees: the reference image goes with the prompt."""
        image_tokens: int = Field(2000, ge=0)
        """What one image comes to at most, for the spending limit."""
        price_in: float | None = Field(None, ge=0)
        """Per million prompt tokens, in any one currency."""
        price_out: float | None = Field(None, ge=0)
        """Per million tokens of the answers."""
        price_cached_in: float | None = Field(None, ge=0)
        """Per million prompt tokens that the server had in its cache."""
        budget: float | None = Field(None, gt=0)
        """What one command may spend, in the currency of the prices."""
        extra: dict[str, Any] = Field(default_factory=dict)
        """More fields of the request."""

        @field_validator("extra")
        @classmethod
        def _are_others(cls, value: dict[str, Any]) -> dict[str, Any]:
            for name in _OWN_FIELDS:
                if name in value:
                    raise ValueError(f"{name} is not set here: it has a setting of its own, or cannot be chosen")
            return value

        @model_validator(mode="after")
        def _hangs_together(self) -> Api.Settings:
            if (self.price_in is None) != (self.price_out is None):
                raise ValueError("price_in and price_out belong together")
            if self.price_in is None and not (self.budget is None and self.price_cached_in is None):
                raise ValueError("a budget or price_cached_in needs price_in and price_out")
            if self.stop and "stop" in self.extra:
                raise ValueError("stop is set twice: by itself and in extra")
            if "temperature" in self.leave_out and not self.sample:
                raise ValueError("without a temperature the answers are sampled: set sample = true")
            return self

    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.settings, self.setup = settings, setup
        named = "base_url" if settings.base_url else "OPENAI_BASE_URL"
        self.base_url = _checked_url(settings.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI, named)
        self.prices = Prices(settings.price_in or 0.0, settings.price_out or 0.0, settings.price_cached_in)

    @property
    def sampled(self) -> bool:
        return self.settings.sample

    @property
    def sees(self) -> bool:
        return self.settings.image

    structured = True

    @property
    def lease(self) -> float:
        """Seconds that a request takes at most, all retries and waits between them included."""
        return (self.settings.timeout + LONGEST_WAIT) * (self.settings.retries + 1)

    @property
    def identity(self) -> Any:
        return [self.base_url, self.settings.model_dump(include={"model", "image", "extra"}), self._generation]

    @property
    def together(self) -> int:
        """How many requests are under way at once."""
        return self.settings.concurrency

    @property
    def description(self) -> dict[str, Any]:
        """Nothing of it comes from the server: the model's dated version is in the trace of each answer."""
        found: dict[str, Any] = {
            "model": {"name": self.settings.model, "server": self.base_url},
            "generation": self._generation | {"extra": self.settings.extra},
        }
        if self.settings.price_in is not None:
            found["prices"] = {"per_million": True} | self.settings.model_dump(
                include={"price_in", "price_out", "price_cached_in"}, exclude_none=True
            )
        if _has_client():
            found["versions"] = {"openai": importlib.metadata.version("openai")}
        return found

    @property
    def _generation(self) -> dict[str, Any]:
        names = {"max_new_tokens", "tokens_field", "sample", "leave_out"}
        drawn = {"temperature", "top_p"} if self.settings.sample else set()
        stop = {"stop": list(self.settings.stop)} if self.settings.stop else {}
        return self.settings.model_dump(include=names | drawn, mode="json") | stop

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body that asks for a request's answer, as a server or a batch file takes it.

        Raises OSError for an image that cannot be read.
        """
        settings = self.settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": with_images(request.messages, request.images),
            settings.tokens_field: settings.max_new_tokens,
            "temperature": settings.temperature if settings.sample else 0,
        }
        if settings.sample:
            body |= {"top_p": settings.top_p, "seed": seed_of(self.setup.seed, request.key)}
        if request.schema is not None:
            body["response_format"] = response_format(request.schema)
        if settings.stop:
            body["stop"] = list(settings.stop)
        return {name: value for name, value in body.items() if name not in settings.leave_out} | settings.extra

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer for each request, as they come.

        Raises UserError, after those under way have been yielded, where the server wants another key or does not know
        the model, where request after request fails, and before the budget would be passed.
        """
        if not _has_client():
            raise missing_extra("openai", "api")
        return iterate(self._answers(requests))

    async def _answers(self, requests: Sequence[Request]) -> AsyncGenerator[Answer, None]:
        import openai

        settings = self.settings
        wallet = purse(self.base_url, settings.model, settings.budget)
        waiting, running = deque(requests), set[asyncio.Task[Answer]]()
        answered, row, stop = 0, list[str](), None
        async with openai.AsyncOpenAI(
            api_key=os.environ.get(settings.key_env) or _NO_KEY,
            base_url=self.base_url,
            timeout=settings.timeout,
            max_retries=settings.retries,
        ) as client:
            try:
                while running or (waiting and stop is None):
                    while waiting and stop is None and len(running) < settings.concurrency:
                        held = wallet.hold(self._worst(waiting[0]))
                        if held is None:
                            break  # an answer under way may cost less than was held for it
                        running.add(asyncio.create_task(self._paid(client, waiting.popleft(), wallet, held)))
                    if not running:
                        stop = self._over_budget(wallet.spent, answered, len(requests))
                        break
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        found = task.result()
                        if found.failure is None or found.failure in FINAL:
                            answered += 1
                            row.clear()
                        else:
                            row.append(found.failure)
                            if stop is None and is_hopeless(row, answered):
                                stop = given_up(self.base_url, settings.model, settings.key_env, found, row)
                        yield found
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        if stop is not None:
            raise stop

    async def _paid(self, client: Any, request: Request, wallet: Purse, held: float) -> Answer:
        """A request's answer, paid for; what may have been charged without our being told counts in full."""
        try:
            async with asyncio.timeout(self.lease):
                found = await self._ask(client, request)
        except TimeoutError:
            found = Answer(request.key, "", failure=replies.TIMEOUT)
        uncounted = "usage" in found.trace or found.failure in replies.UNANSWERED
        wallet.settle(held, held if uncounted else found.money)
        return found

    async def _ask(self, client: Any, request: Request) -> Answer:
        import openai

        keep, trace = request.length, dict[str, str]()
        while True:
            try:
                body = self.body(request)
            except OSError:
                return Answer(request.key, "", failure="unreadable image")
            try:
                reply = await client.chat.completions.with_raw_response.create(
                    model=body.pop("model"), messages=body.pop("messages"), extra_body=body
                )
            except openai.OpenAIError as error:
                if replies.is_too_long(error) and (cut := request.shorter(keep := keep * 3 // 4)):
                    request = dataclasses.replace(request, messages=cut)
                    trace = {"cut prompt": f"the first {keep} of {request.length} characters of the query were sent"}
                    continue
                told = self._without_key(replies.error_message(getattr(error, "body", None)))
                return Answer(
                    request.key, "", failure=replies.why(error), trace=trace | ({"error": told} if told else {})
                )
            text = self._without_key(replies.decoded(reply.content, reply.text))
            found = replies.read_text(request.key, text, self.settings.model, self.prices)
            return dataclasses.replace(found, trace=trace | found.trace)

    def _without_key(self, text: str) -> str:
        """What a server says, should it ever repeat the key."""
        key = os.environ.get(self.settings.key_env)
        return text.replace(key, "***") if key else text

    def _worst(self, request: Request) -> float:
        """The most that one request can cost."""
        prompt = most_tokens(request.messages) + len(request.images) * self.settings.image_tokens
        return self.prices.money(Usage(prompt, self.settings.max_new_tokens))

    def _over_budget(self, spent: float, answered: int, asked: int) -> UserError:
        return UserError(
            f"the next request could pass the budget of {self.settings.budget:g}: {spent:.4f} spent, {answered:,} of "
            f"{asked:,} answers are there and kept",
            fix="the same command goes on from there; raise `budget` in the card to let it spend more",
        )


def _checked_url(url: str, named: str) -> str:
    """Raises UserError, which does not repeat it, for what is no plain address: it might hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{named} is no address", fix="write it as in http://localhost:8000/v1")
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(f"{named} must hold no name, password or ?…", fix="keys come from the environment alone")
    return url.rstrip("/")


def _has_client() -> bool:
    return importlib.util.find_spec("openai") is not None
