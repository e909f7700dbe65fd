"""The rewrite store: every answer that cost something, kept in one SQLite file that processes share."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.paths import data_dir
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter, answers, output
from grapebench.rewriters.database import connect
from grapebench.rewriters.samples import expand

_TABLE = """CREATE TABLE IF NOT EXISTS rewrites
 (fingerprint TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (fingerprint, key)) WITHOUT ROWID"""
_PLAIN = {name: getattr(Rewrite(""), name) for name in Rewrite.__slots__ if name != "query_id"}
"""What is not written down."""
_TUPLES = ("texts", "images", "weights")
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_T = TypeVar("_T")
Progress = Callable[[int, int], None]
"""Called with how many queries have an answer and how many there are."""


class RewriteStore:
    """Answers by rewriter fingerprint and query key.

    Every `put` is one transaction in write-ahead mode: a killed process loses nothing that was put, and others read
    and write beside it. A file that is no database, or a damaged one, is moved aside with a warning and begun anew.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or data_dir() / "rewrites.sqlite"
        self._connection: sqlite3.Connection | None = None

    def lookup(
        self, fingerprint: str, keys: Sequence[str], query_ids: Mapping[str, str] | None = None
    ) -> dict[str, Rewrite]:
        """The stored answers by key. An unreadable row counts as absent.

        `query_ids` by key say which query each answer is for; without them their query ids are empty.
        """
        return self._robustly(lambda connection: dict(_read(connection, fingerprint, keys, query_ids or {})))

    def put(self, fingerprint: str, answers: Mapping[str, Rewrite]) -> None:
        """Store answers by key, all or none; one that is there already is replaced."""
        rows = [(fingerprint, key, _encode(rewrite)) for key, rewrite in answers.items()]

        def write(connection: sqlite3.Connection) -> None:
            with connection:
                connection.executemany("INSERT OR REPLACE INTO rewrites VALUES (?, ?, ?)", rows)

        self._robustly(write)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> RewriteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _robustly(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            try:
                return work(self._open())
            except sqlite3.DatabaseError as error:
                if not _is_broken(error):
                    raise
            self.close()
            self._set_aside()
            return work(self._open())
        except sqlite3.Error as error:
            raise UserError(f"the rewrite store cannot be used: {error}", file=self.path) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise explain_os_error(error, self.path.parent) from error
            self._connection = connect(self.path, [_TABLE])
        return self._connection

    def _set_aside(self) -> None:
        # Another process may have begun anew meanwhile: what reads well now stays.
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(connect(self.path, [_TABLE])) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",):
                return
        aside = self.path.with_name(f"{self.path.name}.broken-{time.time_ns()}")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        print(f"warning: {self.path}: not readable; moved to {aside.name} and begun anew", file=sys.stderr)


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _read(
    connection: sqlite3.Connection, fingerprint: str, keys: Sequence[str], query_ids: Mapping[str, str]
) -> Iterator[tuple[str, Rewrite]]:
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f"SELECT key, answer FROM rewrites WHERE fingerprint = ? AND key IN ({marks})", (fingerprint, *some)
        )
        for key, answer in rows:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                yield key, _decode(answer, query_ids.get(key, ""))


def _encode(rewrite: Rewrite) -> str:
    told = {name: getattr(rewrite, name) for name in _PLAIN}
    return json.dumps({name: value for name, value in told.items() if value != _PLAIN[name]})


def _decode(answer: str, query_id: str) -> Rewrite:
    told = json.loads(answer)
    for name in _TUPLES:
        if name in told:
            told[name] = tuple(told[name])
    if "vectors" in told:
        told["vectors"] = tuple(map(tuple, told["vectors"]))
    return Rewrite(query_id, **told)


def query_key(loaded: LoadedRewriter, query: Query, seed: int, beside: Any = None) -> str:
    """Hash of everything but the rewriter that determines its answer to one query.

    A greedy rewriter answers equal texts equally; for a sampled one (or one that is not known) the whole query and
    the seed count, but for its source, which no rewriter is told. `beside` is what else the answer depends on, as JSON:
    the hash of an image that is shown.
    """
    if loaded.sampled:
        told: list[Any] = [{name: getattr(query, name) for name in Query.__slots__ if name != "source"}, seed]
    else:
        told = [query.text, query.language, query.reference, query.reference_caption]
    return sha256_json(told if beside is None else [*told, beside])


def rewrite_all(
    loaded: LoadedRewriter,
    queries: Sequence[Query],
    store: RewriteStore,
    seed: int,
    progress: Progress | None = None,
) -> list[Rewrite]:
    """One rewrite for each query, in their order, made of as many answers as the rewriter wants: see `all_answers`."""
    found = all_answers(loaded, queries, store, seed, loaded.samples, progress)
    if loaded.combine is None:
        return [some[0] for some in found]
    return [loaded.combine(query, some) for query, some in zip(queries, found, strict=True)]


