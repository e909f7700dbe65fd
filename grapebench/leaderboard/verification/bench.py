"""What results are checked against: tasks, retrievers and rewriters that are at hand, opened once for all of them.

A result is a stranger's file. What it names is only looked up among the cards here and open_clip's published models: a
path or a class that it names is never opened.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from grapebench import catalog, files
from grapebench.datasets import load_task, places
from grapebench.datasets.seen import overlap
from grapebench.errors import UserError
from grapebench.evaluation.protocols import protocol_named
from grapebench.leaderboard import results
from grapebench.leaderboard.results import RESULT_FILE, Result, Seen
from grapebench.leaderboard.verification.findings import Findings, NotAtHand, short, some
from grapebench.leaderboard.verification.tables import Table
from grapebench.records import Query, Retriever, Task
from grapebench.retrieval import open_retriever
from grapebench.retrieval.encode import Lookup
from grapebench.rewriters import LoadedRewriter, open_rewriter
from grapebench.rewriters.setup import Setup

_PUBLISHED = re.compile(r"[\w.-]+@[\w.-]+")
"""MODEL@PRETRAINED, as open_clip names what it knows."""

_Opened = TypeVar("_Opened", Task, Retriever)
_REWRITER = "what the rewriter had seen, and whether it is an oracle"


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


def asked(found: Findings, result: Result, task: Task) -> Sequence[Query] | None:
    """The queries of the split that the result is of; None where its data are other ones."""
    queries = task.queries[: result.limit]
    if task.dataset.fingerprint != result.data.dataset:
        found.differs("data.dataset", result.data.dataset, task.dataset.fingerprint, "the data here have the hash")
        return None
    if result.limit is not None and not 0 < result.limit < len(task.queries):
        found.wrong(RESULT_FILE, f"limit is {result.limit}, and there are {len(task.queries):,} queries")
    due = {"queries": len(queries), "gallery": len(task.gallery), "labelled": bool(queries[0].positives)}
    due["groups"] = dict(task.dataset.groups) if protocol_named(task.protocol).by == "category" else {}  # type: ignore[assignment]
    for name, value in due.items():
        if getattr(result, name) != value:
            found.differs(name, getattr(result, name), value, "the data here have")
    return queries if len(queries) == result.queries and bool(queries[0].positives) == result.labelled else None


def check_rows(found: Findings, queries: Sequence[Query], table: Table) -> None:
    """Whether the rows of per_query.parquet are those of the split's queries."""
    file, ids = results.PER_QUERY_FILE, table["query_id"]
    due = {"query_id": [query.id for query in queries], "language": [query.language for query in queries]}
    due["cluster"] = [query.positives[0] for query in queries]
    if "category" in table:
        due["category"] = [query.category for query in queries]
    if ids != due["query_id"]:
        place = next(place for place, (one, other) in enumerate(zip(ids, due["query_id"], strict=True)) if one != other)
        found.wrong(file, f"query {ids[place]!r} stands where {due['query_id'][place]!r} is asked (row {place + 1})")
        return
    for column in ("language", "cluster", "category"):
        if column in due and table[column] != due[column]:
            rows = [name for name, one, other in zip(ids, table[column], due[column], strict=True) if one != other]
            found.wrong(file, f"{column} is not that of the query: {some(rows)}")


def check_images(found: Findings, result: Result, task: Task, bench: Bench) -> None:
    """Pixels and duplicates."""
    if result.data.images is None:
        found.unchecked.append("the images: the retriever brought their vectors along")
        return
    hashes = bench.hashes(task)
    images = files.sha256_json(hashes)
    if result.data.images != images:
        found.differs("data.images", result.data.images, images, "the images here have the hash")
    twins = sum(count for count in Counter(hashes).values() if count > 1)
    if result.duplicates != twins:
        found.differs("duplicates", result.duplicates, twins, "the images here give")


def check_rewriter(found: Findings, result: Result, task: Task, bench: Bench) -> None:
    """Whether the rewriter is what the result says: oracle or not, and what it had seen of the gallery."""
    rewriter = bench.rewriter(result)
    if result.rewriter.oracle != rewriter.oracle:
        found.differs("rewriter.oracle", result.rewriter.oracle, rewriter.oracle, "the rewriter's card says")
    images = overlap(task, rewriter)
    due = None
    if images and rewriter.seen is not None:
        sources = [str(source) for source in rewriter.seen.sources]
        due = Seen(images=len(images), gallery=len(task.gallery), sources=sources)
    if result.seen != due:
        said, known = (None if one is None else one.model_dump() for one in (result.seen, due))
        found.differs("seen", said, known, "what it was trained on and the gallery give")


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
