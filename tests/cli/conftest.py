"""A made-up benchmark whose loader, retriever and rewriters are files of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

LOADER = """
from grapebench.records import Dataset, Gallery, Query


def load(place, split, languages=("de", "zh")):
    folder = place.annotations / "images"
    names = sorted(path.stem for path in folder.glob("*.png"))
    texts = {name: (folder / f"{name}.png").read_text() for name in names}
    labels = split != "hidden"
    queries = [
        Query(f"q-{n}", "x" + texts[n].replace(" ", " x"), (n,) if labels else (), ("de", "zh")[int(n[1:]) % 2])
        for n in names
    ]
    images = place.pictures({name: f"images/{name}.png" for name in names})
    return Dataset(tuple(q for q in queries if q.language in languages), Gallery(tuple(names), images), files=())
"""
RETRIEVER = """
import numpy as np


def vector(text):
    rows = [np.random.default_rng(list(word.encode())).normal(size=16) for word in text.split()]
    total = np.sum(rows, axis=0)
    return (total / np.linalg.norm(total)).astype(np.float32)


class Words:
    fingerprint = "words"
    description = {"model": "words"}

    def encode_images(self, images, names):
        return np.stack([vector(image.decode()) for image in images])

    def encode_texts(self, texts):
        return np.stack([vector(text) for text in texts])
"""
REWRITERS = """
from grapebench.records import Rewrite


class Raw:
    fingerprint = "raw"
    sampled = False

    def rewrite(self, queries):
        return [Rewrite(query.id, texts=(query.text,)) for query in queries]


class StripPrefix:
    fingerprint = "strip"

    def rewrite(self, queries):
        return [Rewrite(query.id, texts=(query.text.replace("x", ""),)) for query in queries]
"""
CARD = """
name = "words"
title = "Words"
about = "A made-up benchmark."
family = "translate"
dataset = "{loader}:load"
protocol = "retrieval"
protocols = ["multilingual", "category-map"]
languages = ["de", "zh"]
licence = "CC0"
source = "nowhere"
citation = "none"

[seen_by]
"words-train" = "all of its images"

[full.splits.test]
queries = 24
images = 24

[full.splits.hidden]
queries = 24
images = 24
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything the command is given, and a home of its own."""
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    captions = [f"{colour} {shape}" for colour in ("red", "green", "blue", "black") for shape in "abcdef"]
    for number, caption in enumerate(captions):
        (images / f"i{number:02}.png").write_text(caption)
    for name, text in {"loader.py": LOADER, "retriever.py": RETRIEVER, "rewriters.py": REWRITERS}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "words.toml").write_text(CARD.format(loader=tmp_path / "loader.py"))
    return tmp_path


@pytest.fixture
def arguments() -> Callable[..., list[str]]:
    """The arguments of `grapebench` that run a rewriter on the benchmark in `place`."""

    def make(*more: str, rewriter: str = "StripPrefix") -> list[str]:
        return [
            "run", "--task", "words.toml", "--suite", "full", "--data", "data", "--retriever", "retriever.py:Words",
            "--rewriter", f"rewriters.py:{rewriter}", *more,
        ]  # fmt: skip

    return make
