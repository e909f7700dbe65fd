from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import xm3600
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms


def record(key: str, **captions: Any) -> dict[str, Any]:
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
    dataset = xm3600.load(Place.of(tmp_path), "test")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        ("aa#de#1", "ein Hund", ("aa",), "de"),
        ("aa#de#2", "Hund", ("aa",), "de"),
        ("aa#zh#1", "狗", ("aa",), "zh"),
        ("bb#de#1", "eine Katze", ("bb",), "de"),
        ("bb#zh#1", "\x0b", ("bb",), "zh"),
    ]
    assert dataset.gallery.ids == ("aa", "bb")


def test_languages_can_be_chosen(tmp_path: Path) -> None:
    path = write(tmp_path, [record("aa", de=["ein Hund"], zh=["狗"]), record("bb", zh=["猫"], fr=["un chat"])])
    chosen = xm3600.load(Place.of(tmp_path), "test", languages=["zh", "de", "zh"])
    assert [query.id for query in chosen.queries] == ["aa#zh#1", "aa#de#1", "bb#zh#1"]
    with pytest.raises(UserError) as caught:
        xm3600.load(Place.of(tmp_path), "test", languages=["zh", "ger"])
    assert str(caught.value) == f"{path}: no captions in the language 'ger'; there is: de, zh, fr"


def test_an_image_without_captions_in_a_language_stays_in_the_gallery(tmp_path: Path) -> None:
    write(tmp_path, [record("aa", de=["ein Hund"], zh=["狗"]), record("bb", de=[], zh=["猫"]), record("cc", zh=["鱼"])])
    dataset = xm3600.load(Place.of(tmp_path), "test")
    assert dataset.gallery.ids == ("aa", "bb", "cc")
    assert [query.id for query in dataset.queries if query.language == "de"] == ["aa#de#1"]
    assert dataset.notes == ("2 images have no caption in de",)
    assert xm3600.load(Place.of(tmp_path), "test", languages=["zh"]).notes == ()


def test_the_place_may_name_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "captions", [record("aa", de=["ein Hund"])])
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "aa.jpg").write_bytes(b"dog")
    dataset = xm3600.load(Place(path, tmp_path / "pictures"), "test")
    assert dataset.gallery.images.read("aa") == b"dog" and dataset.files == (path,)


def test_a_split_of_its_own_lies_in_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "train", [record("tt", de=["Zug"])])
    (tmp_path / "train" / "images").mkdir()
    (tmp_path / "train" / "images" / "tt.png").write_bytes(b"train")
    dataset = xm3600.load(Place.of(tmp_path), "train")
    assert dataset.gallery.images.read("tt") == b"train"
    with pytest.raises(UserError, match="val/captions.jsonl: the file is missing"):
        xm3600.load(Place.of(tmp_path), "val")


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (record("aa", de=["Hund"]), "image 'aa' occurs twice, first on line 1"),
        (record("bb", de="Hund"), "'caption' must be a list of strings, found a string"),
        (record("bb", de=[""]) | {"de": {}}, "the key 'caption' is missing"),
        (record("bb", de=[3]), "'caption' must be a string, found a number (3)"),
        ({"image/key": "bb", "de": ["Hund"]}, "'de' must be an object"),
        ({"image/locale": "de"}, "the key 'image/key' is missing"),
        (["bb"], "expected a JSON object, found a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, found: Any, what: str) -> None:
    path = write(tmp_path, [record("aa", de=["Hund"]), found])
    with pytest.raises(UserError) as caught:
        xm3600.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(f"{path}:2: ") and what in str(caught.value)


def test_the_miniature_is_read_with_its_pictures(tmp_path: Path) -> None:
    dataset = xm3600.load(Place.of(forms.miniature("xm3600", tmp_path)), "test")
    assert len(dataset.gallery) == 6 and len({query.language for query in dataset.queries}) == 11
    assert dataset.notes == () and dataset.gallery.images.missing(dataset.gallery.ids) == []
