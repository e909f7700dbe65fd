"""Claims: of several processes that want the same answer of a model that costs money, one asks and the others wait.

A claim stands in the rewrite store's own file while an answer is asked for. It falls to the next process when its
holder is gone: no such process any more on this machine, or no sign of life for longer than a request can take.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from grapebench.errors import UserError
from grapebench.rewriters.database import connect

POLL = 0.5
"""Seconds between two looks for an answer that another process is asking for."""
LEASE = 600.0
"""Seconds without a sign of life after which a claim falls, where the rewriter says nothing of it."""
_TABLES = (
    """CREATE TABLE IF NOT EXISTS claims (fingerprint TEXT NOT NULL, key TEXT NOT NULL, holder TEXT NOT NULL,
     PRIMARY KEY (fingerprint, key)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS holders (holder TEXT NOT NULL PRIMARY KEY, machine TEXT NOT NULL,
     pid INTEGER NOT NULL, until REAL NOT NULL) WITHOUT ROWID""",
)
_T = TypeVar("_T")


class Claims:
    """The claims that one run holds; leaving the `with` block gives them back."""

    def __init__(self, path: Path, lease: float | None = None) -> None:
        """`path` is the rewrite store's file, `lease` the longest silence in seconds between two answers."""
        self.path, self.lease = path, LEASE if lease is None else lease
        self._holder = uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None

    def take(self, fingerprint: str, keys: Sequence[str]) -> list[str]:
        """Claim what nobody else holds; returns those of the keys that are now ours."""

        def work(connection: sqlite3.Connection) -> list[str]:
            self._sign(connection)
            self._drop_fallen(connection)
            rows = [(fingerprint, key, self._holder) for key in keys]
            connection.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?, ?)", rows)
            held = "SELECT key FROM claims WHERE fingerprint = ? AND holder = ?"
            ours = {key for (key,) in connection.execute(held, (fingerprint, self._holder))}
            return [key for key in keys if key in ours]

        return self._transaction(work)

    def of_others(self, fingerprint: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that somebody else holds at this moment; nothing is claimed."""

        def work(connection: sqlite3.Connection) -> set[str]:
            self._drop_fallen(connection)
            held = "SELECT key FROM claims WHERE fingerprint = ? AND holder != ?"
            return {key for (key,) in connection.execute(held, (fingerprint, self._holder))}.intersection(keys)

        return self._transaction(work)

    def release(self, fingerprint: str, keys: Sequence[str]) -> None:
        """Give claims back, which is a sign of life as well."""
        rows = [(fingerprint, key, self._holder) for key in keys]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM claims WHERE fingerprint = ? AND key = ? AND holder = ?", rows)
            self._sign(connection)

        self._transaction(work)

    def close(self) -> None:
        if self._connection is not None:
            self._transaction(lambda connection: _forget(connection, self._holder))
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop_fallen(self, connection: sqlite3.Connection) -> None:
        """Take away the claims of others that are gone."""
        now, machine = time.time(), _machine()
        others = "SELECT holder, machine, pid, until FROM holders WHERE holder != ?"
        for holder, where, pid, until in connection.execute(others, (self._holder,)).fetchall():
            if until < now or (where == machine and not _runs(pid)):
                connection.execute("DELETE FROM holders WHERE holder = ?", (holder,))
        connection.execute("DELETE FROM claims WHERE holder NOT IN (SELECT holder FROM holders)")

    def _sign(self, connection: sqlite3.Connection) -> None:
        row = (self._holder, _machine(), os.getpid(), time.time() + self.lease)
        connection.execute("INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?)", row)

    def _transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            if self._connection is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = connect(self.path, _TABLES)
            # Immediate: of two processes that look at the same time, the second sees what the first has claimed.
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                return work(self._connection)
        except sqlite3.Error as error:
            raise UserError(f"the rewrite store cannot be used: {error}", file=self.path) from error


def ask_once(
    claims: Claims,
    fingerprint: str,
    keys: Sequence[str],
    lookup: Callable[[Sequence[str]], Mapping[str, _T]],
    ask: Callable[[Sequence[str]], Iterable[tuple[str, _T]]],
) -> Iterator[tuple[str, _T]]:
    """An answer for each key, from `ask` where nobody else is asking for it, else from `lookup` once it is stored.

    `ask` gives (key, answer) as they come; the caller must have stored an answer when it asks for the next one. What
    `ask` leaves out stays out. What another process gave up is asked for here.
    """
    left, told = dict.fromkeys(keys), False
    while left:
        ours = claims.take(fingerprint, list(left))
        # Looked up after claiming: what was stored just before is found, what was not is ours alone.
        found = lookup(list(left))
        for key, answer in found.items():
            del left[key]
            yield key, answer
        mine = [key for key in ours if key in left]
        for key in mine:
            del left[key]
        for key, answer in ask(mine) if mine else ():
            yield key, answer
            claims.release(fingerprint, [key])
        if ours:
            claims.release(fingerprint, ours)
        elif left:
            if not told:
                print(f"waiting for {len(left):,} answers that another process is asking for", file=sys.stderr)
                told = True
            time.sleep(POLL)


def _forget(connection: sqlite3.Connection, holder: str) -> None:
    connection.execute("DELETE FROM claims WHERE holder = ?", (holder,))
    connection.execute("DELETE FROM holders WHERE holder = ?", (holder,))


def _machine() -> str:
    """Names the space in which process numbers mean the same: the machine, and on Linux its container."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}"


def _runs(pid: int) -> bool:
    if os.name != "posix":
        return True  # there is no harmless question; the lease decides
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
