"""Images in a zip archive, read in place."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from grapebench.datasets.images.archive import ArchiveFile, Index, check_size, indexed, spot_of
from grapebench.datasets.images.matching import image_path
from grapebench.datasets.memo import Stamp
from grapebench.errors import UserError

_HEADER = 30
_UTF_8 = 0x800
_ENCRYPTED = 0x1
_LINK = 0o120000
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard"}
# Encoded images hardly shrink. What expands as no image of that size does is a bomb, whatever it is called.
_RATIO, _RATIO_FROM = 200, 16 * 2**20


class Zip:
    """A Container. zipfile reads the directory; images are read here, so that threads do not wait for each other."""

    by_id = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ArchiveFile(path)
        self._index = indexed(self._file, "zip", self._scan)

    def entries(self) -> Iterable[str]:
        return self._index

    def stamp(self, entry: str) -> Stamp:
        return self._file.stamp(entry)

    def read(self, entry: str) -> bytes:
        offset, packed, size, method, checksum = spot_of(self._index, entry, self.path)
        check_size(max(packed, size), entry, self.path)
        if size > max(_RATIO_FROM, _RATIO * packed):
            what = f"{entry!r} grows from {packed:,} to {size:,} bytes when it is unpacked, which no image does"
            raise UserError(what, file=self.path)
        header = self._file.at(offset, _HEADER)
        if not header.startswith(b"PK\3\4"):
            raise self._damaged(entry)
        names, extra = struct.unpack("<HH", header[26:])
        data = self._file.at(offset + _HEADER + names + extra, packed)
        if method == zipfile.ZIP_DEFLATED:
            try:
                # One byte more than is promised tells a header that lies.
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size + 1)
            except zlib.error as error:
                raise self._damaged(entry) from error
        if len(data) != size or zlib.crc32(data) != checksum:
            raise self._damaged(entry)
        return data

    def _damaged(self, entry: str) -> UserError:
        return self._file.damaged(f"{entry!r} is damaged in the archive")

    def _scan(self) -> Index:
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except Exception as error:  # a damaged directory makes zipfile raise whatever its bytes come to
            raise self._file.damaged("the zip archive is broken off or damaged") from error
        found: Index = {}
        for member in members:
            name = image_path(_name(member))
            if name is None or member.is_dir() or (member.external_attr >> 16) & 0o170000 == _LINK:
                continue
            if member.flag_bits & _ENCRYPTED:
                found[name] = "is encrypted; unpack the archive with its password and name the folder"
            elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
                found[name] = f"is compressed with {method}, which is not read in place; unpack the archive"
            else:
                sizes = [member.compress_size, member.file_size]
                found[name] = [member.header_offset, *sizes, member.compress_type, member.CRC]
        return found


def _name(member: zipfile.ZipInfo) -> str:
    """A member's name. Many archives, those of macOS among them, hold UTF-8 without saying so, and zipfile then reads
    the code page of MS-DOS, which hardly any text in UTF-8 is meant in."""
    if member.flag_bits & _UTF_8 or member.filename.isascii():
        return member.filename
    try:
        return member.filename.encode("cp437").decode()
    except UnicodeError:
        return member.filename
