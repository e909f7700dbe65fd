"""What rewriters are tested with: a chat model of random weights, a retriever without a model, and a store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from grapebench.records import Gallery
from grapebench.retrieval.searcher import Searcher
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters.store import RewriteStore


class Hashing:
    """A retriever without a model: a vector is drawn from the hash of what it stands for."""

    fingerprint = "hashing"
    description: ClassVar[dict[str, Any]] = {}

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return np.stack([self.vector(image) for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([self.vector(text.encode()) for text in texts])

    @staticmethod
    def vector(thing: bytes) -> np.ndarray:
        drawn = np.random.default_rng(list(sha256(thing).digest())).normal(size=6)
        return (drawn / np.linalg.norm(drawn)).astype(np.float32)


class Memory:
    """Images whose files are their ids."""

    def read(self, image_id: str) -> bytes:
        return image_id.encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return []

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [sha256(image.encode()).hexdigest() for image in image_ids]


@pytest.fixture
def searcher(fresh_home: Path) -> Searcher:
    """Twelve images, i0 to i11."""
    gallery = Gallery(tuple(f"i{number}" for number in range(12)), Memory())
    return Searcher(gallery, Hashing(), EmbeddingStore())


@pytest.fixture
def store(tmp_path: Path) -> Iterable[RewriteStore]:
    """An empty one, whose folder is not there yet."""
    with RewriteStore(tmp_path / "deep" / "rewrites.sqlite") as opened:
        yield opened
