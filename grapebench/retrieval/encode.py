"""Vectors of galleries, texts and rewrites, through the embedding store: only what is missing is encoded.

A call that finds everything stored imports neither torch nor the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any, Protocol, get_args, runtime_checkable

import numpy as np

from grapebench.errors import UserError
from grapebench.files import sha256
from grapebench.records import Fusion, Gallery, Retriever, Rewrite
from grapebench.retrieval.ahead import WORKERS, ahead, batched
from grapebench.retrieval.fused import BY_RANK, Fused
from grapebench.retrieval.store import EmbeddingStore

Parts = Generator[tuple[int, np.ndarray], None, None]
"""Vectors of the first inputs, the next ones and so on: how many were asked for, and what came."""
Report = Callable[[int, int], None]
"""Called with how many inputs are encoded and how many have to be."""

_LENGTH = 1e-3
"""How far a unit vector's squared length may be from 1."""
_CHUNK = 512
_READ_AHEAD = 64
"""Encoded files that wait for a retriever which decodes them itself."""
_SAVE_ROWS = 4096
_SAVE_SECONDS = 20.0


@runtime_checkable
class Lookup(Protocol):
    """A retriever that brings vectors along: images are asked for by id, their files are not needed."""

    def look_up_images(self, names: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(names, dimension)`, float32; None where images have to be encoded."""

    def look_up_texts(self, texts: Sequence[str]) -> np.ndarray | None:
        """Unit vectors `(texts, dimension)`, float32; None where texts have to be encoded."""


@runtime_checkable
class Overlapping(Protocol):
    """A retriever that lets images be decoded in threads while earlier ones are encoded.

    Its `encode_images` is then not asked for a gallery, so both have to give the same vectors.
    """

    @property
    def batch_size(self) -> int:
        """How many images are encoded at once; twice as many are held in memory."""

    def preprocess(self, image: bytes, name: str) -> Any:
        """One encoded image file to what `encode_pixels` takes; called from several threads at once."""

    def encode_pixels(self, pixels: Sequence[Any]) -> np.ndarray:
        """One batch of these to unit vectors `(pixels, dimension)`, float32."""


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

    def encode(positions: Sequence[int]) -> Parts:
        names = [ids[position] for position in positions]
        if isinstance(retriever, Overlapping):
            return _decoded_ahead(names, gallery, retriever)
        return _read_ahead(names, gallery, retriever)

    return _through_store(gallery.images.sha256(ids), "image", encode, retriever, store, report)


def text_vectors(
    texts: Sequence[str], retriever: Retriever, store: EmbeddingStore | None = None, *, report: Report | None = None
) -> np.ndarray:
    """Unit vectors of texts, `(texts, dimension)`; equal texts are encoded once."""
    if isinstance(retriever, Lookup) and (known := retriever.look_up_texts(texts)) is not None:
        return known

    def encode(positions: Sequence[int]) -> Parts:
        for chunk in batched(positions, _CHUNK):
            yield len(chunk), retriever.encode_texts([texts[position] for position in chunk])

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

    A lone part is taken as it is. Raises UserError where a rewrite has no parts, its weights do not match them, its
    parts cancel out, a vector of its own is not a unit vector of the retriever's space, or several parts are to be
    fused in another way than by their mean.
    """
    found = search_vectors(rewrites, gallery, retriever, store, report=report)
    if isinstance(found, np.ndarray):
        return found
    row = int(np.argmax(found.counts > 1))
    raise UserError(
        f"the rewrite of query {rewrites[row].query_id!r} is fused by {found.fusions[row]!r}: it has no single vector"
    )


def search_vectors(
    rewrites: Sequence[Rewrite],
    gallery: Gallery,
    retriever: Retriever,
    store: EmbeddingStore | None = None,
    *,
    report: Report | None = None,
) -> np.ndarray | Fused:
    """`query_vectors`; where the parts of any rewrite are not fused by their mean, the vectors of all parts.

    Raises UserError as `query_vectors` does, and for weights that a fusion has no use for: 'rrf' and 'turns' take
    those above 0, 'max' and 'best' weigh nothing.
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
    dimension = 0
    if any(rewrite.vectors for rewrite in rewrites):
        dimension = image_vectors(gallery.ids[:1], gallery, retriever, store, report=report).shape[1]
    found = [_searched(rewrite, parts, dimension) for rewrite in rewrites]
    every = np.stack([vector for vectors, _ in found for vector in vectors])
    if len(every) == len(rewrites):
        return every
    return Fused(
        every,
        np.array([len(vectors) for vectors, _ in found]),
        np.array([weight for _, weights in found for weight in weights], np.float64),
        tuple(rewrite.fusion for rewrite in rewrites),
    )


def _searched(
    rewrite: Rewrite, parts: dict[tuple[str, str], np.ndarray], dimension: int
) -> tuple[list[np.ndarray], Sequence[float]]:
    """The vectors of a rewrite that are fused when ranking, with their weights: one where their mean is searched."""
    found = [parts["text", text] for text in rewrite.texts] + [parts["image", image] for image in rewrite.images]
    found += [_own_vector(rewrite, vector, dimension) for vector in rewrite.vectors]
    name = f"the rewrite of query {rewrite.query_id!r}"
    if not found:
        raise UserError(f"{name} has neither text nor image nor vector")
    weights = rewrite.weights or (1.0,) * len(found)
    if len(weights) != len(found):
        raise UserError(f"{name} has {len(found)} parts and {len(weights)} weights")
    if rewrite.fusion not in get_args(Fusion):
        raise UserError(f"{name}: unknown fusion {rewrite.fusion!r}", fix=f"there is: {', '.join(get_args(Fusion))}")
    if rewrite.fusion == "mean":
        return [_mean(name, found, weights)], (1.0,)
    if not all(0 < weight < math.inf for weight in weights):
        raise UserError(f"{name} is fused by {rewrite.fusion!r} and has a weight that is not above 0")
    if rewrite.fusion not in BY_RANK and len(set(weights)) > 1:
        raise UserError(f"{name} is fused by {rewrite.fusion!r}, which weighs nothing, and has different weights")
    return found, weights


def _mean(name: str, found: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    if len(found) == 1 and weights[0] > 0:
        return found[0]  # normalising a unit vector again would only change its last bits
    total = np.asarray(weights, np.float64) @ np.stack(found).astype(np.float64)
    length = np.linalg.norm(total)
    if not length > 1e-6:
        raise UserError(f"the parts of {name} cancel each other out")
    vector: np.ndarray = (total / length).astype(np.float32)
    return vector


def _own_vector(rewrite: Rewrite, vector: Sequence[float], dimension: int) -> np.ndarray:
    name = f"the rewrite of query {rewrite.query_id!r}"
    try:
        with np.errstate(over="ignore"):
            row = np.asarray(vector, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name} holds a vector that is not one of numbers") from error
    if row.shape != (dimension,):
        raise UserError(f"{name} holds a vector of shape {row.shape}, and the retriever's are of ({dimension},)")
    if not abs(float(np.vecdot(row, row)) - 1) < _LENGTH:
        raise UserError(f"{name} holds a vector that is not of length 1", fix="divide it by its length")
    return row


def _read_ahead(names: Sequence[str], gallery: Gallery, retriever: Retriever) -> Parts:
    with ahead(gallery.images.read, names, window=_READ_AHEAD) as images:
        for chunk in batched(names, _CHUNK):
            yield len(chunk), retriever.encode_images([next(images) for _ in chunk], chunk)


def _decoded_ahead(names: Sequence[str], gallery: Gallery, retriever: Overlapping) -> Parts:
    size = retriever.batch_size

    def prepare(name: str) -> Any:
        return retriever.preprocess(gallery.images.read(name), name)

    with ahead(prepare, names, window=size + WORKERS) as pixels:
        for chunk in batched(names, _CHUNK):  # batches end where chunks do: vectors depend on them in their last bits
            for batch in batched(chunk, size):
                yield len(batch), retriever.encode_pixels([next(pixels) for _ in batch])


def _through_store(
    keys: Sequence[str],
    kind: str,
    encode: Callable[[Sequence[int]], Parts],
    retriever: Retriever,
    store: EmbeddingStore | None,
    report: Report | None,
) -> np.ndarray:
    """Vectors by key; what is missing is encoded bit by bit, in order, and saved as it goes on."""
    store = store or EmbeddingStore()
    found, missing = store.get(retriever.fingerprint, kind, keys)
    if not len(missing):
        return found
    first = {keys[position]: position for position in reversed(missing.tolist())}
    positions = sorted(first.values())
    made: list[np.ndarray] = []
    saved = 0  # of the parts in `made`
    last = time.monotonic()

    def save() -> None:
        nonlocal saved
        if fresh := made[saved:]:
            start = _rows(made[:saved])
            rows = positions[start : start + _rows(fresh)]
            store.add(retriever.fingerprint, kind, [keys[position] for position in rows], np.concatenate(fresh))
            saved += len(fresh)

    try:
        with closing(encode(positions)) as parts:
            for asked, vectors in parts:
                made.append(_checked(vectors, asked, made[0].shape[1] if made else found.shape[1]))
                if _rows(made[saved:]) >= _SAVE_ROWS or time.monotonic() - last > _SAVE_SECONDS:
                    save()
                    last = time.monotonic()
                if report is not None:
                    report(_rows(made), len(positions))
    finally:
        save()  # what an error or Ctrl-C leaves behind is not made again
    row_of = {keys[position]: row for row, position in enumerate(positions)}
    if not found.shape[1]:
        found = np.zeros((len(keys), made[0].shape[1]), np.float32)
    found[missing] = np.concatenate(made)[[row_of[keys[position]] for position in missing.tolist()]]
    return found


def _rows(parts: Sequence[np.ndarray]) -> int:
    return sum(map(len, parts))


def _checked(vectors: np.ndarray, rows: int, dimension: int) -> np.ndarray:
    """Vectors of a retriever that may be the user's own: as many as asked for, of length 1."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != rows or (dimension and vectors.shape[1] != dimension):
        expected = f"({rows}, {dimension or 'dimension'})"
        raise UserError(f"the retriever gave vectors of shape {vectors.shape} instead of {expected}")
    if not (np.abs(np.vecdot(vectors, vectors) - 1) < _LENGTH).all():
        raise UserError("the retriever gave vectors that are not of length 1", fix="divide each by its length")
    return vectors
