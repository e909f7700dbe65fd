"""Images as files in a folder and all folders in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from grapebench.datasets.images.archive import check_size
from grapebench.datasets.images.matching import is_image
from grapebench.datasets.memo import Stamp
from grapebench.files import explain_os_error

ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", "imgs.tsv", "data.mdb")


class Folder:
    """A Container of files. Links are followed, each folder is looked into once; hidden files are passed over."""

    by_id = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archives: list[str] = []
        """Archives that were seen among the files."""

    def entries(self) -> Iterator[str]:
        """Paths of the images, relative, in a fixed order."""
        self.archives.clear()
        seen: set[tuple[int, int]] = set()
        waiting, linked = [""], list[str]()
        # Folders that are links come last: one that leads to a folder in here then changes nothing.
        while waiting or linked:
            folder = (waiting or linked).pop(0)
            for entry in self._list(folder, seen):
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                name = f"{folder}/{entry.name}" if folder else entry.name
                if _is(entry, os.DirEntry.is_dir):
                    (linked if entry.is_symlink() else waiting).append(name)
                elif is_image(entry.name):
                    if _is(entry, os.DirEntry.is_file):
                        yield name
                elif entry.name.lower().endswith(ARCHIVES):
                    self.archives.append(name)

    def read(self, entry: str) -> bytes:
        path = self._file(entry)
        try:
            with open(path, "rb") as file:
                check_size(os.fstat(file.fileno()).st_size, entry, self.path)
                return file.read()
        except OSError as error:
            raise explain_os_error(error, path) from error

    def stamp(self, entry: str) -> Stamp:
        path = self._file(entry)
        try:
            status = os.stat(path)
        except OSError as error:
            raise explain_os_error(error, path) from error
        return Stamp(path, status.st_size, status.st_mtime_ns)

    def _file(self, entry: str) -> str:
        return os.path.join(self.path, entry) if entry else str(self.path)

    def _list(self, folder: str, seen: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
        path = self._file(folder)
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                return []
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as found:
                return sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            sentence = explain_os_error(error, path)
            if not folder:
                raise sentence from error
            print(f"warning: {sentence}; images in it are not seen", file=sys.stderr)
            return []


def _is(entry: os.DirEntry[str], kind: Callable[[os.DirEntry[str]], bool]) -> bool:
    """False for a link that leads nowhere or in a circle."""
    try:
        return kind(entry)
    except OSError:
        return False
