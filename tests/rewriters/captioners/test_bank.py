from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.records import Gallery, Query
from grapebench.retrieval.store import EmbeddingStore
from grapebench.rewriters.captioners import Bank, LoadedCaptioner, fill_captions, open_captioner
from grapebench.rewriters.setup import Setup

from .conftest import ByColour


def bank(root: Path, text: str) -> Path:
    path = root / "caption_bank.txt"
    path.write_text(text, encoding="utf-8")
    return path


def captions(captioner: LoadedCaptioner, wanted: list[str], gallery: Gallery, place: Path) -> dict[str, str]:
    return captioner.caption(wanted, gallery, ByColour(), EmbeddingStore(place / "e"))


def test_the_nearest_line_captions_an_image(setup: Setup, words: Gallery, tmp_path: Path) -> None:
    bank(tmp_path, "a blue fish\na red and blue fish\n\na red kite\na red fish\na green kite\na red kite\n")
    captioner = open_captioner("bank", setup)
    found = captions(captioner, ["red 2", "blue 1", "red 2"], words, tmp_path)
    assert found == {"red 2": "a red kite", "blue 1": "a blue fish"}, "the first of equally near lines"
    assert (captioner.cost["images"], captioner.cost["money"], captioner.failures) == (2, 0, {})
    assert captions(captioner, [], words, tmp_path) == {}
    assert not (tmp_path / "home" / "rewrites.sqlite").exists(), "a bank is as quick as a look-up"


def test_a_card_sets_the_bank_and_its_prefix(setup: Setup, words: Gallery, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("a green kite\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "bank"\n'
        '[settings]\nbank = "other.txt"\nprefix = "no"\n[mini]\nprefix = "It shows "\n'
    )
    captioner = open_captioner("mine.toml", setup)
    assert captions(captioner, ["green 1"], words, tmp_path) == {"green 1": "It shows a green kite"}
    assert captioner.name == "mine"
    assert captioner.description["settings"] == {"bank": "other.txt", "prefix": "It shows "}


def test_an_image_outside_the_gallery_is_an_error(setup: Setup, words: Gallery, tmp_path: Path) -> None:
    bank(tmp_path, "a blue fish\n")
    with pytest.raises(UserError, match="reference image 'gone' is not in the gallery"):
        captions(open_captioner("bank", setup), ["gone"], words, tmp_path)


def test_a_bank_that_cannot_be_used(setup: Setup, tmp_path: Path) -> None:
    captioner = Bank(Bank.Settings(), setup)
    with pytest.raises(
        UserError, match=r"caption_bank\.txt: no caption bank, and this rewriter .*; write one caption a"
    ):
        _ = captioner.captions
    bank(tmp_path, " \n\n")
    with pytest.raises(UserError, match=r"caption_bank\.txt: the caption bank is empty"):
        _ = captioner.captions
    (tmp_path / "caption_bank.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"caption_bank\.txt: is UTF-16, not UTF-8"):
        _ = captioner.captions


def test_the_identity_follows_the_bank(setup: Setup, tmp_path: Path) -> None:
    bank(tmp_path, "a\nb\na\n")
    before = open_captioner("bank", setup)
    assert before.description["captions"] == 2
    bank(tmp_path, "b\na\n")
    after = open_captioner("bank", setup)
    assert after.description["sha256"] != before.description["sha256"], "the order decides ties"
    assert after.fingerprint != before.fingerprint


def test_captions_are_filled_in() -> None:
    queries = [Query("a", "x", reference="i"), Query("b", "y")]
    filled = fill_captions(queries, {"i": "a kite"})
    assert [query.reference_caption for query in filled] == ["a kite", None]
    assert filled[0].text == "x"


def test_marks_and_line_ends_are_no_part_of_a_caption(setup: Setup, tmp_path: Path) -> None:
    path = bank(tmp_path, "a kite\u2028high up\na fish\n")
    before = open_captioner("bank", setup).fingerprint
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert open_captioner("bank", setup).fingerprint == before
    assert open_captioner("bank", setup).mechanism.captions == ("a kite\u2028high up", "a fish")
