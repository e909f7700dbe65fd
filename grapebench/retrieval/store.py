"""The embedding store: vectors on disk by what they were made from, so that nothing is encoded twice.

A vector is found by the retriever's fingerprint, the kind of input and the SHA-256 of its content. On disk a shard is
a folder with the sorted keys and the vectors, written under another name and then renamed: it is there as a whole
or not at all, whatever kills the process. Processes may write side by side; who writes the same keys writes the
same values.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from grapebench.files import atomic_folder, sha256
from grapebench.paths import cache_dir

_MANY = 64
"""With more shards than this, the small ones are joined."""
_SMALL = 16_384
"""Rows below which a shard is small."""
_STALE_SECONDS = 3600
"""After this long an unfinished shard was left behind by a killed process."""
_ATTEMPTS = 20


class _Unreadable(Exception):
    """A shard that is broken."""


class EmbeddingStore:
    """Unit vectors, float32, in shards under a folder (by default in the cache directory)."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir() / "embeddings"

    def get(self, fingerprint: str, kind: str, keys: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors `(keys, dimension)` and the positions `(missing,)` of those keys that are not stored.

        `keys` are hex SHA-256. Missing rows are zero; the dimension is 0 where nothing is stored at all. An
        unreadable shard is taken away with a warning on stderr, and its keys are missing.
        """
        place = self._place(fingerprint, kind)
        wanted = _digests(keys)
        for _ in range(_ATTEMPTS):
            try:
                return _look_up(place, wanted)
            except FileNotFoundError:
                continue  # another process joined shards while this one was reading; the joined one is there
        return np.zeros((len(keys), 0), np.float32), np.arange(len(keys))

    def add(self, fingerprint: str, kind: str, keys: Sequence[str], vectors: np.ndarray) -> None:
        """Store vectors `(keys, dimension)`. Raises UserError where the disk is full or may not be written."""
        if len(keys) != len(vectors):
            raise ValueError(f"{len(keys)} keys for {len(vectors)} vectors")
        if not len(keys):
            return
        place = self._place(fingerprint, kind)
        digests, first = np.unique(_digests(keys), return_index=True)
        with _shard(place, digests) as folder:
            np.save(folder / "vectors.npy", np.ascontiguousarray(vectors, np.float32)[first], allow_pickle=False)
        if len(_shards(place)) > _MANY:
            _join(place)

    def _place(self, fingerprint: str, kind: str) -> Path:
        return self.root / sha256(fingerprint)[:32] / kind


def _digests(keys: Sequence[str]) -> np.ndarray:
    """Hex digests as an array `(keys,)` of 32-byte strings."""
    return np.frombuffer(bytes.fromhex("".join(keys)), dtype="S32")


def _prefix(digests: np.ndarray) -> np.ndarray:
    """The first eight bytes as a number, which is found much faster and sorts alike."""
    return digests.view(">u8").reshape(-1, 4)[:, 0].astype(np.uint64)


def _shards(place: Path) -> list[Path]:
    try:
        return sorted(path for path in place.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _shard(place: Path, digests: np.ndarray) -> Iterator[Path]:
    """A folder to put the vectors of sorted digests into; equal digests make the same shard."""
    with atomic_folder(place / sha256(digests.tobytes())[:32]) as folder:
        np.save(folder / "keys.npy", digests.view(np.uint8).reshape(-1, 32), allow_pickle=False)
        yield folder


def _open(shard: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys, and vectors as a memory map. FileNotFoundError where another process has taken the shard away."""
    try:
        raw = np.load(shard / "keys.npy", allow_pickle=False)
        vectors = np.load(shard / "vectors.npy", mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        if shard.is_dir():
            raise _Unreadable("a file is missing") from None
        raise
    except (ValueError, EOFError, OSError) as error:
        raise _Unreadable(str(error)) from error
    if raw.dtype != np.uint8 or raw.ndim != 2 or raw.shape[1] != 32 or vectors.dtype != np.float32:
        raise _Unreadable("its arrays are of another kind")
    if vectors.ndim != 2 or not len(raw) == len(vectors) > 0:
        raise _Unreadable("keys and vectors do not match")
    return np.ascontiguousarray(raw).view("S32").reshape(-1), vectors


def _look_up(place: Path, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = np.zeros((len(wanted), 0), np.float32)
    missing = np.arange(len(wanted))
    for shard in _shards(place):
        if not len(missing) and found.shape[1]:
            break
        try:
            digests, vectors = _open(shard)
            dimension = found.shape[1] or vectors.shape[1]
            if vectors.shape[1] != dimension:
                raise _Unreadable("its vectors have another length than those of other shards")
            position = np.minimum(np.searchsorted(_prefix(digests), _prefix(wanted[missing])), len(digests) - 1)
            here = digests[position] == wanted[missing]
            rows = vectors[position[here]]
            if not (np.abs(np.vecdot(rows, rows) - 1) < 1e-2).all():
                raise _Unreadable("some vectors are not of length 1")
        except _Unreadable as error:
            _discard(shard, str(error))
            continue
        if not found.shape[1]:
            found = np.zeros((len(wanted), dimension), np.float32)
        found[missing[here]] = rows
        missing = missing[~here]
    return found, missing


def _discard(shard: Path, why: str) -> None:
    print(f"warning: {shard}: stored embeddings are unreadable and are made again ({why})", file=sys.stderr)
    _remove(shard)


def _remove(shard: Path) -> None:
    """Take a shard away in one step, so that no reader finds half of it."""
    with contextlib.suppress(OSError):
        waste = Path(tempfile.mkdtemp(prefix=".waste.", suffix=".part", dir=shard.parent))
        shard.rename(waste / "shard")
        shutil.rmtree(waste, ignore_errors=True)


def _join(place: Path) -> None:
    """Join the small shards into one, and sweep up after killed processes."""
    parts: list[tuple[Path, np.ndarray, np.ndarray]] = []
    for shard in _shards(place):
        try:
            digests, vectors = _open(shard)
        except FileNotFoundError:
            continue
        except _Unreadable as error:
            _discard(shard, str(error))
            continue
        if len(digests) < _SMALL and (not parts or parts[0][2].shape[1] == vectors.shape[1]):
            parts.append((shard, digests, vectors))
    if len(parts) > 1:
        every = np.concatenate([digests for _, digests, _ in parts])
        digests, first = np.unique(every, return_index=True)
        source = np.concatenate([vectors for *_, vectors in parts])[first]
        with _shard(place, digests) as folder:
            np.save(folder / "vectors.npy", source, allow_pickle=False)
        joined = place / sha256(digests.tobytes())[:32]
        for shard, *_ in parts:
            if shard != joined:
                _remove(shard)
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            if path.name.startswith(".") and time.time() - os.stat(path).st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
