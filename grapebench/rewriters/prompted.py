"""Chat models as rewriters: a query becomes a prompt, an engine answers, the output contract reads the answer."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Fusion, ImageSource, Query, Rewrite
from grapebench.rewriters import output
from grapebench.rewriters.engines import FINAL, Answer, Engine, Message, Request
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.samples import Combination
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.datasets.seen import Seen
    from grapebench.retrieval.searcher import Searcher


class PromptedSettings(BaseModel):
    """What every chat model takes beside its engine's own settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(1, ge=1)
    """How many answers are asked for each query."""
    fusion: Fusion = "mean"
    """How several texts come to one ranking."""
    with_query: float = Field(0, ge=0)
    """Weight of the query's own text beside the answers, each of which has weight 1."""
    answer: Literal["text", "lines"] = "text"
    """'lines': every line of an answer is a text of its own."""
    few_shot: int = Field(0, ge=0)
    """How many examples of the train split go before the query."""
    vote: bool = False
    """Search only the answer given most often."""


class _Settings:
    """Both settings in one flat model, made when it is first asked for: the engine's module is imported only then."""

    def __get__(self, instance: object, owner: type[Prompted]) -> type[BaseModel]:
        return _settings_of(owner.engine_class)


@functools.cache
def _settings_of(engine: str) -> type[BaseModel]:
    return create_model("Settings", __base__=(PromptedSettings, _load(engine).Settings))


def _load(engine: str) -> Any:
    module, _, name = engine.partition(":")
    return getattr(importlib.import_module(module), name)


