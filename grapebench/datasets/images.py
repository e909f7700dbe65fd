"""Images as files in folders, and a memo of their content hashes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from grapebench.datasets.memo import HashMemo, Stamp
from grapebench.errors import UserError
from grapebench.files import explain_os_error

EXTENSIONS = (".jpg", ".jpeg", ".png")


class Folder:
    """An ImageSource of files; a file that is not there is looked for under the other usual extensions too."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = {image: _absolute(os.fspath(path)) for image, path in paths.items()}

    def path(self, image_id: str) -> Path:
        """The file of an image, existing or (where there is none under any extension) as it was named."""
        candidates = list(_spellings(self._named(image_id)))
        return Path(next((path for path in candidates if os.path.exists(path)), candidates[0]))

    def read(self, image_id: str) -> bytes:
        """The encoded file of one image. Raises UserError, naming the file, where it is missing or unreadable."""
        return _read(self._named(image_id), image_id)

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        """Those of the ids that have no file, in the order given. Lists each folder once instead of asking per file."""
        listings: dict[str, frozenset[str]] = {}
        found = []
        for image in image_ids:
            folder, name = os.path.split(self._paths.get(image, ""))
            if folder not in listings:
                listings[folder] = _listing(folder)
            names = listings[folder]
            if name not in names and not any(spelling in names for spelling in _spellings(name)):
                found.append(image)
        return found

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        """Hex SHA-256 of each image's encoded bytes; a file of unchanged path, size and time is not read again."""
        stamps = [_stamp(self._named(image), image) for image in image_ids]
        memo = HashMemo()
        known = memo.get(stamps)
        # Two ids may share a file: it is read once.
        named = zip(stamps, image_ids, strict=True)
        fresh = {stamp.path: (stamp, image) for stamp, image in named if stamp.path not in known}
        if fresh:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                hashes = pool.map(lambda path: hashlib.sha256(_read(path, fresh[path][1])).hexdigest(), fresh)
                known |= dict(zip(fresh, hashes, strict=True))
            memo.put({stamp: known[path] for path, (stamp, _) in fresh.items()})
        return [known[stamp.path] for stamp in stamps]

    def _named(self, image_id: str) -> str:
        if image_id not in self._paths:
            raise UserError(f"there is no image {image_id!r} in this collection")
        return self._paths[image_id]


def _absolute(path: str) -> str:
    return path if path.startswith(os.sep) else os.path.abspath(path)


def _spellings(path: str) -> Iterator[str]:
    """The path itself, then with the other extensions."""
    yield path
    stem, extension = os.path.splitext(path)
    if extension.lower() in EXTENSIONS:
        for other in EXTENSIONS:
            if other != extension:
                yield stem + other


def _listing(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder or os.curdir))
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise explain_os_error(error, folder) from error


def _missing(path: str, image_id: str) -> UserError:
    return UserError(f"image {image_id!r} is missing", file=path)


def _read(path: str, image_id: str) -> bytes:
    for spelling in _spellings(path):
        try:
            with open(spelling, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise explain_os_error(error, spelling) from error
    raise _missing(path, image_id)


def _stamp(path: str, image_id: str) -> Stamp:
    for spelling in _spellings(path):
        try:
            status = os.stat(spelling)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise explain_os_error(error, spelling) from error
        return Stamp(spelling, status.st_size, status.st_mtime_ns)
    raise _missing(path, image_id)
