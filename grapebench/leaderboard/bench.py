"""What results are of: tasks, retrievers and rewriters that are at hand, opened once for all results.

A result is a stranger's file. What it names is only looked up among the cards here and open_clip's published models: a
path or a class that it names is never opened.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from grapebench import catalog, files
from grapebench.datasets import load_task, places
from grapebench.errors import UserError
from grapebench.leaderboard.results import Result
from grapebench.records import Retriever, Task
from grapebench.retrieval import open_retriever
from grapebench.retrieval.encode import Lookup
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup

_PUBLISHED = re.compile(r"[\w.-]+@[\w.-]+")
"""MODEL@PRETRAINED, as open_clip names what it knows."""

_Opened = TypeVar("_Opened", Task, Retriever)
_REWRITER = "what the rewriter had seen, and whether it is an oracle"


class NotAtHand(Exception):
    """Why something cannot be looked up here, in words that go on after 'not checked: '."""


def short(value: object) -> str:
    """A value of a stranger's file in a sentence."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


@dataclass
class Bench:
    """Opens what results name; each once."""

    _tasks: dict[tuple[str | None, ...], Task | NotAtHand] = field(default_factory=dict)
    _hashes: dict[int, list[str]] = field(default_factory=dict)
    _retrievers: dict[tuple[str, str], Retriever | NotAtHand] = field(default_factory=dict)

    def task(self, result: Result) -> Task:
        """The task's data. Raises NotAtHand where they are not."""
        key = (result.suite, result.task, result.split, result.protocol, _languages(result))
        if key not in self._tasks:
            self._tasks[key] = _load(result)
        return _at_hand(self._tasks[key])

    def hashes(self, task: Task) -> list[str]:
        """The content hash of each gallery image."""
        if id(task) not in self._hashes:
            self._hashes[id(task)] = task.gallery.images.sha256(task.gallery.ids)
        return self._hashes[id(task)]

    def pixels(self, task: Task) -> str:
        """Hash over the content hashes of the gallery's images, as `Data.images` of a result."""
        return files.sha256_json(self.hashes(task))

    def retriever(self, result: Result) -> Retriever:
        """What searched: of the same name and fingerprint. Raises NotAtHand where there is no such retriever here."""
        name = result.retriever.name
        key = (result.suite, name)
        if key not in self._retrievers:
            self._retrievers[key] = _retriever(name)
        found = _at_hand(self._retrievers[key])
        if found.fingerprint != result.retriever.fingerprint:
            what = f"retriever {short(name)} is another one here (weights, preprocessing, precision or kind of device)"
            raise NotAtHand(f"searching again: {what}")
        return found

    def rewriter(self, result: Result) -> LoadedRewriter:
        """The card of the rewriter's name, if it is what rewrote. Raises NotAtHand where it is not."""
        name = result.rewriter.name
        if name not in catalog.rewriter_names():
            raise NotAtHand(f"{_REWRITER}: there is no card {short(name)} here")
        setup = Setup(result.suite, result.family, result.seed, self.task(result).root, task=result.task)
        try:
            found = open_rewriter(name, setup)
        except UserError as error:
            raise NotAtHand(f"{_REWRITER}: {error}") from error
        if found.fingerprint != result.rewriter.fingerprint:
            what = f"the card {short(name)} here is another rewriter (prompts, weights or settings)"
            raise NotAtHand(f"{_REWRITER}: {what}")
        return found


def _load(result: Result) -> Task | NotAtHand:
    if result.task not in catalog.task_names():
        return NotAtHand(f"ranks against the labels: there is no card of the task {short(result.task)} here")
    card = catalog.task_card(result.task).card
    options = None if (named := _languages(result)) is None else {"languages": sorted(set(named.split(",")) - {""})}
    try:
        if result.suite == "full" and places.remembered(card.name) is None:
            return NotAtHand(f"ranks against the labels: where the files of {card.name} are was not said (`data add`)")
        return load_task(card, result.suite, result.split, protocol=result.protocol, options=options)
    except UserError as error:
        return NotAtHand(f"ranks against the labels: {error}")


def _languages(result: Result) -> str | None:
    """The languages that the run was limited to, as its command says; the data's hash says whether that is true."""
    try:
        words = shlex.split(result.command)
    except ValueError:
        return None
    place = words.index("--languages") + 1 if "--languages" in words else len(words)
    return words[place] if place < len(words) else None


def _retriever(name: str) -> Retriever | NotAtHand:
    known = name in catalog.retriever_names()
    if not known and (not _PUBLISHED.fullmatch(name) or name.endswith(".toml") or Path(name).exists()):
        return NotAtHand(f"searching again: there is no card of the retriever {short(name)} here")
    try:
        found = open_retriever(name)
        _ = found.fingerprint
    except UserError as error:
        return NotAtHand(f"searching again: {error}")
    return NotAtHand("searching again: the retriever brings vectors along") if isinstance(found, Lookup) else found


def _at_hand(found: _Opened | NotAtHand) -> _Opened:
    if isinstance(found, NotAtHand):
        raise found
    return found
