"""Content hashes of files, remembered across runs and shared by processes."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from grapebench.datasets.formats import encodable
from grapebench.paths import cache_dir

T = TypeVar("T")
# What SQLite calls a file that is not a database, a damaged one, and one with other columns.
UNREADABLE = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR")
BATCH = 500
# A file changed twice within a clock tick keeps its stamp; one that old cannot be changed within the same tick again.
SETTLED_NS = 2_000_000_000
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,"
    " sha256 TEXT NOT NULL) WITHOUT ROWID"
)


class Stamp(NamedTuple):
    """What tells that a file is still the one that was hashed."""

    path: str
    """Absolute."""
    size: int
    mtime_ns: int


def settled(stamp: Stamp) -> bool:
    """Whether the file was changed long enough ago for its stamp to tell the next change."""
    return stamp.mtime_ns < time.time_ns() - SETTLED_NS


class HashMemo:
    """SHA-256 by stamp, in one SQLite file under the cache folder.

    It only saves time: where it cannot be read it is rebuilt, where it cannot be written nothing is remembered, each
    with a warning on stderr. Paths that are not Unicode are not remembered.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_dir() / "file-hashes.sqlite"

    def get(self, stamps: Iterable[Stamp]) -> dict[str, str]:
        """Path to hash of those files that are known and unchanged."""
        wanted = {stamp.path: stamp for stamp in stamps if encodable(stamp.path)}
        if not wanted or not self._path.exists():
            return {}

        def look(database: sqlite3.Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            paths = list(wanted)
            for start in range(0, len(paths), BATCH):
                batch = paths[start : start + BATCH]
                marks = ",".join("?" * len(batch))
                query = f"SELECT path, size, mtime_ns, sha256 FROM files WHERE path IN ({marks})"
                for row in database.execute(query, batch):
                    if wanted[row[0]] == row[:3]:
                        found[row[0]] = row[3]
            return found

        return self._attempt(look) or {}

    def put(self, hashes: Mapping[Stamp, str]) -> None:
        """Remember hashes, in one transaction."""
        rows = [(*stamp, digest) for stamp, digest in hashes.items() if settled(stamp) and encodable(stamp.path)]
        if rows:
            self._attempt(lambda database: database.executemany("REPLACE INTO files VALUES (?, ?, ?, ?)", rows))

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `work` returns; None, with a warning, where the memo cannot be used."""
        try:
            try:
                return self._with_database(work)
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") not in UNREADABLE:
                    raise
                self._warn(f"unreadable and is rebuilt ({error})")
            # A journal left beside the old file would be played back into the new one.
            for suffix in ("-journal", ""):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            return self._with_database(work)
        except (sqlite3.Error, OSError) as error:
            self._warn(f"not used ({error})")
            return None

    def _with_database(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as database, database:
            database.execute(SCHEMA)
            return work(database)

    def _warn(self, what: str) -> None:
        print(f"warning: {self._path}: the memo of file hashes is {what}", file=sys.stderr)
