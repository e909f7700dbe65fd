"""Images in an uncompressed tar archive, read in place."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from grapebench.datasets.images.archive import ArchiveFile, Index, Spot, check_size, indexed, spot_of
from grapebench.datasets.images.matching import image_path
from grapebench.datasets.memo import Stamp

_HOPS = 8
"""Links to links that are followed."""


class Tar:
    """A Container. Its members are found by reading one header after the other, then read wherever they lie."""

    by_id = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = ArchiveFile(path)
        self._index = indexed(self._file, "tar", self._scan)

    def entries(self) -> Iterable[str]:
        return self._index

    def stamp(self, entry: str) -> Stamp:
        return self._file.stamp(entry)

    def read(self, entry: str) -> bytes:
        offset, size = spot_of(self._index, entry, self.path)
        check_size(size, entry, self.path)
        return self._file.at(offset, size)

    def _scan(self) -> Index:
        spots: Index = {}
        links: dict[str, str] = {}
        for member in self._members():
            name = posixpath.normpath(member.name)
            # The last of several members of one name is the one that unpacking would leave.
            spots.pop(name, None)
            links.pop(name, None)
            if member.issparse():
                spots[name] = "is stored as a sparse file; unpack the archive"
            elif member.isreg():
                spots[name] = [member.offset_data, member.size]
            elif member.islnk():
                links[name] = posixpath.normpath(member.linkname)
            elif member.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        spots |= {name: _follow(name, spots, links) for name in links}
        return {path: spot for name, spot in spots.items() if (path := image_path(name)) is not None}

    def _members(self) -> Iterator[tarfile.TarInfo]:
        """The members in order. tarfile takes whatever is no header for the end; here it has to be the end."""
        reached = -1
        try:
            with tarfile.open(self.path, "r:") as archive:
                while (member := archive.next()) is not None:
                    if archive.offset <= reached:
                        raise tarfile.ReadError("the members go in a circle")
                    reached = archive.offset
                    yield member
                    archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
                rest = self._file.at(archive.offset, min(tarfile.BLOCKSIZE, self._file.size - archive.offset))
                if rest.strip(b"\0"):
                    raise tarfile.ReadError("no header")
        except Exception as error:  # damaged headers make tarfile raise whatever their bytes come to
            raise self._file.damaged("the tar archive is broken off or damaged") from error


def _follow(name: str, spots: Index, links: dict[str, str]) -> Spot:
    """Where the file lies that a link means."""
    target = name
    for _ in range(_HOPS):
        target = links.get(target, "")
        if target in spots:
            return spots[target]
    return f"is a link to {links[name]!r}, which is not in the archive"
