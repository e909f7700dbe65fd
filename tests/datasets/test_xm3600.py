from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import xm3600
from grapebench.errors import UserError


def record(key: str, **captions: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"image/key": key, "image/locale": "de"}
    for language, texts in captions.items():
        found[language] = {"caption": texts, "caption/tokenized": texts, "caption/tokenized/lowercase": texts}
    return found


def write(folder: Path, records: list[Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "captions.jsonl"
    path.write_text("".join(json.dumps(found) + "\n" for found in records))
    return path


def test_every_caption_is_a_query_of_its_language(tmp_path: Path) -> None:
    write(tmp_path, [record("aa", de=["ein Hund", "Hund"], zh=["狗"]), record("bb", de=["eine Katze"], zh=["\x0b"])])
    dataset = xm3600.load(tmp_path, "test")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        ("aa#de#1", "ein Hund", ("aa",), "de"),
        ("aa#de#2", "Hund", ("aa",), "de"),
        ("aa#zh#1", "狗", ("aa",), "zh"),
        ("bb#de#1", "eine Katze", ("bb",), "de"),
        ("bb#zh#1", "\x0b", ("bb",), "zh"),
    ]
    assert dataset.gallery.ids == ("aa", "bb")


def test_languages_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, [record("aa", de=["ein Hund"], zh=["狗"]), record("bb", zh=["猫"])])
    assert [query.id for query in xm3600.load(tmp_path, "test", languages=["zh"]).queries] == ["aa#zh#1", "bb#zh#1"]
    with pytest.raises(UserError, match=f"{path}:2: no captions in the language 'de'; the line has zh"):
        xm3600.load(tmp_path, "test", languages=["de"])


def test_a_split_of_its_own_lies_in_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "train", [record("tt", de=["Zug"])])
    (tmp_path / "train" / "images").mkdir()
    (tmp_path / "train" / "images" / "tt.png").write_bytes(b"train")
    dataset = xm3600.load(tmp_path, "train")
    assert dataset.gallery.images.read("tt") == b"train"
    with pytest.raises(UserError, match="there is no split 'val'"):
        xm3600.load(tmp_path, "val")


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (record("aa", de=["Hund"]), "image 'aa' occurs twice, first on line 1"),
        (record("bb", de=[]), "'caption' must be a list of strings, found a list ([])"),
        (record("bb", de=[3]), "'caption' must be a string, found a number (3)"),
        ({"image/key": "bb", "de": ["Hund"]}, "'de' must be an object"),
        ({"image/locale": "de"}, "the key 'image/key' is missing"),
        (["bb"], "expected a JSON object, found a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, found: Any, what: str) -> None:
    path = write(tmp_path, [record("aa", de=["Hund"]), found])
    with pytest.raises(UserError) as caught:
        xm3600.load(tmp_path, "test")
    assert str(caught.value).startswith(f"{path}:2: ") and what in str(caught.value)
