"""Asking a model to do better: it is shown what was tried, what that found wrongly, and what should have been found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from grapebench.files import sha256_json
from grapebench.records import Gallery, Query, Rewrite
from grapebench.rewriters import LoadedRewriter, concepts, output, prompts
from grapebench.rewriters.engines import Message, Request
from grapebench.rewriters.prompted import Prompted, read

VERSION = 1


@dataclass(frozen=True)
class Feedback:
    """What became of a query so far; images are named by their ids."""

    attempt: str
    """The text that came nearest without finding the right image, or the query's own."""
    found: tuple[str, ...]
    """Images that it finds first and that are wrong, best first."""
    target: str


def prompt(path: Path, family: str, sees: bool) -> str:
    """The template. Variables: $query, $language, $attempt, $found (a line for each image), $target and, of composed
    queries, $caption. A model that sees is shown the images, so that it need not be told of them.

    Raises UserError for a file that cannot be read or lacks a variable.
    """
    told = () if sees else ("found", "target")
    known = ("query", "language", "attempt", "found", "target", *(("caption",) if family == "compose" else ()))
    return prompts.checked(path, known, ("query", "attempt", *told))


class Optimiser:
    """A rewriter that asks another one's engine with another prompt, and reads concepts and rewrite from its answer.

    Images go with the prompt where the engine sees: the reference image of a composed query, those found wrongly, then
    the right one.
    """

    sampled = True
    stored = True

    def __init__(
        self,
        asked: Prompted,
        template: str,
        feedback: Mapping[str, Feedback],
        captions: Mapping[str, str],
        gallery: Gallery,
        number: int,
    ) -> None:
        """`feedback` is by query id, those of a query's samples too (`samples.expand`); `captions` are of all images in
        it, or none where the model sees; `number` is the round's, so that no two rounds draw the same."""
        self.asked, self.template, self.feedback = asked, template, feedback
        self.captions, self.gallery, self.number = captions, gallery, number

    @property
    def paid(self) -> bool:
        return self.asked.paid

    @property
    def lease(self) -> float | None:
        return self.asked.lease

    @property
    def fingerprint(self) -> str:
        own = [self.asked.engine.identity, self.asked.prompt.system, self.template]
        return sha256_json(["raqo optimise", VERSION, output.VERSION, concepts.VERSION, *own])

    def loaded(self, name: str) -> LoadedRewriter:
        return LoadedRewriter(name, self, None, self.fingerprint, {})

    def depends_on(self, queries: Sequence[Query]) -> list[Any]:
        """What an answer depends on beside the query: the round, all that the prompt says, and the images shown."""
        shown = [self._shown(query) for query in queries]
        ids = list(dict.fromkeys(image for some in shown for image in some))
        hashes = dict(zip(ids, self.gallery.images.sha256(ids), strict=True)) if ids else {}
        return [
            [self.number, list(self._messages(query)), [hashes[image] for image in some]]
            for query, some in zip(queries, shown, strict=True)
        ]

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query, in the engine's order; the concepts that the model names are in its trace."""
        asked = {f"{query.id}@{self.number}": query for query in queries}
        requests = [self._request(key, query) for key, query in asked.items()]
        for answer in self.asked.engine.answer(requests):
            yield read(asked[answer.key], answer, "concepts")

    def _messages(self, query: Query, text: str | None = None) -> tuple[Message, ...]:
        told = self.feedback[query.id]
        *system, _ = replace(self.asked.prompt, user="").messages(query)
        values = {
            "query": (query.text if text is None else text).strip(),
            "language": prompts.LANGUAGES.get(query.language.split("-")[0].lower(), query.language),
            "attempt": told.attempt,
            "found": "\n".join(f"{place}. {self.captions.get(image, '')}" for place, image in enumerate(told.found, 1)),
            "target": self.captions.get(told.target, ""),
            "caption": (query.reference_caption or "").strip(),
        }
        return (*system, {"role": "user", "content": Template(self.template).substitute(values)})

    def _request(self, key: str, query: Query) -> Request:
        text = query.text.strip()

        def shorter(length: int) -> tuple[Message, ...] | None:
            kept = text[:length].rstrip()
            return self._messages(query, kept) if kept else None

        images = tuple(self.gallery.images.read(image) for image in self._shown(query))
        return Request(key, self._messages(query), shorter, len(text), images)

    def _shown(self, query: Query) -> tuple[str, ...]:
        if not self.asked.engine.sees:
            return ()
        told = self.feedback[query.id]
        return (*((query.reference,) if query.reference else ()), *told.found, told.target)
