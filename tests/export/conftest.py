"""Small splits in the official formats, and results that the runner makes on them.

A picture's bytes are words, and the retriever adds up the vectors of words.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grapebench import catalog, files
from grapebench.cards import Suite
from grapebench.datasets import Place, load_task
from grapebench.evaluation import runner
from grapebench.paths import results_dir
from grapebench.records import Query, Retriever, Rewrite, Task
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.setup import Setup

CARD = """
name = "{name}"
title = "{name}"
about = ""
family = "{family}"
dataset = "{dataset}"
protocol = "{protocol}"
languages = ["en"]
licence = "CC0"
source = "nowhere"
citation = ""

[full.splits]
"""
SPLIT = "{split} = {{ queries = {queries}, images = {images} }}\n"


class Words:
    """A retriever; words that it has not met before get vectors of their own."""

    fingerprint = "words"
    description: dict[str, Any] = {}  # noqa: RUF012

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self.encode_texts([image.decode() for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = [
            np.sum([np.random.default_rng(zlib.crc32(word.encode())).normal(size=32) for word in text.split()], axis=0)
            for text in texts
        ]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@pytest.fixture
def words() -> Retriever:
    return Words()


class Raw:
    def rewrite(self, queries: Sequence[Query]) -> list[Rewrite]:
        return [Rewrite(query.id, texts=(query.text,)) for query in queries]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds a home, a catalogue with three tasks, and their official files, CIRR's without labels."""
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalog, "folder", lambda: tmp_path / "catalogue")
    cards = tmp_path / "catalogue" / "tasks"
    cards.mkdir(parents=True)
    splits = "".join(SPLIT.format(split=split, queries=60, images=60) for split in ("test1", "val"))
    cirr = CARD.format(name="cirr", family="compose", dataset="cirr", protocol="composed")
    (cards / "cirr.toml").write_text(cirr + splits)
    for name, dataset in (("cvlue", "cvlue"), ("other", "xm3600")):
        card = CARD.format(name=name, family="translate", dataset=dataset, protocol="retrieval")
        (cards / f"{name}.toml").write_text(card + "test = { images = 30 }\n")
    for split in ("test1", "val"):
        write_cirr(tmp_path / "cirr", split)
    write_cvlue(tmp_path / "cvlue")
    return tmp_path


def write_cirr(root: Path, split: str) -> None:
    """Ten sets of six look-alikes; every image is once a reference."""
    rng = random.Random(split)
    records, paths = [], {}
    for number in range(10):
        members = [f"{split}-{number}-0-img{i}" for i in range(6)]
        for member in members:
            paths[member] = f"./{split}/{member}.png"
            picture = root / split / f"{member}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_text(f"set{number} {member} w{rng.randrange(9)}")
        for i, reference in enumerate(members):
            record = {
                "pairid": 100 + len(records),
                "reference": reference,
                "caption": f"set{number} w{rng.randrange(9)} {members[(i + 1) % 6]}",
                "img_set": {"id": number, "members": members, "reference_rank": 3},
            }
            records.append(record)
    for name, content in {
        f"captions/cap.rc2.{split}.json": records,
        f"image_splits/split.rc2.{split}.json": paths,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps(content))


def write_cvlue(root: Path) -> None:
    """Thirty images with five captions each; some captions are those of other images too."""
    rng = random.Random("cvlue")
    records = []
    for number in range(30):
        image = f"images/test/A/{1 + number % 3}-thing/A-{number}.png"
        words = [f"词{rng.randrange(14)}" for _ in range(4)]
        (root / image).parent.mkdir(parents=True, exist_ok=True)
        (root / image).write_text(" ".join(words))
        captions = [" ".join([rng.choice(words), f"词{rng.randrange(14)}", f"句{number}-{i}"]) for i in range(4)]
        records.append({"image": image, "caption": [*captions, f"词{number // 3} 词{number // 6}"]})
    (root / "test.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")


Make = Callable[..., Path]


@pytest.fixture
def make(place: Path) -> Make:
    """The folder of a result that the runner makes on one of the tasks."""

    def made(task: str, split: str, suite: Suite = "full", limit: int | None = None) -> Path:
        card = catalog.task_card(task).card
        loaded = load_task(card, suite, split, Place.of(place / task) if suite == "full" else None)
        return run(loaded, Words(), limit)

    return made


def run(task: Task, retriever: Retriever, limit: int | None = None) -> Path:
    """The folder of a result of searching the raw queries."""
    setup = Setup(suite=task.suite, family=task.family, seed=0, root=task.root)  # type: ignore[arg-type]
    rewriter = LoadedRewriter("raw", Raw(), None, "raw", {}, sampled=False)
    return runner.run(
        task, rewriter, retriever, retriever_name="some", setup=setup, into=results_dir(),
        command="grapebench run …", limit=limit,
    )  # fmt: skip


@pytest.fixture
def searched() -> Callable[..., Path]:
    return run


Rows = list[list[str]]


@pytest.fixture
def tamper() -> Callable[[Path, str, Callable[[Rows], Rows]], None]:
    """Change the rows of one run file of a result, and its hash in result.json with it."""

    def change(folder: Path, name: str, edit: Callable[[Rows], Rows]) -> None:
        rows = [line.split() for line in gzip.decompress((folder / name).read_bytes()).decode().splitlines()]
        text = "".join(" ".join(row) + "\n" for row in edit(rows))
        (folder / name).write_bytes(gzip.compress(text.encode()))
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        result["files"][name] = files.sha256_file(folder / name)
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")

    return change
