"""Opening the rewrite store's file, which processes share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

WAIT = 60.0
"""Seconds that one process waits for another to finish writing."""


def connect(path: Path, tables: Sequence[str]) -> sqlite3.Connection:
    """A connection in write-ahead mode, `tables` (statements) made where they are not there. Raises sqlite3.Error."""
    end = time.monotonic() + WAIT
    while True:
        connection = sqlite3.connect(path, timeout=WAIT)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # Safe against a killed process, though the last answers may go with the power; ten times the speed.
            connection.execute("PRAGMA synchronous = NORMAL")
            for table in tables:
                connection.execute(table)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            # Of two processes that begin a file at once, SQLite turns one away without waiting.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.02)
        except BaseException:
            connection.close()
            raise
