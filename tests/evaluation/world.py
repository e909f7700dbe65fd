"""A made-up world: a picture's bytes are its caption, and the retriever knows English words."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.evaluation import runner
from grapebench.records import Dataset, Gallery, Query, Rewrite, Task
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.setup import Setup

COLOURS = ("red", "green", "blue", "black")
SHAPES = ("circle", "square", "star", "moon", "fish")
PLACES = ("sky", "sand", "snow")
FILES = (
    "image_to_text.trec.gz", "per_image.parquet", "per_query.parquet", "queries.jsonl.gz", "rewrites.jsonl.gz",
    "run.trec.gz", "similarities.parquet",
)  # fmt: skip
CAPTIONS = [f"{colour} {shape} {place}" for colour in COLOURS for shape in SHAPES for place in PLACES]


class Memory:
    """An ImageSource of captions."""

    def __init__(self, captions: dict[str, str]) -> None:
        self.captions = captions

    def read(self, image_id: str) -> bytes:
        return self.captions[image_id].encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return [image for image in image_ids if image not in self.captions]

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(self.read(image)).hexdigest() for image in image_ids]


def word_vector(word: str) -> np.ndarray:
    return np.random.default_rng(list(word.encode())).normal(size=16)


def vectors(texts: Sequence[str]) -> np.ndarray:
    rows = np.stack([sum(map(word_vector, text.split())) for text in texts])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Words:
    """A Retriever that counts its work."""

    description: dict[str, Any] = {"weights_sha256": "5" * 64}  # noqa: RUF012

    def __init__(self, fingerprint: str = "words") -> None:
        self.fingerprint = fingerprint
        self.encoded = 0

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        self.encoded += len(images)
        return vectors([image.decode() for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += len(texts)
        return vectors(texts)


class Strip:
    """Removes the prefix that the retriever does not know from each word; stops after `stop` queries."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop = stop
        self.asked: list[str] = []

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            if len(self.asked) == self.stop:
                raise KeyboardInterrupt
            self.asked.append(query.id)
            if query.id == "q7":
                yield Rewrite(query.id, texts=(query.text,), raw="…", fallback="no words", completion_tokens=1)
            else:
                text = query.text.replace("x", "")
                yield Rewrite(query.id, texts=(text,), raw=text, prompt_tokens=5, completion_tokens=3)


def loaded(made: Any, name: str = "strip", **changes: Any) -> LoadedRewriter:
    return LoadedRewriter(name, made, None, f"fingerprint of {name}", {"name": name}, sampled=False, **changes)


def foreign(text: str) -> str:
    return " ".join(f"x{word}" for word in text.split())


def task_of(
    root: Path, queries: Sequence[Query], protocol: str, family: str, captions: list[str] = CAPTIONS, **more: Any
) -> Task:
    gallery = Gallery(
        tuple(f"i{n}" for n in range(len(captions))),
        Memory({f"i{n}": text for n, text in enumerate(captions)}),
        more.pop("categories", ()),
    )
    dataset = Dataset(tuple(queries), gallery, files=(root / "captions.json",), notes=("made up",), **more)
    return Task("words", "mini", "test", family, protocol, 1, dataset, root)


def go(task: Task, rewriter: Any = None, retriever: Any = None, into: Path | None = None, **changes: Any) -> Path:
    seed = changes.pop("seed", 0)
    setup = Setup("mini", task.family, seed, task.root)  # type: ignore[arg-type]
    if not isinstance(rewriter, LoadedRewriter):
        rewriter = loaded(rewriter or Strip())
    return runner.run(
        task,
        rewriter,
        retriever or Words(),
        retriever_name="words",
        setup=setup,
        into=into or task.root.parent / "results",
        command="grapebench run",
        **changes,
    )


def by_shape(root: Path, protocol: str) -> Task:
    """The category of a picture is its shape; its group is whether it lives."""
    shapes = [caption.split()[1] for caption in CAPTIONS]
    queries = [
        Query(f"q{n}", foreign(text), (f"i{n}",), category=shape)
        for n, (text, shape) in enumerate(zip(CAPTIONS, shapes, strict=True))
    ]
    groups = {shape: "alive" if shape == "fish" else "lifeless" for shape in SHAPES}
    return task_of(root, queries, protocol, "translate", categories=tuple(shapes), groups=groups)


def graded(composed: Task) -> Task:
    """Half of the queries have an image that is half right, and one that is wrong."""
    queries = [
        dataclasses.replace(query, grades=((query.positives[0], 1.0), (query.subset[0], 0.5), (query.subset[3], -1.0)))
        if n % 2
        else query
        for n, query in enumerate(composed.queries)
    ]
    dataset = dataclasses.replace(composed.dataset, queries=tuple(queries))
    return dataclasses.replace(composed, protocol="graded", dataset=dataset)


def unlabelled(task: Task, count: int, protocol: str | None = None) -> Task:
    """The first so many queries without their positives."""
    queries = tuple(
        dataclasses.replace(query, positives=()) if n < count else query for n, query in enumerate(task.queries)
    )
    dataset = dataclasses.replace(task.dataset, queries=queries)
    return dataclasses.replace(task, dataset=dataset, protocol=protocol or task.protocol)
