"""What archives have in common: a file that is read at offsets, and an index of where each image lies in it."""

from __future__ import annotations

import contextlib
import json
import os
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from grapebench.datasets.memo import Stamp, settled
from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256, write_text
from grapebench.paths import cache_dir

LARGEST = 256 * 2**20
"""Bytes of one encoded image, beyond which it is taken for an attack or an accident."""
_SLOW_SECONDS = 0.2
"""An index that took longer to make is remembered."""
_FORMAT = 2
"""Raised when an index of the same file would be another one."""

Spot = list[int] | str
"""Numbers that say where an image lies, in the archive's own order; or why it cannot be read."""
Index = dict[str, Spot]


class ArchiveFile:
    """A file that stays open. Reading is safe from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._handle)
            status = os.fstat(self._handle)
        except OSError as error:
            raise explain_os_error(error, path) from error
        self.size, self._mtime_ns = status.st_size, status.st_mtime_ns
        self.identity = (status.st_dev, status.st_ino)

    def at(self, offset: int, size: int) -> bytes:
        """So many bytes from there. Raises UserError where the file does not hold them."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise self.damaged()
        try:
            data = os.pread(self._handle, size, offset)
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        if len(data) < size:
            raise self.damaged()
        return data

    def stamp(self, entry: str = "") -> Stamp:
        """What the content of an entry is remembered by: the file as it was when it was opened."""
        return Stamp(f"{self.path}#{entry}", self.size, self._mtime_ns)

    def damaged(self, what: str = "the archive is broken off or damaged") -> UserError:
        return UserError(what, file=self.path, fix="fetch it again")


def spot_of(index: Mapping[str, Spot], entry: str, path: Path) -> list[int]:
    """Where an image lies. Raises UserError where it is not there or cannot be read."""
    spot = index.get(entry, "is not there")
    if isinstance(spot, str):
        raise UserError(f"{entry!r} {spot}", file=path)
    return spot


def check_size(size: int, entry: str, path: Path) -> None:
    """Raises UserError for what is too large to be an image."""
    if size > LARGEST:
        most = LARGEST // 2**20
        raise UserError(f"{entry!r} is larger than {most} MiB, which is refused for one image", file=path)


def indexed(file: ArchiveFile, kind: str, build: Callable[[], Index]) -> Index:
    """What `build` finds; remembered in the cache folder, while the file is unchanged, where finding it took long."""
    stamp = file.stamp()
    memo = cache_dir() / "archives" / f"{sha256(stamp.path)[:32]}.json"
    head = [kind, _FORMAT, stamp.size, stamp.mtime_ns]
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(memo.read_bytes())
        if found["of"] == head:
            return {str(name): spot for name, spot in found["index"].items()}
    started = time.perf_counter()
    index = build()
    if time.perf_counter() - started > _SLOW_SECONDS and settled(stamp):
        with contextlib.suppress(UserError):  # it only saves time
            write_text(memo, json.dumps({"of": head, "index": index}))
    return index
