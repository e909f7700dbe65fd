"""Chat models as rewriters: a query becomes a prompt, an engine answers, the output contract reads the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import ImageSource, Query, Rewrite
from grapebench.rewriters import concepts as concepts_of
from grapebench.rewriters import output, recot
from grapebench.rewriters.engines import FINAL, Answer, Engine, Message, Request
from grapebench.rewriters.prompted_settings import SEVERAL, STRICT, BothSettings, Form, PromptedSettings, load_engine
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.samples import Combination
from grapebench.rewriters.setup import Setup

if TYPE_CHECKING:
    from grapebench.datasets.seen import Seen
    from grapebench.retrieval.searcher import Searcher


class Prompted:
    """Asks an engine for each query; its subclasses name the engine."""

    name: ClassVar[str]
    engine_class: ClassVar[str]
    """'module:class'"""
    Settings = BothSettings()

    language_model = True
    stored = True

    def __init__(self, settings: Any, setup: Setup, prompt: Prompt | None) -> None:
        """`settings` is an instance of `Settings`. Raises UserError where they make no sense together."""
        if prompt is None:
            raise UserError("a language model needs prompts", fix="name their files in the card under [prompts]")
        self.settings: PromptedSettings = settings
        self.setup, self.prompt = setup, prompt
        engine = load_engine(self.engine_class)
        own = settings.model_dump(include=set(engine.Settings.model_fields), exclude_unset=True)
        self.engine: Engine = engine(engine.Settings(**own), setup)
        self._searcher: Searcher | None = None
        if settings.samples > 1 and not self.engine.sampled:
            raise UserError(
                f"samples = {settings.samples}, and a model that does not sample gives the same answer each time",
                fix="let it sample, or ask for one answer",
            )
        if settings.vote and settings.samples == 1 and settings.answer not in SEVERAL:
            raise UserError("vote = true needs several answers", fix="set samples")
        if self.detects and settings.answer == "concepts":
            raise UserError(
                "concepts are asked for twice: by the prompt `detect`, and by answer = 'concepts'",
                fix="take one of them out of the card",
            )
        if settings.answer in STRICT and not getattr(self.engine, "structured", False):
            raise UserError(
                f"answer = {settings.answer!r}: {self.name} cannot hold a model to a JSON Schema",
                fix="use the mechanism api or vllm, or answer = 'text'",
            )
        if settings.few_shot and settings.answer in STRICT:
            raise UserError("few_shot: examples are plain text, and the answer is JSON", fix="take one out of the card")
        if settings.few_shot and (self.detects or settings.answer == "concepts"):
            raise UserError("few_shot: examples have no concepts", fix="take few_shot out of the card")

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
        one: float | None = getattr(self.engine, "lease", None)
        return one if one is None or not self.detects else 2 * one

    @property
    def detects(self) -> bool:
        """Whether a query's challenging concepts are asked for first, by a question of their own."""
        return bool(self.prompt.detect)

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
        """The fingerprint that answers are stored under: of all that determines what a model says.

        Not how it is read: that is done anew when they are looked up. Where a second question hangs on how the first
        answer was read, its reading is a part of what is asked.
        """
        asked = self._contracts if self.detects else _ASKED[self.settings.answer]
        return sha256_json(
            [
                self.name,
                self.engine.identity,
                self.prompt.sha256,
                self.settings.answer,
                list(self._examples),
                *asked,
            ]
        )

    @property
    def fingerprint(self) -> str:
        """Of answers, of how they are read, and of what is made of them."""
        made = [self.samples, self._combination] if self._combination else []
        return sha256_json([self.asked_as, list(self._contracts), *made])

    @property
    def _contracts(self) -> tuple[int, ...]:
        """The versions of the rules that answers are read by."""
        lines = (output.LINES_VERSION,) if self.settings.answer == "lines" else ()
        concepts = (concepts_of.VERSION,) if self.detects or self.settings.answer == "concepts" else ()
        return (output.VERSION, *lines, *concepts)

    @property
    def description(self) -> dict[str, Any]:
        prompt: dict[str, Any] = {"sha256": self.prompt.sha256, **self.prompt.templates}
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
        """Hex SHA-256 of the messages as the queries fill them, examples and images' hashes included, in order.

        Where concepts are asked for first, $concepts stands in the second prompt as it is.
        """
        digest = hashlib.sha256()
        for query, image in zip(queries, self.depends_on(queries), strict=True):
            told: list[Any] = [self.messages(query, concepts="$concepts" if self.detects else None), image]
            if self.detects:
                told.insert(0, self.detect_messages(query))
            digest.update(json.dumps(told, ensure_ascii=False).encode() + b"\n")
        return digest.hexdigest()

    def messages(self, query: Query, text: str | None = None, concepts: str | None = None) -> tuple[Message, ...]:
        """The whole prompt of one query; `text` stands in for a query's text that is too long.

        `concepts` are its challenging ones as `grapebench.rewriters.concepts.write` has them; UserError where they were
        to be asked for first and are not given.
        """
        *before, user = self.prompt.messages(query, text, concepts)
        return (*before, *self._examples, user)

    def detect_messages(self, query: Query, text: str | None = None) -> tuple[Message, ...]:
        """The whole prompt that asks for a query's challenging concepts."""
        return tuple(self.prompt.detect_messages(query, text))

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query, in the engine's order."""
        return self.rewrite_by(self.engine.answer, queries, getattr(self.engine, "together", recot.TOGETHER))

    def rewrite_by(self, ask: recot.Ask, queries: Sequence[Query], together: int = recot.TOGETHER) -> Iterator[Rewrite]:
        """The same with other answers than the engine's: those of a model in training, say.

        `ask` gives one answer for each request, in any order. Where concepts are asked for first, it is called again,
        while its first answers are still being taken, whenever `together` queries have their concepts.
        """
        if self.detects:
            yield from recot.rewrite(self, ask, queries, together)
            return
        by_id = {query.id: query for query in queries}
        for answer in ask(self.requests(queries)):
            yield self.read(by_id[answer.key], answer)

    def read(self, query: Query, answer: Answer) -> Rewrite:
        """An answer to the rewriter's prompt as a rewrite."""
        return read(query, answer, self.settings.answer, self.prompt.instructions)

    def read_again(self, query: Query, stored: Rewrite) -> Rewrite:
        """A stored answer as today's contract reads it, so that a new reading asks for nothing again.

        As it is where it holds two answers, whose reading is part of what was asked, or none.
        """
        if self.detects or stored.raw is None:
            return stored
        return replace(self.read(query, as_answer(stored)), query_id=stored.query_id, seconds=stored.seconds)

    def requests(self, queries: Sequence[Query], concepts: Mapping[str, str] | None = None) -> list[Request]:
        """What the engine is asked, in the order of the queries; their ids are the keys.

        `concepts` are their challenging ones, by id, as `grapebench.rewriters.concepts.write` has them; UserError where
        they were to be asked for first and are not given.
        """

        def render(query: Query, text: str | None) -> tuple[Message, ...]:
            return self.messages(query, text, None if concepts is None else concepts[query.id])

        found = self._requests(queries, render)
        if self.settings.answer not in STRICT:
            return found
        schema = output.schema(self.settings.answer in SEVERAL)
        return [replace(request, schema=schema) for request in found]

    def detect_requests(self, queries: Sequence[Query]) -> list[Request]:
        """What the engine is asked first: for challenging concepts. The keys are `recot.detection_key` of the ids, so
        that what is sampled for them is drawn apart from the rewrites."""
        found = self._requests(queries, self.detect_messages)
        return [replace(request, key=recot.detection_key(request.key)) for request in found]

    def _requests(
        self, queries: Sequence[Query], render: Callable[[Query, str | None], tuple[Message, ...]]
    ) -> list[Request]:
        shown = {image for query in queries if (image := self._shown(query)) is not None}
        images = {image: self._images().read(image) for image in shown}
        return [self._request(query, images, render) for query in queries]

    def _request(
        self,
        query: Query,
        images: dict[str, bytes],
        render: Callable[[Query, str | None], tuple[Message, ...]],
    ) -> Request:
        text = query.text.strip()

        def shorter(length: int) -> tuple[Message, ...] | None:
            kept = text[:length].rstrip()
            return render(query, kept) if kept else None

        shown = self._shown(query)
        seen = () if shown is None else (images[shown],)
        return Request(query.id, render(query, None), shorter, len(text), seen)

    def _shown(self, query: Query) -> str | None:
        """The image that goes with a query."""
        return query.reference if self.engine.sees else None

    def _images(self) -> ImageSource:
        from grapebench.retrieval.searcher import attached

        return attached(self._searcher).gallery.images


