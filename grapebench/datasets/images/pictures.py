"""The images of a dataset, wherever they lie."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grapebench.datasets.images.containers import Container, open_container
from grapebench.datasets.images.folder import Folder
from grapebench.datasets.images.matching import Match, match
from grapebench.datasets.memo import HashMemo, Stamp
from grapebench.errors import UserError


class Pictures:
    """An ImageSource over a folder or an archive. Nothing is opened before an image is asked for.

    `wanted` gives for each image id the path that annotation files, or usage, give the image. Reading is safe from
    several threads.
    """

    def __init__(self, path: Path, wanted: Mapping[str, str]) -> None:
        self.path = path.expanduser().absolute()
        self._wanted = wanted
        self._lock = threading.Lock()
        self._opened: tuple[Container, Match] | None = None

    def read(self, image_id: str) -> bytes:
        """The encoded file of one image. Raises UserError, naming it, where it is missing or unreadable."""
        container, entry = self._find(image_id)
        return container.read(entry)

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        """Those of the ids that have no image, in the order given.

        Raises UserError where two files could be one image, or one file two, and where nothing can be read at all.
        """
        _, found = self._open()
        absent = []
        for image in image_ids:
            if image not in found.found:
                if image in found.doubts:
                    raise self._doubt(found.doubts[image])
                absent.append(image)
        return absent

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        """Hex SHA-256 of each image's encoded bytes; one whose file or archive is unchanged is not read again."""
        stamps = [self._stamp(image) for image in image_ids]
        memo = HashMemo()
        known = memo.get(stamps)
        # Two ids may share a file: it is read once.
        named = zip(stamps, image_ids, strict=True)
        fresh = {stamp: image for stamp, image in named if stamp.path not in known}
        if fresh:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                hashes = list(pool.map(lambda image: hashlib.sha256(self.read(image)).hexdigest(), fresh.values()))
            made = dict(zip(fresh, hashes, strict=True))
            known |= {stamp.path: digest for stamp, digest in made.items()}
            memo.put(made)
        return [known[stamp.path] for stamp in stamps]

    def _stamp(self, image_id: str) -> Stamp:
        container, entry = self._find(image_id)
        return container.stamp(entry)

    def _find(self, image_id: str) -> tuple[Container, str]:
        container, found = self._open()
        entry = found.found.get(image_id)
        if entry is not None:
            return container, entry
        if image_id in found.doubts:
            raise self._doubt(found.doubts[image_id])
        if image_id not in self._wanted:
            raise UserError(f"there is no image {image_id!r} in this collection")
        raise UserError(f"image {image_id!r} is missing", file=self.path)

    def _doubt(self, what: str) -> UserError:
        return UserError(
            what, file=self.path, fix="take the wrong one away, or name the folder that holds the right ones"
        )

    def _open(self) -> tuple[Container, Match]:
        """The container and what was found in it, by the first thread that asks."""
        with self._lock:
            if self._opened is None:
                container = open_container(self.path)
                entries = list(container.entries())
                if not entries and isinstance(container, Folder) and container.archives:
                    raise self._packed(container.archives)
                self._opened = container, match(self._wanted, entries, by_id=container.by_id)
            return self._opened

    def _packed(self, archives: list[str]) -> UserError:
        shown = ", ".join(archives[:3]) + (", …" if len(archives) > 3 else "")
        fix = "name the archive instead of the folder"
        return UserError(f"there are archives here and no images: {shown}", file=self.path, fix=fix)
