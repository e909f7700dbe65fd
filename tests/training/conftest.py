"""Made-up benchmarks with splits to train on and to choose by, and a byte-level language model of random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LOADER = """
from grapebench.records import Dataset, Gallery, Query


def load(place, split, where="images"):
    folder = place.annotations / where
    names = sorted(path.stem for path in folder.glob(f"{split}-*.png"))
    texts = {name: (folder / f"{name}.png").read_text() for name in names}
    queries = [Query(f"q-{n}", texts[n].upper(), (n,), "de") for n in names]
    images = place.pictures({name: f"{where}/{name}.png" for name in names})
    return Dataset(tuple(queries), Gallery(tuple(names), images))
"""
RETRIEVER = """
import numpy as np


def vector(text):
    rows = [np.random.default_rng(list(part.encode())).normal(size=16) for part in [*text, *text.split()]]
    total = np.sum(rows, axis=0) if rows else np.ones(16)
    return (total / np.linalg.norm(total)).astype(np.float32)


class Letters:
    fingerprint = "letters"
    description = {"model": "letters"}

    def encode_images(self, images, names):
        return np.stack([vector(image.decode()) for image in images])

    def encode_texts(self, texts):
        return np.stack([vector(text) for text in texts])
"""
TASK = """
name = "{name}"
title = "Letters"
about = "A made-up benchmark."
family = "{family}"
dataset = "{loader}:load"
protocol = "retrieval"
languages = ["de"]
licence = "CC0"
source = "nowhere"
citation = "none"

[full]
options = {{ where = "{where}" }}

[full.splits.train]
[full.splits.val]
[full.splits.test]
"""
CARD = """
name = "start"
title = "Start"
about = "A model of random weights."
mechanism = "lm"

[prompts]
translate = "ask.txt"
condense = "cut.txt"

[settings]
model = "./lm"
dtype = "float32"
max_new_tokens = 6
"""


@pytest.fixture
def letters(tmp_path: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with everything that a training of `letters` is given; and a home of its own.

    `others` is a task of another family, whose images and queries are others under the same ids.
    """
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    tasks = (("letters", "translate", "images", "abcdefgh", 20), ("others", "condense", "pictures", "stuvwxyz", 14))
    for name, family, where, alphabet, train in tasks:
        images = tmp_path / "data" / where
        images.mkdir(parents=True)
        for split, count in (("train", train), ("val", 12), ("test", 12)):
            for number in range(count):
                text = "".join(alphabet[(number * 5 + place * number) % 8] for place in range(3))
                (images / f"{split}-{number:02}.png").write_text(f"{text} {number}")
        card = TASK.format(name=name, family=family, where=where, loader=tmp_path / "loader.py")
        (tmp_path / f"{name}.toml").write_text(card)
    prompts = {"ask.txt": "Say: $query", "cut.txt": "Cut: $query"}
    for name, text in {"loader.py": LOADER, "retriever.py": RETRIEVER, **prompts}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "start.toml").write_text(CARD)
    (tmp_path / "lm").symlink_to(tiny_lm)
    return tmp_path


SETTINGS: dict[str, Any] = {
    "task": "letters.toml",
    "suite": "full",
    "retriever": "retriever.py:Letters",
    "rewriter": "start.toml",
    "reward": {"ranks": {"rank-log": 1.0}, "words": (1, 9)},
    "steps": 6,
    "batch": 4,
    "group": 4,
    "learning_rate": 0.01,
    "warmup": 1,
    "lora": {"r": 2, "alpha": 4},
    "val_every": 3,
    "save_every": 2,
    "headroom": 0,
}


@pytest.fixture
def settings() -> Callable[..., dict[str, Any]]:
    """Settings of a training that takes seconds, with some of them changed."""

    def make(**changes: Any) -> dict[str, Any]:
        return {**SETTINGS, **changes}

    return make