def all_answers(
    loaded: LoadedRewriter,
    queries: Sequence[Query],
    store: RewriteStore,
    seed: int,
    samples: int,
    progress: Progress | None = None,
) -> list[list[Rewrite]]:
    """`samples` answers to each query, in their order, before anything is combined.

    Only what is not stored is asked for, equal questions once; each answer is stored as it comes, so that after a
    kill or an error the same call goes on from there. What failed is not stored; a query without an answer gets its
    own text, with fallback 'missing'. Raises UserError where the rewriter fails, its answers do not fit the queries,
    or it gives the same answer each time and several are wanted.
    """
    if samples > 1 and not loaded.sampled:
        raise UserError(f"{loaded.name} does not sample: {samples} answers would be the same", fix="let it sample")
    asked = [one for query in queries for one in expand(query, samples)]
    if samples > 1 and len({one.id for one in asked}) != samples * len({query.id for query in queries}):
        raise UserError("some query is named like a sample of another: 'id' and 'id#1'")
    keys = _keys(loaded, queries, asked, seed)
    by_query = [keys[start : start + samples] for start in range(0, len(keys), samples)]
    found: dict[str, Rewrite] = {}
    if loaded.stored:
        # Each is made under its query's id at once: copying them afterwards costs nearly as much as reading them.
        query_ids = {key: query.id for query, some in zip(queries, by_query, strict=True) for key in some}
        found = _stored(loaded, store, dict(zip(keys, asked, strict=True)), query_ids)
    waiting: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        if key not in found:
            waiting.setdefault(key, []).append(place)
    lacking = Counter(place // samples for places in waiting.values() for place in places)
    if progress:
        progress(len(queries) - len(lacking), len(queries))
    questions = {key: _without_source(asked[places[0]]) for key, places in waiting.items()}
    paid = loaded.stored and getattr(loaded.rewriter, "paid", False)
    for key, rewrite in (_ask_once if paid else _ask)(loaded, store, questions) if questions else ():
        found[key] = rewrite
        for place in waiting[key]:
            lacking[place // samples] -= 1
            if not lacking[place // samples]:
                del lacking[place // samples]
        if progress:
            progress(len(queries) - len(lacking), len(queries))
    return [
        [_for(query, found[key]) if key in found else output.missing(query) for key in some]
        for query, some in zip(queries, by_query, strict=True)
    ]


def _without_source(query: Query) -> Query:
    """As a rewriter is asked: what is no part of the key cannot change an answer."""
    return dataclasses.replace(query, source="") if query.source else query


def _stored(
    loaded: LoadedRewriter,
    store: RewriteStore,
    questions: Mapping[str, Query],
    query_ids: Mapping[str, str] | None = None,
) -> dict[str, Rewrite]:
    """The stored answers to questions by key, as the rewriter reads them today."""
    found = store.lookup(loaded.asked_as or loaded.fingerprint, list(questions), query_ids)
    if loaded.read_again is None:
        return found
    return {key: loaded.read_again(questions[key], rewrite) for key, rewrite in found.items()}


def _for(query: Query, answer: Rewrite) -> Rewrite:
    """The answer under the query's id: it may have come for one of its samples, or for another query with its text."""
    return answer if answer.query_id == query.id else dataclasses.replace(answer, query_id=query.id)


def _keys(loaded: LoadedRewriter, queries: Sequence[Query], asked: Sequence[Query], seed: int) -> list[str]:
    """The key of each question, each query asked equally often."""
    if not loaded.stored:
        return [str(place) for place in range(len(asked))]
    depends_on = getattr(loaded.rewriter, "depends_on", None)
    beside = depends_on(queries) if depends_on else [None] * len(queries)
    samples = len(asked) // max(len(queries), 1)
    return [query_key(loaded, one, seed, beside[place // samples]) for place, one in enumerate(asked)]


def _ask(loaded: LoadedRewriter, store: RewriteStore, questions: Mapping[str, Query]) -> Iterator[tuple[str, Rewrite]]:
    """Each question's key and its answer, stored as it comes."""
    keys = {query.id: key for key, query in questions.items()}
    started = time.perf_counter()
    for rewrite in answers.checked(loaded, {query.id: query for query in questions.values()}):
        key = keys[rewrite.query_id]
        rewrite = dataclasses.replace(rewrite, seconds=time.perf_counter() - started)
        if loaded.stored and not answers.failed(rewrite):
            store.put(loaded.asked_as or loaded.fingerprint, {key: rewrite})
        yield key, rewrite
        started = time.perf_counter()


def _ask_once(
    loaded: LoadedRewriter, store: RewriteStore, questions: Mapping[str, Query]
) -> Iterator[tuple[str, Rewrite]]:
    """The same, for answers that cost money: what another process is asking for is waited for."""
    from grapebench.rewriters.claims import Claims, ask_once

    name = loaded.asked_as or loaded.fingerprint
    with Claims(store.path, getattr(loaded.rewriter, "lease", None)) as claims:
        yield from ask_once(
            claims,
            name,
            list(questions),
            lambda keys: _stored(loaded, store, {key: questions[key] for key in keys}),
            lambda keys: _ask(loaded, store, {key: questions[key] for key in keys}),
        )
