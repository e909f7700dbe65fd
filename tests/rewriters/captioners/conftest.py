"""Images of one colour, a retriever that knows colours, and a home of its own for the stored captions."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from grapebench.records import Gallery
from grapebench.rewriters.setup import Setup

COLOURS = ["red", "green", "blue"]


class Pictures:
    """An image source in memory that remembers what was read."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.reads: list[str] = []

    def read(self, image_id: str) -> bytes:
        self.reads.append(image_id)
        return self.files[image_id]

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return [image for image in image_ids if image not in self.files]

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(self.files[image]).hexdigest() for image in image_ids]


class ByColour:
    """One axis a colour: a text lies on the axes of the colours it names; an image's file is such a text."""

    fingerprint = "by-colour"
    description: ClassVar[dict[str, Any]] = {}

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self.encode_texts([image.decode() for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[0.1 + (colour in text) for colour in COLOURS] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def png(colour: tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, "PNG")
    return made.getvalue()


@pytest.fixture
def words() -> Gallery:
    """Images whose files are their names."""
    ids = ("red 1", "green 1", "blue 1", "red 2")
    return Gallery(ids, Pictures({image: image.encode() for image in ids}))


@pytest.fixture
def photos() -> Gallery:
    """Real image files; two of them are equal."""
    files = {
        "red": png((255, 0, 0)),
        "wide": png((0, 200, 0), (64, 32)),
        "blue": png((0, 0, 255), (32, 48)),
        "red again": png((255, 0, 0)),
        "grey": png((90, 90, 90), (48, 48)),
    }
    return Gallery(tuple(files), Pictures(files))


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setup:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return Setup("mini", "compose", 0, tmp_path, device="cpu", base=tmp_path)