_ASKED: Mapping[Form, tuple[int, ...]] = {
    "text": (1,),
    "lines": (1, 2),
    "concepts": (1, 1),
    "json": (),
    "json-lines": (),
}
"""Versions of contracts that stood in what answers were stored under: they stay, so that those answers are found."""


REFUSED = "refused"
"""In a rewrite's trace: that its refusal was not read from the text."""


def read(query: Query, answer: Answer, form: Form, instructions: tuple[str, ...] = ()) -> Rewrite:
    """An answer as a rewrite; a failure has no `raw`, so that it is asked again, unless the model meant it.

    `instructions` are the fixed words of the prompt: an answer that repeats them is none.
    """
    texts: tuple[str, ...] = ()
    found: dict[str, str] = {}
    reason = answer.failure
    if reason == "refusal":
        found = {REFUSED: "by the engine's word"}
    if reason is None and form == "lines":
        texts, reason = output.parse_lines(answer.raw, instructions)
    elif reason is None and form in STRICT:
        texts, reason = output.parse_json(answer.raw, form in SEVERAL, instructions)
    elif reason is None and form == "concepts":
        both = concepts_of.read_both(answer.raw, instructions)
        found = recot.trace(both.concepts, both.undetected)
        unneeded = not both.concepts and both.undetected is None
        texts, reason = (query.text if unneeded else both.rewrite,), both.fallback
    elif reason is None:
        text, reason = output.parse(answer.raw, instructions)
        texts = (text,)
    return Rewrite(
        query.id,
        texts=(query.text,) if reason else texts,
        raw=answer.raw if answer.failure is None or answer.failure in FINAL else None,
        fallback=reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        money=answer.money,
        trace=answer.trace | found,
    )


def as_answer(stored: Rewrite) -> Answer:
    """What the engine gave, from what was made of it."""
    trace = {
        place: text for place, text in stored.trace.items() if place not in (recot.CONCEPTS, output.UNDETECTED, REFUSED)
    }
    # A refusal may have been read from the text, and is then read again, or have been the server's own word.
    final = stored.fallback in FINAL and (stored.fallback != "refusal" or REFUSED in stored.trace)
    return Answer(
        stored.query_id,
        stored.raw or "",
        stored.prompt_tokens,
        stored.completion_tokens,
        stored.money,
        stored.fallback if final else None,
        trace,
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
