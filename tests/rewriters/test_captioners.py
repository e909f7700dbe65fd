from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery, Query
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters.captioners import Bank, fill_captions, open_captioner
from grapebench.rewriters.setup import Setup

COLOURS = ["red", "green", "blue"]


class Pictures:
    """An image's bytes are a colour and its number."""

    def read(self, image_id: str) -> bytes:
        return image_id.encode()

    def missing(self, image_ids: Iterable[str]) -> list[str]:
        return []

    def sha256(self, image_ids: Sequence[str]) -> list[str]:
        return [hashlib.sha256(image.encode()).hexdigest() for image in image_ids]


class ByColour:
    """One axis a colour: a text lies on the axes of the colours it names."""

    fingerprint = "by-colour"
    description: ClassVar[dict[str, Any]] = {}

    def encode_images(self, images: Sequence[bytes], names: Sequence[str]) -> np.ndarray:
        return self.encode_texts([image.decode() for image in images])

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[0.1 + (colour in text) for colour in COLOURS] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


GALLERY = Gallery(("red 1", "green 1", "blue 1", "red 2"), Pictures())


def setup(root: Path) -> Setup:
    return Setup("mini", "compose", 0, root, device="cpu")


def bank(root: Path, text: str) -> Path:
    path = root / "caption_bank.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_line_captions_an_image(tmp_path: Path) -> None:
    bank(tmp_path, "a blue fish\na red and blue fish\n\na red kite\na red fish\na green kite\na red kite\n")
    found = Bank(setup(tmp_path)).caption(
        ["red 2", "blue 1", "red 2"], GALLERY, ByColour(), EmbeddingStore(tmp_path / "e")
    )
    assert found == {"red 2": "a red kite", "blue 1": "a blue fish"}, "the first of equally near lines"
    captioner = Bank(setup(tmp_path), prefix="It shows ")
    assert captioner.caption(["green 1"], GALLERY, ByColour(), EmbeddingStore(tmp_path / "e")) == {
        "green 1": "It shows a green kite"
    }
    assert captioner.caption([], GALLERY, ByColour(), EmbeddingStore(tmp_path / "e")) == {}


def test_an_image_outside_the_gallery_is_an_error(tmp_path: Path) -> None:
    bank(tmp_path, "a blue fish\n")
    with pytest.raises(UserError, match="reference image 'gone' is not in the gallery"):
        Bank(setup(tmp_path)).caption(["gone"], GALLERY, ByColour(), EmbeddingStore(tmp_path / "e"))


def test_a_bank_that_cannot_be_used(tmp_path: Path) -> None:
    captioner = open_captioner("bank", setup(tmp_path))
    assert isinstance(captioner, Bank)
    with pytest.raises(
        UserError, match=r"caption_bank\.txt: no caption bank, and this rewriter .*; write one caption a"
    ):
        _ = captioner.captions
    bank(tmp_path, " \n\n")
    with pytest.raises(UserError, match=r"caption_bank\.txt: the caption bank is empty"):
        _ = captioner.captions
    (tmp_path / "caption_bank.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"caption_bank\.txt: not UTF-8"):
        _ = captioner.captions


def test_the_description_follows_the_bank(tmp_path: Path) -> None:
    bank(tmp_path, "a\nb\na\n")
    before = Bank(setup(tmp_path)).description
    assert before["captions"] == 2
    bank(tmp_path, "b\na\n")
    assert Bank(setup(tmp_path)).description["sha256"] != before["sha256"], "the order decides ties"


def test_captions_are_filled_in() -> None:
    queries = [Query("a", "x", reference="i"), Query("b", "y")]
    filled = fill_captions(queries, {"i": "a kite"})
    assert [query.reference_caption for query in filled] == ["a kite", None]
    assert filled[0].text == "x"
