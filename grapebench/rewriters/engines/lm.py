"""A causal language model in this process, run with transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from grapebench import activity
from grapebench.errors import UserError
from grapebench.rewriters import models, turns
from grapebench.rewriters.engines import Answer, Request, decoding, served
from grapebench.rewriters.engines.decoding import Processors
from grapebench.rewriters.engines.fitting import fit
from grapebench.rewriters.engines.model_settings import ModelSettings
from grapebench.rewriters.setup import Setup

FIRST = 8
"""How many prompts the first batch has."""
GROWTH = 4
"""How many times as many the next may have."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    key: str
    tokens: list[int]
    trace: dict[str, str]
    opened: str
    """The mark with which the chat template opens thinking; the answer goes on from there."""


class Transformers:
    """Asks in batches of similar length, greedily or sampled."""

    sees = False

    class Settings(ModelSettings):
        batch_tokens: int = Field(16384, ge=1)
        """How many tokens a batch may come to, prompts and answers together, padding included."""
        compile: bool = False
        """The model's forward pass goes through torch.compile, which takes a while: for large models on a GPU."""

    def __init__(self, settings: Settings, setup: Setup) -> None:
        self.settings, self.setup = settings, setup
        base = setup.base or Path()
        self.model = models.locate(settings.model, base, settings.revision)
        self.adapter = models.locate_folder(settings.adapter, base) if settings.adapter else None
        if self.adapter:
            models.check_base(self.adapter, self.model)

    @property
    def sampled(self) -> bool:
        return self.settings.sample

    @property
    def _generation(self) -> dict[str, Any]:
        generation = self.settings.model_dump(include={"dtype", "max_new_tokens", "sample"})
        if self.settings.sample:
            generation |= self.settings.model_dump(include={"temperature", "top_p"})
        # Where it is not set, answers are those of a card that cannot set it.
        return generation | ({"stop": list(self.settings.stop)} if self.settings.stop else {})

    @property
    def identity(self) -> Any:
        """Weights, adapter and generation; not batch size, compilation, device or library versions.

        Those move a logit in its last bits only, and answers of a large model are too dear to ask for again.
        """
        return [self.model.identity, self.adapter.identity if self.adapter else None, self._generation]

    @property
    def description(self) -> dict[str, Any]:
        return {
            "model": {"name": self.settings.model, **self.model.identity},
            "adapter": {"name": self.settings.adapter, **self.adapter.identity} if self.adapter else None,
            "generation": self._generation,
            "versions": {package: version(package) for package in ("torch", "transformers")},
        }

    def body(self, request: Request) -> dict[str, Any]:
        """The JSON body that asks a server of vLLM for the same answer, as a batch file takes it."""
        return served.body(self.settings, self.setup.seed, request)

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """One answer for each request, longest prompts first, as they end. The first batches are small, so that an
        answer is there soon.

        Raises UserError where the model cannot be loaded or the instruction alone does not fit its context.
        """
        with activity.during("loading the model"):
            loaded = models.load(
                self.model.folder,
                self.adapter.folder if self.adapter else None,
                self.settings.dtype,
                self.setup.device,
                self.settings.compile,
            )
        with activity.during("reading the prompts"):
            encoded = self._encode(loaded, requests)
        # Equal prompts come together: a batch computes each once.
        encoded.sort(key=lambda one: (-len(one.tokens), one.tokens, one.key))
        start, most = 0, FIRST
        while start < len(encoded):
            rows = max(1, self.settings.batch_tokens // (len(encoded[start].tokens) + self.settings.max_new_tokens))
            rows = min(rows, most)
            yield from self._answer(loaded, encoded[start : start + rows])
            start, most = start + rows, GROWTH * most

    def _encode(self, loaded: models.Chat, requests: Sequence[Request]) -> list[_Encoded]:
        texts = [loaded.render(request.messages) for request in requests]
        # All samples of a query have its prompt.
        distinct = list(dict.fromkeys(texts))
        tokens_of = dict(zip(distinct, loaded.tokenise(distinct), strict=True))
        limit = None if loaded.context is None else loaded.context - self.settings.max_new_tokens
        found = []
        for request, text in zip(requests, texts, strict=True):
            tokens, trace = tokens_of[text], dict[str, str]()
            if limit is not None and len(tokens) > limit:
                _, tokens, trace = fit(request, lambda some: loaded.tokenise([loaded.render(some)])[0], limit)
            found.append(_Encoded(request.key, tokens, trace, turns.opened(text)))
        return found

    def _answer(self, loaded: models.Chat, batch: list[_Encoded]) -> Iterator[Answer]:
        """The answers of a batch as they end; where the GPU has no room for it, of what is left in two halves."""
        import torch

        left = dict(enumerate(batch))
        try:
            for number, tokens in self._generate(loaded, batch):
                yield self._read(loaded, left.pop(number), tokens)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1:
                raise UserError("the GPU has no room for a single query", fix="set a smaller dtype or model") from error
        if left:  # outside the handler, where the failed batch's tensors are no longer held
            torch.cuda.empty_cache()
            rest = list(left.values())
            half = len(rest) // 2
            for some in (rest[:half], rest[half:]):
                if some:
                    yield from self._answer(loaded, some)

    def _read(self, loaded: models.Chat, one: _Encoded, answer: Sequence[int]) -> Answer:
        end = next((place for place, token in enumerate(answer) if token in loaded.ends), None)
        spoken = answer if end is None else answer[:end]
        stopped = decoding.end_of(loaded, spoken, self.settings.stop)
        if stopped is not None:
            text = decoding.before(loaded.decode(spoken[:stopped]), self.settings.stop)
            return Answer(one.key, one.opened + text, len(one.tokens), stopped, trace=one.trace)
        trace = one.trace if end is not None else one.trace | {"cut output": "no end within max_new_tokens"}
        used = len(answer) if end is None else end + 1
        return Answer(one.key, one.opened + loaded.decode(spoken), len(one.tokens), used, trace=trace)

    def _generate(self, loaded: models.Chat, batch: list[_Encoded]) -> Iterator[tuple[int, list[int]]]:
        processors = self._processors([one.key for one in batch])
        tokens, stop = [one.tokens for one in batch], self.settings.stop
        return decoding.stream(loaded, tokens, self.settings.max_new_tokens, processors, stop)

    def _processors(self, keys: list[str]) -> Processors:
        if not self.settings.sample:
            return lambda rows, prompt_length: []
        from grapebench.rewriters.sampling import SeededSampling, batch_draws

        draws = batch_draws(self.setup.seed, keys, self.settings.max_new_tokens)
        temperature, top_p = self.settings.temperature, self.settings.top_p
        return lambda rows, prompt_length: [SeededSampling(draws[rows], prompt_length, temperature, top_p)]
