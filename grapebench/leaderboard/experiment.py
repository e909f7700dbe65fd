"""A fixed experiment without a model: the figures that the rules of measurement come to on vectors made by hand.

Vectors have entries of ±1/8 in 64 dimensions, so that every cosine is a multiple of 1/32 and exact in float32: scores
tie often, in the same places on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.evaluation.beside import result_fields
from grapebench.evaluation.figures import query_sheet
from grapebench.evaluation.measure import Measured, encode, search
from grapebench.evaluation.protocols import Protocol, select_queries
from grapebench.evaluation.significance import holm, paired_p, ranks
from grapebench.files import sha256_json
from grapebench.records import Dataset, Fusion, Gallery, Query, Rewrite, Task
from grapebench.retrieval.store import EmbeddingStore

DIMENSION = 64
IMAGES = 60
CAPTIONS = 2
"""Of each image in each language, but for the first: half of the images have one fewer in it."""
LANGUAGES = ("de", "en", "zh")
CATEGORIES = ("cat", "dog", "cup", "sky")
GROUPS = {"cat": "animal", "dog": "animal", "cup": "thing"}
FUSIONS: tuple[Fusion, ...] = ("mean", "max", "rrf", "turns", "best")
_DIGITS = 6

Vector = tuple[float, ...]


def figures(protocol: Protocol) -> dict[str, str]:
    """A hash of each kind of figure that the protocol comes to: 'metrics', 'intervals', 'deltas', 'p', …

    Everything is computed by the functions that results are made with, and rounded to six digits.
    """
    made = _world()
    queries = select_queries(protocol, made.dataset.queries)
    rewrites = [made.rewrites[query.id] for query in queries]
    task = Task("experiment", "mini", "test", "translate", protocol.name, 1, made.dataset, Path())
    # The vectors are all known: nothing is read from the store, and nothing is written to it.
    vectors = encode(task, queries, rewrites, made, EmbeddingStore(), True, lambda *_: None)
    sides, listings = search(task, queries, vectors)
    assert sides is not None
    fields = result_fields(protocol, queries, GROUPS, Measured(rewrites, sides, listings, 0, 0.0, 0.0))
    old, new = (query_sheet(protocol, queries, one.places, GROUPS) for one in sides)
    tested = list(new.values)[:3]
    p = [paired_p(new.values[key] - old.values[key], new.clusters, new.weights) for key in tested]
    # The rule of ranks, as if each figure of each side were a rewriter.
    images = np.unique(np.array(new.clusters), return_inverse=True)[1]
    weights = 1.0 if new.weights is None else new.weights
    sums = [np.bincount(images, weights=one.values[key] * weights) for key in tested for one in (old, new)]
    kinds = {
        "metrics": fields["metrics"],
        "metrics before": fields["metrics_before"],
        "intervals": {key: one.model_dump() for key, one in fields["intervals"].items()},
        "deltas": {key: one.model_dump() for key, one in fields["deltas"].items()},
        "ties": fields["ties"],
        "p": dict(zip(tested, holm(p), strict=True)),
        "ranks": dict(enumerate(ranks(np.stack(sums, axis=1)))),
    }
    return {kind: sha256_json(_rounded(value)) for kind, value in kinds.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _rounded(one) for key, one in value.items()}
    return f"{value:.{_DIGITS}f}"


@dataclass(frozen=True)
class _World:
    """Queries, a gallery, and a retriever that knows the vector of each image and text."""

    dataset: Dataset
    rewrites: dict[str, Rewrite]
    vectors: dict[str, Vector]
    fingerprint: str = "experiment"

    @property
    def description(self) -> dict[str, Any]:
        return {}

    def look_up_images(self, names: Sequence[str]) -> np.ndarray:
        return np.array([self.vectors[name] for name in names], np.float32)

    look_up_texts = look_up_images
    encode_texts = look_up_images

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self.look_up_images(names)


class _NoPictures:
    """The pictures of a gallery whose vectors are known."""

    def read(self, image_id: str) -> bytes:
        raise LookupError(image_id)

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return []

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return list(image_ids)


@cache
def _world() -> _World:
    """Twins of equal vectors, several right images, exclusions, look-alikes, grades, unequal languages, categories."""
    rng = random.Random("experiment")
    names = [f"i{number}" for number in range(IMAGES)]
    vectors = {name: _vector(rng) for name in names}
    # Every tenth image has a twin, every other one is like its neighbour.
    for number in range(1, IMAGES, 2):
        near = vectors[names[number - 1]]
        vectors[names[number]] = near if number % 10 == 1 else _flipped(near, 12, rng)
    queries, rewrites = [], {}
    for number, name in enumerate(names):
        for caption in range(CAPTIONS * len(LANGUAGES)):
            if caption == 0 and number % 2:
                continue  # languages of one size would weigh the same however they are counted
            query = _query(f"q{number}-{caption}", number, LANGUAGES[caption % len(LANGUAGES)], names, rng)
            queries.append(query)
            parts = [f"{query.id} part {part}" for part in range(3)]
            vectors[query.id] = _flipped(vectors[name], 27, rng)
            vectors |= {part: _flipped(vectors[name], 27, rng) for part in parts}
            # Most rewrites are one text, as most rewriters give; every sixth has several.
            fused = Rewrite(query.id, texts=tuple(parts), fusion=FUSIONS[number % len(FUSIONS)])
            rewrites[query.id] = fused if caption == 5 else Rewrite(query.id, texts=(parts[0],))
    categories = tuple(_category(number) for number in range(IMAGES))
    gallery = Gallery(tuple(names), _NoPictures(), categories)
    return _World(Dataset(tuple(queries), gallery, groups=GROUPS), rewrites, vectors)


def _query(name: str, number: int, language: str, images: Sequence[str], rng: random.Random) -> Query:
    # Some images are in one cluster: by a reference, a set of look-alikes, a second positive, or what they are of.
    block, place = number // 20 * 20, number % 20
    reference = images[block] if place in (1, 2) else images[(number + len(images) // 2) % len(images)]
    alike = rng.sample([image for image in images if image not in (images[number], reference)], 5)
    if place in (6, 7):
        members = images[block + 4 : block + 11]
        reference = members[place - 6]
        alike = [image for image in members if image not in (images[number], reference)]
    query = Query(name, name, (images[number],), language, category=_category(number))
    if number % 21 == 0:
        query = replace(query, positives=(images[number], images[number + 5]))
    if place in (8, 9):
        query = replace(query, source=f"article {block}")
    if number % 3 == 0:
        query = replace(query, grades=((images[number], 1.0), (alike[0], 0.5), (alike[1], -1.0)))
    # One image is right and excluded: its queries are misses.
    excluded = (reference, images[number]) if number == 50 else (reference,)
    return replace(query, reference=reference, excluded=excluded, subset=(images[number], *alike))


def _category(number: int) -> str:
    return CATEGORIES[number % 11 % len(CATEGORIES)]


def _vector(rng: random.Random) -> Vector:
    return tuple((1 if rng.random() < 0.5 else -1) / 8 for _ in range(DIMENSION))


def _flipped(vector: Vector, count: int, rng: random.Random) -> Vector:
    chosen = set(rng.sample(range(DIMENSION), count))
    return tuple(-value if place in chosen else value for place, value in enumerate(vector))
