"""Finished runs: one JSON object a line, appended whole, never made again."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import IO, Any

from grapebench import files
from grapebench.errors import UserError

RUNS = "runs.jsonl"


def read(out: Path) -> dict[str, dict[str, Any]]:
    """The records by key, empty where there are none yet. A last line without its end is no record."""
    try:
        data = (out / RUNS).read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise files.explain_os_error(error, out / RUNS) from error
    found = {}
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            continue
        try:
            record = json.loads(line)
            found[record["key"]] = record
        except (ValueError, KeyError, TypeError) as error:
            raise UserError("is no finished run", file=out / RUNS, line=number, fix="remove the line") from error
    return found


def _lock(file: IO[bytes]) -> None:
    """Until it is closed; on Windows one process alone may write."""
    with contextlib.suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def append(out: Path, record: dict[str, Any]) -> None:
    """Add a record in one write; what a killed process left of one before is cut off first."""
    path = out / RUNS
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    try:
        with path.open("a+b") as file:
            _lock(file)
            file.seek(0)
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise files.explain_os_error(error, path) from error
