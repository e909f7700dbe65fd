"""Images as text: Chinese-CLIP's `<split>_imgs.tsv`, lines of an id, a tab and the file in base64."""

from __future__ import annotations

import binascii
from collections.abc import Iterable
from pathlib import Path

from grapebench.datasets.images.archive import LARGEST, ArchiveFile, Index, check_size, indexed, spot_of
from grapebench.datasets.memo import Stamp
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.text import without_mark

_LONGEST = LARGEST * 4 // 3 + 1024
_STANDARD = bytes.maketrans(b"-_", b"+/")


def from_base64(text: bytes) -> bytes:
    """What a base64 text stands for, in the standard alphabet or the one for URLs. ValueError where it is broken."""
    return binascii.a2b_base64(text.strip().translate(_STANDARD), strict_mode=True)


class Tsv:
    """A Container of ids. One pass notes where each line's image begins; images are decoded when they are asked for."""

    by_id = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ArchiveFile(path)
        self._index = indexed(self._file, "tsv", self._scan)

    def entries(self) -> Iterable[str]:
        return self._index

    def stamp(self, entry: str) -> Stamp:
        return self._file.stamp(entry)

    def read(self, entry: str) -> bytes:
        offset, size = spot_of(self._index, entry, self.path)
        check_size(size * 3 // 4, entry, self.path)
        try:
            return from_base64(self._file.at(offset, size))
        except ValueError as error:
            what = f"the base64 of image {entry!r} is broken ({error})"
            raise UserError(what, file=self.path, line=self._line(offset), fix="fetch the file again") from error

    def _scan(self) -> Index:
        found: Index = {}
        position = number = 0
        try:
            with self.path.open("rb") as file:
                while line := file.readline(_LONGEST):
                    number += 1
                    if len(line) == _LONGEST:
                        raise UserError("the line is too long for one image", file=self.path, line=number)
                    if content := line.rstrip(b"\r\n"):
                        name, start = self._id(content, number)
                        if (first := found.get(name)) is not None:
                            what = f"image {name!r} occurs twice, first on line {self._line(int(first[0]))}"
                            raise UserError(what, file=self.path, line=number)
                        found[name] = [position + start, len(content) - start]
                    position += len(line)
        except OSError as error:
            raise explain_os_error(error, self.path) from error
        return found

    def _id(self, line: bytes, number: int) -> tuple[str, int]:
        """A line's id, and where its base64 begins."""
        columns = line.count(b"\t") + 1
        if columns != 2:
            what = f"expected an id, a tab and an image in base64, found {columns} columns"
            raise UserError(what, file=self.path, line=number)
        column = line[: line.index(b"\t")]
        try:
            name = (without_mark(column, self.path) if number == 1 else column).decode().strip()
        except UnicodeDecodeError as error:
            raise UserError("the image's id is not UTF-8", file=self.path, line=number) from error
        if not name:
            raise UserError("the image's id is empty", file=self.path, line=number)
        return name, len(column) + 1

    def _line(self, offset: int) -> int:
        """The line on which a byte lies; only errors ask for it."""
        line, step = 1, 2**20
        for start in range(0, offset, step):
            line += self._file.at(start, min(step, offset - start)).count(b"\n")
        return line
