"""The rewrite store: every answer that cost something, kept in one SQLite file that processes share."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.paths import data_dir
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter, output

_TABLE = """CREATE TABLE IF NOT EXISTS rewrites
 (fingerprint TEXT NOT NULL, key TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (fingerprint, key)) WITHOUT ROWID"""
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

    def lookup(self, fingerprint: str, keys: Sequence[str]) -> dict[str, Rewrite]:
        """The stored answers by key, their query ids empty. An unreadable row counts as absent."""
        return self._robustly(lambda connection: dict(_read(connection, fingerprint, keys)))

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
            self._connection = _connect(self.path)
        return self._connection

    def _set_aside(self) -> None:
        # Another process may have begun anew meanwhile: what reads well now stays.
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(_connect(self.path)) as connection:
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


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Safe against a killed process, though the last answers may go with the power; ten times the speed.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_broken(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _read(connection: sqlite3.Connection, fingerprint: str, keys: Sequence[str]) -> Iterator[tuple[str, Rewrite]]:
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        marks = ",".join("?" * len(some))
        rows = connection.execute(
            f"SELECT key, answer FROM rewrites WHERE fingerprint = ? AND key IN ({marks})", (fingerprint, *some)
        )
        for key, answer in rows:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                yield key, _decode(answer)


def _encode(rewrite: Rewrite) -> str:
    fields = dataclasses.asdict(rewrite)
    del fields["query_id"]
    return json.dumps({name: value for name, value in fields.items() if value not in (None, 0, (), [], {})})


def _decode(answer: str) -> Rewrite:
    fields = json.loads(answer)
    for name in ("texts", "images", "weights"):
        fields[name] = tuple(fields.get(name, ()))
    return Rewrite(query_id="", **fields)


def query_key(loaded: LoadedRewriter, query: Query, seed: int) -> str:
    """Hash of everything but the rewriter that determines its answer to one query.

    A greedy rewriter answers equal texts equally; for a sampled one (or one that is not known) the whole query and
    the seed count.
    """
    if loaded.sampled:
        return sha256_json([dataclasses.asdict(query), seed])
    return sha256_json([query.text, query.language, query.reference, query.reference_caption])


def rewrite_all(
    loaded: LoadedRewriter,
    queries: Sequence[Query],
    store: RewriteStore,
    seed: int,
    progress: Progress | None = None,
) -> list[Rewrite]:
    """One rewrite for each query, in their order.

    Only what is not stored is asked for, equal questions once; each answer is stored as it comes, so that after a
    kill or an error the same call goes on from there. A query without an answer gets its own text, with fallback
    'missing'. Raises UserError where the rewriter fails or its answers do not fit the queries.
    """
    keys = [query_key(loaded, query, seed) if loaded.stored else str(place) for place, query in enumerate(queries)]
    answers = store.lookup(loaded.fingerprint, list(dict.fromkeys(keys))) if loaded.stored else {}
    waiting: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        if key not in answers:
            waiting.setdefault(key, []).append(place)
    done = len(queries) - sum(map(len, waiting.values()))
    if progress:
        progress(done, len(queries))
    asked = {queries[places[0]].id: key for key, places in waiting.items()}
    by_id = {queries[places[0]].id: queries[places[0]] for places in waiting.values()}
    for rewrite in _answers(loaded, by_id) if by_id else ():
        key = asked[rewrite.query_id]
        answers[key] = rewrite
        if loaded.stored:
            store.put(loaded.fingerprint, {key: rewrite})
        done += len(waiting[key])
        if progress:
            progress(done, len(queries))
    return [
        dataclasses.replace(answers[key], query_id=query.id) if key in answers else output.missing(query)
        for key, query in zip(keys, queries, strict=True)
    ]


def _answers(loaded: LoadedRewriter, queries: Mapping[str, Query]) -> Iterator[Rewrite]:
    """The rewriter's answers, checked one by one."""
    seen: set[str] = set()
    try:
        for answer in loaded.rewriter.rewrite(list(queries.values())):
            yield _checked(loaded.name, answer, queries, seen)
    except UserError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        file, line = _place(error, loaded) or (None, None)
        raise UserError(
            f"rewriter {loaded.name!r} failed after {len(seen)} of {len(queries)} queries: {said}", file=file, line=line
        ) from error


def _checked(name: str, answer: object, queries: Mapping[str, Query], seen: set[str]) -> Rewrite:
    """One answer as it may be stored. Raises UserError where it fits no query or no shape."""
    if not isinstance(answer, Rewrite):
        raise UserError(f"rewriter {name!r} gave a {type(answer).__name__}", fix="yield grapebench.records.Rewrite")
    query = queries.get(answer.query_id)
    if query is None:
        raise UserError(f"rewriter {name!r} answered a query it was not asked: {answer.query_id!r}")
    if query.id in seen:
        raise UserError(f"rewriter {name!r} answered query {query.id!r} twice")
    for field in ("texts", "images"):
        value = getattr(answer, field)
        if not isinstance(value, tuple) or not all(isinstance(part, str) for part in value):
            raise UserError(f"rewriter {name!r}, query {query.id!r}: {field} must be a tuple of str, not {value!r}")
    parts = len(answer.texts) + len(answer.images)
    if answer.weights and len(answer.weights) != parts:
        raise UserError(
            f"rewriter {name!r}, query {query.id!r}: {len(answer.weights)} weights for {parts} texts and images"
        )
    seen.add(query.id)
    if not answer.images and not any(text.strip() for text in answer.texts):
        reason = answer.fallback or "empty"
        return dataclasses.replace(answer, texts=(query.text,), weights=(), fallback=reason)
    return answer


def _place(error: Exception, loaded: LoadedRewriter) -> tuple[str, int] | None:
    """File and line of the rewriter's own code that an error passed through last."""
    own = getattr(sys.modules.get(type(loaded.rewriter).__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return (own, lines[-1] or 1) if own and lines else None
