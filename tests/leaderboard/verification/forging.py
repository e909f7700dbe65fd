"""Results of the made-up world, and the tools of somebody who would like them to say something else."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from grapebench import files
from grapebench.leaderboard import artifacts, store
from grapebench.leaderboard.bench import Bench, NotAtHand
from grapebench.leaderboard.results import Result, result_id
from grapebench.leaderboard.verification import Findings, Verifier
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters import LoadedRewriter
from tests.evaluation.world import Words, vectors


class Several:
    """Three texts a query; every fifth falls back on its own."""

    def __init__(self, fusion: str) -> None:
        self.fusion = fusion

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        for query in queries:
            words = query.text.replace("x", "").split()
            texts = (" ".join(words), " ".join(reversed(words[1:])), query.text)
            if int(query.id[1:]) % 5 == 0:
                yield Rewrite(query.id, texts=(query.text,), raw="…", fallback="no words")
            else:
                yield Rewrite(query.id, texts=texts, fusion=self.fusion, raw="…", money=0.01)  # type: ignore[arg-type]


class Noisy(Words):
    """The same retriever on another machine: its vectors differ by a little."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = np.random.default_rng(5), noise

    def _moved(self, rows: np.ndarray) -> np.ndarray:
        random, size = self.noise
        moved = rows + random.normal(size=rows.shape) * size / np.sqrt(rows.shape[1])
        return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self._moved(vectors([image.decode() for image in images]))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self._moved(vectors(texts))


@dataclass
class Small(Bench):
    """A bench with one task on it."""

    only: Task | None = None
    searcher: Retriever | None = None
    asks: LoadedRewriter | None = None

    def task(self, result: Result) -> Task:
        assert self.only is not None
        return self.only

    def retriever(self, result: Result) -> Retriever:
        return self.searcher or Words()

    def rewriter(self, result: Result) -> LoadedRewriter:
        if self.asks is None:
            raise NotAtHand("the rewriter: it is not here")
        return self.asks


def verify(folder: Path, task: Task, bench: Bench | None = None, **options: Any) -> Findings:
    vectors = EmbeddingStore(folder.parents[4] / "vectors")
    return Verifier([folder.parents[4]], bench or Small(only=task), vectors).verify(folder, **options)


def copied(folder: Path, into: Path) -> Path:
    """A result in a store of its own."""
    goal = into.joinpath("store", *folder.parts[-5:])
    shutil.copytree(folder, goal)
    return goal


def published(folder: Path, into: Path) -> Path:
    """A result as it is published, without its run files."""
    return store.publish(folder, into / "store")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change result.json."""
    path = folder / "result.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told, indent=2))


def put(folder: Path, keys: Sequence[str], value: Any) -> None:
    """Change one field."""

    def change(told: dict[str, Any]) -> None:
        for key in keys[:-1]:
            told = told[key]
        told[keys[-1]] = value

    edit(folder, change)


def rehash(folder: Path) -> None:
    """Make result.json name the files that are there."""
    found = {path.name: files.sha256_file(path) for path in folder.iterdir() if path.name != "result.json"}
    edit(folder, lambda told: told["files"].update(found))


def renamed(folder: Path) -> Path:
    """Give a result the id that its determinants have."""
    edit(folder, lambda told: told.update(id=result_id(told["determinants"])))
    goal = folder.with_name(json.loads((folder / "result.json").read_text())["id"])
    folder.rename(goal)
    return goal


def table(folder: Path, name: str, change: Callable[[dict[str, list[Any]]], object]) -> None:
    """Change a table, and its hash with it."""
    columns = artifacts.read_table(folder / name)
    change(columns)
    pq.write_table(pa.table(columns), folder / name)
    rehash(folder)


def lines(folder: Path, name: str, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of a packed file, and its hash with it."""
    found = gzip.decompress((folder / name).read_bytes()).decode().splitlines(keepends=True)
    (folder / name).write_bytes(gzip.compress("".join(change(found)).encode(), mtime=0))
    rehash(folder)


def told(found: Findings) -> str:
    """All problems; each begins with a file and holds a sentence."""
    assert all(": " in problem for problem in found.problems)
    return "\n".join(found.problems)
