"""What images lie in, recognised by its content rather than by its name."""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from grapebench.datasets.images.folder import Folder
from grapebench.datasets.images.lmdb_store import Lmdb
from grapebench.datasets.images.tar_archive import Tar
from grapebench.datasets.images.tsv import Tsv, from_base64
from grapebench.datasets.images.zip_archive import Zip
from grapebench.datasets.memo import Stamp
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.text import without_mark

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_LMDB_MAGIC, _LMDB_AT = b"\xde\xc0\xef\xbe", 16
_LMDB_FILES = ("data.mdb", "imgs/data.mdb")
_HEAD = 4096


class Container(Protocol):
    """Encoded images by entry. Reading is safe from several threads."""

    path: Path
    """Absolute."""
    by_id: bool
    """Whether entries are ids instead of relative paths."""

    def entries(self) -> Iterable[str]:
        """Every image in it. Raises UserError where the archive is broken."""

    def read(self, entry: str) -> bytes:
        """The encoded file of one image. Raises UserError, naming it, where it cannot be read or is absurdly large."""

    def stamp(self, entry: str) -> Stamp:
        """What changes when the image does."""


def open_container(path: Path) -> Container:
    """The folder or archive at `path`. Raises UserError where it is none that can be read in place."""
    path = path.expanduser().absolute()
    if path.is_dir():
        found = [path / name for name in _LMDB_FILES if (path / name).is_file()]
        return Lmdb(found[0]) if found else Folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise UserError("there is no such folder or archive of images", file=path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error
    if not head:
        raise UserError("the file is empty, where a folder or an archive of images is needed", file=path)
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            raise _compressed(path, name)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return Zip(path)
    if head[_LMDB_AT:].startswith(_LMDB_MAGIC):
        return Lmdb(path)
    if _is_tar(head):
        return Tar(path)
    if _is_tsv(head):
        return Tsv(path)
    without_mark(head, path)
    known = "a folder, a zip or tar archive, a TSV of ids and base64, or an LMDB"
    raise UserError("images cannot be read from this file", file=path, fix=f"name {known}")


def holds_ids(path: Path) -> bool:
    """Whether images lie there by id, as in a TSV or an LMDB; False for whatever else is there, or nothing."""
    if path.is_dir():
        return any((path / name).is_file() for name in _LMDB_FILES)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head[_LMDB_AT:].startswith(_LMDB_MAGIC) or (
        not head.startswith(b"PK") and not _is_tar(head) and _is_tsv(head)
    )


def _compressed(path: Path, by: str) -> UserError:
    """Compressed as a whole it cannot be read from the middle."""
    what = f"the archive is compressed with {by} and cannot be read in place"
    if ".tsv" in path.suffixes:
        tool = {"gzip": "gunzip -k", "bzip2": "bunzip2 -k", "xz": "unxz -k", "zstd": "unzstd"}[by]
        return UserError(what, file=path, fix=f"unpack it with: {tool} {shlex.quote(str(path))}")
    folder = path.with_name(path.name.partition(".")[0] + "-unpacked")
    into = shlex.quote(str(folder))
    command = f"mkdir {into} && tar -xf {shlex.quote(str(path))} -C {into}"
    return UserError(what, file=path, fix=f"unpack it with: {command}, and name that folder")


def _is_tar(head: bytes) -> bool:
    """By its first header's checksum; a tar without members is zeros."""
    block = head[: tarfile.BLOCKSIZE]
    if len(block) == tarfile.BLOCKSIZE and not block.strip(b"\0"):
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return block[257:262] == b"ustar"
    return True


def _is_tsv(head: bytes) -> bool:
    """Whether the first line is an id, a tab and base64."""
    line, end, _ = head.partition(b"\n")
    name, tab, text = line.rstrip(b"\r").partition(b"\t")
    try:
        name.decode()
        # A line that goes on beyond the head: of its base64, as many whole groups as there are.
        return bool(name and tab and from_base64(text if end else text[: len(text) // 4 * 4]))
    except ValueError:
        return False
