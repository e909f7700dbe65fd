"""Vectors of galleries, texts and rewrites, through the embedding store: only what is missing is encoded.

A call that finds everything stored imports neither torch nor the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from grapebench.errors import UserError
from grapebench.files import sha256
from grapebench.records import Gallery, Retriever, Rewrite
from grapebench.retrieval.store import EmbeddingStore

Report = Callable[[int, int], None]
"""Called with how many inputs are encoded and how many have to be."""

_CHUNK = 512
_SAVE_ROWS = 4096
_SAVE_SECONDS = 20.0


@runtime_checkable
class Lookup(Protocol):
    """A retriever that brings vectors along: images are asked for by id, their files are not needed."""

    def look_up_images(self, names: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(names, dimension)`, float32; None where images have to be encoded."""

    def look_up_texts(self, texts: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(texts, dimension)`, float32; None where texts have to be encoded."""


def gallery_vectors(
    gallery: Gallery, retriever: Retriever, store: EmbeddingStore | None = None, *, report: Report | None = None
) -> np.ndarray:
    """One unit vector for each gallery image, `(gallery, dimension)`; equal files are encoded once."""
    return image_vectors(gallery.ids, gallery, retriever, store, report=report)


def image_vectors(
    ids: Sequence[str],
    gallery: Gallery,
    retriever: Retriever,
    store: EmbeddingStore | None = None,
    *,
    report: Report | None = None,
) -> np.ndarray:
    """Unit vectors of images by id, `(ids, dimension)`. Raises UserError for a missing or broken image."""
    if isinstance(retriever, Lookup) and (known := retriever.look_up_images(ids)) is not None:
        return known

    def encode(positions: Sequence[int]) -> np.ndarray:
        names = [ids[position] for position in positions]
        return retriever.encode_images([gallery.images.read(name) for name in names], names)

    return _through_store(gallery.images.sha256(ids), "image", encode, retriever, store, report)


def text_vectors(
    texts: Sequence[str], retriever: Retriever, store: EmbeddingStore | None = None, *, report: Report | None = None
) -> np.ndarray:
    """Unit vectors of texts, `(texts, dimension)`; equal texts are encoded once."""
    if isinstance(retriever, Lookup) and (known := retriever.look_up_texts(texts)) is not None:
        return known

    def encode(positions: Sequence[int]) -> np.ndarray:
        return retriever.encode_texts([texts[position] for position in positions])

    return _through_store([sha256(text) for text in texts], "text", encode, retriever, store, report)


def query_vectors(
    rewrites: Sequence[Rewrite],
    gallery: Gallery,
    retriever: Retriever,
    store: EmbeddingStore | None = None,
    *,
    report: Report | None = None,
) -> np.ndarray:
    """What is searched for each rewrite, `(rewrites, dimension)`: the normalised weighted sum of its parts.

    Raises UserError where a rewrite has no parts, its weights do not match them, or its parts cancel out.
    """
    texts = list(dict.fromkeys(text for rewrite in rewrites for text in rewrite.texts))
    images = list(dict.fromkeys(image for rewrite in rewrites for image in rewrite.images))
    parts: dict[tuple[str, str], np.ndarray] = {}
    if texts:
        parts |= zip((("text", t) for t in texts), text_vectors(texts, retriever, store, report=report), strict=True)
    if images:
        vectors = image_vectors(images, gallery, retriever, store, report=report)
        parts |= zip((("image", image) for image in images), vectors, strict=True)
    if not rewrites:
        return np.zeros((0, 0), np.float32)
    return np.stack([_combine(rewrite, parts) for rewrite in rewrites])


def _combine(rewrite: Rewrite, parts: dict[tuple[str, str], np.ndarray]) -> np.ndarray:
    found = [parts["text", text] for text in rewrite.texts] + [parts["image", image] for image in rewrite.images]
    if not found:
        raise UserError(f"the rewrite of query {rewrite.query_id!r} has neither text nor image")
    weights = rewrite.weights or (1.0,) * len(found)
    if len(weights) != len(found):
        raise UserError(f"the rewrite of query {rewrite.query_id!r} has {len(found)} parts and {len(weights)} weights")
    if len(found) == 1 and weights[0] > 0:
        return found[0]  # normalising a unit vector again would only change its last bits
    total = np.asarray(weights, np.float64) @ np.stack(found).astype(np.float64)
    length = np.linalg.norm(total)
    if not length > 1e-6:
        raise UserError(f"the parts of the rewrite of query {rewrite.query_id!r} cancel each other out")
    vector: np.ndarray = (total / length).astype(np.float32)
    return vector


def _through_store(
    keys: Sequence[str],
    kind: str,
    encode: Callable[[Sequence[int]], np.ndarray],
    retriever: Retriever,
    store: EmbeddingStore | None,
    report: Report | None,
) -> np.ndarray:
    """Vectors by key; what is missing is encoded in chunks, and saved as it goes on."""
    store = store or EmbeddingStore()
    found, missing = store.get(retriever.fingerprint, kind, keys)
    if not len(missing):
        return found
    first = {keys[position]: position for position in reversed(missing.tolist())}
    positions = sorted(first.values())
    made: list[np.ndarray] = []
    pending: list[int] = []
    unsaved: list[np.ndarray] = []

    def save() -> None:
        if pending:
            store.add(retriever.fingerprint, kind, [keys[p] for p in pending], np.concatenate(unsaved))
        pending.clear()
        unsaved.clear()

    last = time.monotonic()
    try:
        for chunk in _chunks(positions):
            vectors = _checked(encode(chunk), len(chunk), found.shape[1])
            made.append(vectors)
            unsaved.append(vectors)
            pending.extend(chunk)
            if len(pending) >= _SAVE_ROWS or time.monotonic() - last > _SAVE_SECONDS:
                save()
                last = time.monotonic()
            if report is not None:
                report(sum(map(len, made)), len(positions))
    finally:
        save()  # what an error or Ctrl-C leaves behind is not made again
    row_of = {keys[position]: row for row, position in enumerate(positions)}
    if not found.shape[1]:
        found = np.zeros((len(keys), made[0].shape[1]), np.float32)
    found[missing] = np.concatenate(made)[[row_of[keys[position]] for position in missing.tolist()]]
    return found


def _chunks(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(positions), _CHUNK):
        yield positions[start : start + _CHUNK]


def _checked(vectors: np.ndarray, rows: int, dimension: int) -> np.ndarray:
    """Vectors of a retriever that may be the user's own: as many as asked for, of length 1."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != rows or (dimension and vectors.shape[1] != dimension):
        expected = f"({rows}, {dimension or 'dimension'})"
        raise UserError(f"the retriever gave vectors of shape {vectors.shape} instead of {expected}")
    if not (np.abs(np.vecdot(vectors, vectors) - 1) < 1e-3).all():
        raise UserError("the retriever gave vectors that are not of length 1", fix="divide each by its length")
    return vectors
