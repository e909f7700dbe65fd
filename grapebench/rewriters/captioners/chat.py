"""A vision language model behind an engine: a server that speaks OpenAI's protocol, or vLLM in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Rewrite
from grapebench.rewriters import output
from grapebench.rewriters.captioners.asking import Picture
from grapebench.rewriters.captioners.prompt import CaptionPrompt
from grapebench.rewriters.engines import FINAL, Answer, Engine, Request
from grapebench.rewriters.engines.api import Api as ApiEngine
from grapebench.rewriters.engines.vllm import Vllm as VllmEngine
from grapebench.rewriters.prompted import REFUSED, as_answer
from grapebench.rewriters.setup import Setup

_AT_ONCE = 256
"""How many encoded images are held in memory for the engine, which has them under way in batches of its own."""


class _Chat:
    """Shows the engine's model each image with the card's prompt."""

    engine_class: ClassVar[Any]
    language_model = True

    def __init__(self, settings: Any, setup: Setup, prompt: CaptionPrompt | None) -> None:
        if prompt is None:
            raise UserError("a chat model has to be asked for a caption", fix="name a file in the card: prompts.user")
        self.prompt = prompt
        self.engine: Engine = self.engine_class(settings.model_copy(update={"image": True}), setup)

    @property
    def sampled(self) -> bool:
        return self.engine.sampled

    @property
    def paid(self) -> bool:
        """Whether captions cost money, so that processes must not ask for the same."""
        return bool(getattr(self.engine, "paid", False))

    @property
    def lease(self) -> float | None:
        """The longest silence in seconds between two captions; None where the engine says nothing."""
        return getattr(self.engine, "lease", None)

    @property
    def description(self) -> dict[str, Any]:
        return {
            **self.engine.description,
            "prompt": {"sha256": self.prompt.sha256, "system": self.prompt.system, "user": self.prompt.user},
            "output_contract": output.VERSION,
        }

    @property
    def fingerprint(self) -> str:
        return sha256_json([self.asked_as, output.VERSION])

    @property
    def asked_as(self) -> str:
        """What captions are stored under: all that determines what the model says, but not how it is read."""
        # The contract's version stood here; its first one stays, so that what was paid for is found.
        return sha256_json(["caption", self.engine.identity, self.prompt.sha256, 1])

    def read_again(self, stored: Rewrite) -> Rewrite:
        """A stored caption as today's contract reads it."""
        if stored.raw is None:
            return stored
        return replace(
            _to_rewrite(stored.query_id, as_answer(stored), self.prompt.instructions), seconds=stored.seconds
        )

    def describe(self, pictures: Sequence[Picture]) -> Iterator[Rewrite]:
        """A caption for each picture as it comes. Raises UserError where a file is no image or nothing can be asked."""
        for start in range(0, len(pictures), _AT_ONCE):
            some = {picture.sha256: picture for picture in pictures[start : start + _AT_ONCE]}
            for answer in self.engine.answer([self._request(picture) for picture in some.values()]):
                yield _to_rewrite(some[answer.key].id, answer, self.prompt.instructions)

    def _request(self, picture: Picture) -> Request:
        from grapebench.retrieval.decode import decode

        data = picture.read()
        decode(data, picture.id, lambda image: image.size)  # what is no image is told before anything is paid
        # The key is the content's: a sampled caption is the same under another name.
        return Request(picture.sha256, self.prompt.messages, lambda _: None, 0, (data,))


def _to_rewrite(image: str, answer: Answer, instructions: tuple[str, ...]) -> Rewrite:
    trace = answer.trace
    if answer.failure is None:
        text, fallback = output.parse(answer.raw, instructions)
        raw: str | None = answer.raw
    else:
        text, fallback = "", answer.failure
        trace = trace | {REFUSED: "by the engine's word"} if fallback == "refusal" else trace
        raw = answer.raw if answer.failure in FINAL else None
    return Rewrite(
        image,
        texts=(text,),
        raw=raw,
        fallback=fallback,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        money=answer.money,
        trace=trace,
    )


class Api(_Chat):
    """A model behind an OpenAI-compatible server."""

    engine_class = ApiEngine
    Settings = ApiEngine.Settings


class Vllm(_Chat):
    """A model that vLLM runs in this process."""

    engine_class = VllmEngine
    Settings = VllmEngine.Settings
