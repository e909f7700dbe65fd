"""Images in Chinese-CLIP's LMDB `imgs`: from an image's id to its file in base64."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grapebench.datasets.images.archive import ArchiveFile, check_size
from grapebench.datasets.images.tsv import from_base64
from grapebench.datasets.memo import Stamp
from grapebench.errors import UserError, missing_extra

_COUNT = b"num_images"
# LMDB refuses to open a file twice in one process.
_opened: weakref.WeakValueDictionary[tuple[int, int], Any] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class Lmdb:
    """A Container of ids. Nothing is written beside the file, so that it may lie on a read-only disk."""

    by_id = True

    def __init__(self, path: Path) -> None:
        """`path` is the data file, usually `imgs/data.mdb`."""
        self.path = path
        self._file = ArchiveFile(path)
        try:
            import lmdb
        except ImportError as error:
            raise missing_extra("lmdb", "lmdb") from error
        self._error = lmdb.Error
        try:
            with _lock:
                self._store = _opened.get(self._file.identity) or lmdb.open(
                    str(path), subdir=False, readonly=True, lock=False, readahead=False, create=False
                )
                _opened[self._file.identity] = self._store
            pages, size = self._store.info()["last_pgno"] + 1, self._store.stat()["psize"]
        except lmdb.Error as error:
            raise self._damaged() from error
        # Pages past the end of the file would end the process.
        if pages * size > self._file.size:
            raise self._damaged()

    def entries(self) -> Iterable[str]:
        try:
            with self._store.begin() as transaction:
                keys = [key for key in transaction.cursor().iternext(values=False) if key != _COUNT]
            return [key.decode() for key in keys]
        except self._error as error:
            raise self._damaged() from error
        except UnicodeDecodeError as error:
            raise UserError("an image's id is not UTF-8", file=self.path) from error

    def stamp(self, entry: str) -> Stamp:
        return self._file.stamp(entry)

    def read(self, entry: str) -> bytes:
        try:
            with self._store.begin(buffers=True) as transaction:
                text = transaction.get(entry.encode())
                if text is None:
                    raise UserError(f"{entry!r} is not there", file=self.path)
                check_size(len(text) * 3 // 4, entry, self.path)
                return from_base64(bytes(text))
        except self._error as error:
            raise self._damaged() from error
        except ValueError as error:
            what = f"the base64 of image {entry!r} is broken ({error})"
            raise UserError(what, file=self.path, fix="fetch the file again") from error

    def _damaged(self) -> UserError:
        return self._file.damaged("the LMDB is broken off or damaged")