class Prompted:
    """Asks an engine for each query; its subclasses name the engine."""

    name: ClassVar[str]
    engine_class: ClassVar[str]
    """'module:class'"""
    Settings = _Settings()

    stored = True

    def __init__(self, settings: Any, setup: Setup, prompt: Prompt | None) -> None:
        """`settings` is an instance of `Settings`. Raises UserError where they make no sense together."""
        if prompt is None:
            raise UserError("a language model needs prompts", fix="name their files in the card under [prompts]")
        self.settings: PromptedSettings = settings
        self.setup, self.prompt = setup, prompt
        engine = _load(self.engine_class)
        own = settings.model_dump(include=set(engine.Settings.model_fields), exclude_unset=True)
        self.engine: Engine = engine(engine.Settings(**own), setup)
        self._searcher: Searcher | None = None
        if settings.samples > 1 and not self.engine.sampled:
            raise UserError(
                f"samples = {settings.samples}, and a model that does not sample gives the same answer each time",
                fix="let it sample, or ask for one answer",
            )
        if settings.vote and settings.samples == 1 and settings.answer == "text":
            raise UserError("vote = true needs several answers", fix="set samples")

    @property
    def sampled(self) -> bool:
        return self.engine.sampled

    @property
    def paid(self) -> bool:
        """Whether answers cost money, so that processes must not ask for the same."""
        return bool(getattr(self.engine, "paid", False))

    @property
    def lease(self) -> float | None:
        """The longest silence in seconds between two answers that were paid for; None where the engine says nothing."""
        return getattr(self.engine, "lease", None)

    @property
    def oracle(self) -> bool:
        """Whether it looks at the right answer."""
        return self.settings.fusion == "best"

    @property
    def samples(self) -> int:
        return self.settings.samples

    @property
    def combine(self) -> Callable[[Query, Sequence[Rewrite]], Rewrite] | None:
        """How a query's answers become one rewrite; None where there is one answer that stays as it is."""
        told = self._combination
        return Combination(**told) if told else None

    @property
    def _combination(self) -> dict[str, Any]:
        """The settings that say what is done with answers, where they say anything."""
        chosen = self.settings.model_dump(include={"fusion", "with_query", "vote"})
        plain = {name: PromptedSettings.model_fields[name].default for name in chosen}
        return chosen if self.samples > 1 or chosen != plain else {}

    @property
    def asked_as(self) -> str:
        """The fingerprint that answers are stored under: of all that determines a single one."""
        return sha256_json(
            [
                self.name,
                self.engine.identity,
                self.prompt.sha256,
                self.settings.answer,
                list(self._examples),
                output.VERSION,
            ]
        )

    @property
    def fingerprint(self) -> str:
        """Of answers and of what is made of them."""
        return sha256_json([self.asked_as, self.samples, self._combination]) if self._combination else self.asked_as

    @property
    def description(self) -> dict[str, Any]:
        prompt: dict[str, Any] = {
            "sha256": self.prompt.sha256,
            "system": self.prompt.system,
            "user": self.prompt.user,
        }
        if self._examples:
            prompt["few_shot"] = {"examples": self.settings.few_shot, "sha256": sha256_json(list(self._examples))}
        told = {"prompt": prompt, "output_contract": output.VERSION}
        if self._combination:
            told["answers"] = {"samples": self.samples, **self._combination}
        return self.engine.description | told

    @cached_property
    def _examples(self) -> tuple[Message, ...]:
        if not self.settings.few_shot:
            return ()
        from grapebench.rewriters.few_shot import examples

        return examples(self.setup, self.prompt, self.settings.few_shot)

    @property
    def seen(self) -> Seen | None:
        """The pictures that the examples in the prompt are about: searching them is refused."""
        if not self.settings.few_shot:
            return None
        from grapebench.rewriters.few_shot import seen

        return seen(self.setup, self.settings.few_shot)

    def attach(self, searcher: Searcher) -> None:
        """Where a model that sees takes reference images from."""
        self._searcher = searcher

    def depends_on(self, queries: Sequence[Query]) -> list[str | None]:
        """The hash of the image that each query shows the model; None where it shows none."""
        shown = list(dict.fromkeys(image for query in queries if (image := self._shown(query)) is not None))
        if not shown:
            return [None] * len(queries)
        hashes = dict(zip(shown, self._images().sha256(shown), strict=True))
        return [None if (image := self._shown(query)) is None else hashes[image] for query in queries]

    def rendered_sha256(self, queries: Sequence[Query]) -> str:
        """Hex SHA-256 of the messages as the queries fill them, examples and images' hashes included, in order."""
        digest = hashlib.sha256()
        for query, image in zip(queries, self.depends_on(queries), strict=True):
            digest.update(json.dumps([self.messages(query), image], ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()

    def messages(self, query: Query, text: str | None = None) -> tuple[Message, ...]:
        """The whole prompt of one query; `text` stands in for a query's text that is too long."""
        *before, user = self.prompt.messages(query, text)
        return (*before, *self._examples, user)

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query, in the engine's order."""
        by_id = {query.id: query for query in queries}
        for answer in self.engine.answer(self.requests(queries)):
            yield read(by_id[answer.key], answer, self.settings.answer)

    def requests(self, queries: Sequence[Query]) -> list[Request]:
        """What the engine is asked, in the order of the queries; their ids are the keys."""
        shown = {image for query in queries if (image := self._shown(query)) is not None}
        images = {image: self._images().read(image) for image in shown}
        return [self._request(query, images) for query in queries]

    def _request(self, query: Query, images: dict[str, bytes]) -> Request:
        text = query.text.strip()

        def shorter(length: int) -> tuple[Message, ...] | None:
            kept = text[:length].rstrip()
            return self.messages(query, kept) if kept else None

        shown = self._shown(query)
        seen = () if shown is None else (images[shown],)
        return Request(query.id, self.messages(query), shorter, len(text), seen)

    def _shown(self, query: Query) -> str | None:
        """The image that goes with a query."""
        return query.reference if self.engine.sees else None

    def _images(self) -> ImageSource:
        from grapebench.retrieval.searcher import attached

        return attached(self._searcher).gallery.images


def read(query: Query, answer: Answer, form: Literal["text", "lines"]) -> Rewrite:
    """An answer as a rewrite; a failure has no `raw`, so that it is asked again, unless the model meant it."""
    texts: tuple[str, ...] = ()
    reason = answer.failure
    if reason is None and form == "lines":
        texts, reason = output.parse_lines(answer.raw)
    elif reason is None:
        text, reason = output.parse(answer.raw)
        texts = (text,)
    return Rewrite(
        query.id,
        texts=(query.text,) if reason else texts,
        raw=answer.raw if answer.failure is None or answer.failure in FINAL else None,
        fallback=reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        money=answer.money,
        trace=answer.trace,
    )


class Local(Prompted):
    """A language model in this process."""

    name = "lm"
    engine_class = "grapebench.rewriters.engines.lm:Transformers"


class Vllm(Prompted):
    """A language model run by vLLM."""

    name = "vllm"
    engine_class = "grapebench.rewriters.engines.vllm:Vllm"


class Api(Prompted):
    """A language model behind an OpenAI-compatible server."""

    name = "api"
    engine_class = "grapebench.rewriters.engines.api:Api"
