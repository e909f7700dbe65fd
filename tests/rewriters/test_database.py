from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from grapebench.rewriters import database
from grapebench.rewriters.database import connect

TABLE = "CREATE TABLE IF NOT EXISTS things (name TEXT PRIMARY KEY)"
plain = sqlite3.connect


def turned_away(times: int, code: int) -> Any:
    """sqlite3.connect whose first connections fail at their first statement."""
    left = [times]

    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            if left[0]:
                left[0] -= 1
                error = sqlite3.OperationalError("no")
                error.sqlite_errorcode = code
                raise error
            return super().execute(*arguments)

    return lambda path, timeout: plain(path, timeout=timeout, factory=Connection)


def test_one_that_is_turned_away_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", turned_away(3, sqlite3.SQLITE_BUSY))
    with contextlib.closing(connect(tmp_path / "x.sqlite", [TABLE])) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)


def test_it_does_not_try_for_ever_nor_what_is_hopeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT", 0.1)
    for code, least in ((sqlite3.SQLITE_BUSY, 0.1), (sqlite3.SQLITE_CANTOPEN, 0)):
        monkeypatch.setattr(sqlite3, "connect", turned_away(10**6, code))
        started = time.monotonic()
        with pytest.raises(sqlite3.OperationalError, match="no"):
            connect(tmp_path / "x.sqlite", [TABLE])
        assert time.monotonic() - started >= least


def _begin(path: Path, together: Any) -> None:
    together.wait(30)
    connect(path, [TABLE]).close()


def test_processes_that_begin_a_file_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(10):
        together = context.Barrier(4)
        path = tmp_path / f"{number}.sqlite"
        processes = [context.Process(target=_begin, args=(path, together)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0] * 4
