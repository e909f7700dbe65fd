from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.datasets import urban1k
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms


def write(folder: Path, captions: dict[str, str | bytes]) -> None:
    for name, text in captions.items():
        path = folder / "caption" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)


def test_a_caption_belongs_to_the_image_of_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"7.txt": "A long street, \x0b café.\r\n", "12.txt": "A park.\nnot read\n", "9.txt": ""})
    write(tmp_path, {"._7.txt": b"\xff\xfe", "notes.md": "no caption"})
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "7.jpg").write_bytes(b"seven")
    dataset = urban1k.load(Place.of(tmp_path), "test")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        ("12", "A park.", ("12",), "en"),
        ("7", "A long street, \x0b café.", ("7",), "en"),
        ("9", "", ("9",), "en"),
    ]
    assert dataset.gallery.ids == ("12", "7", "9")
    assert dataset.notes == (
        "1 blank captions are queries all the same",
        "1 captions have further lines; as in the authors' code only the first is taken",
    )
    assert dataset.gallery.images.read("7") == b"seven"
    assert dataset.gallery.images.missing(dataset.gallery.ids) == ["12", "9"]


def test_other_splits_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "train", {"1.txt": "A street."})
    assert [query.text for query in urban1k.load(Place.of(tmp_path), "train").queries] == ["A street."]
    with pytest.raises(UserError, match=f"{tmp_path}/val: there is no split 'val': the folder is missing"):
        urban1k.load(Place.of(tmp_path), "val")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}/caption: the folder is missing"):
        urban1k.load(Place.of(tmp_path), "test")
    (tmp_path / "caption").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path}/caption: the folder holds no captions"):
        urban1k.load(Place.of(tmp_path), "test")
    write(tmp_path, {"1.txt": "one\ncaf\xe9".encode("latin-1")})
    with pytest.raises(UserError, match=f"{tmp_path}/caption/1.txt:2: not UTF-8"):
        urban1k.load(Place.of(tmp_path), "test")


def test_an_image_without_a_caption_is_searched(tmp_path: Path) -> None:
    write(tmp_path, {"7.txt": "A street.", "12.txt": "A park."})
    (tmp_path / "image").mkdir()
    for name in ("7.jpg", "12.png", "2.jpg", "1.jpg"):
        (tmp_path / "image" / name).write_bytes(name.encode())
    dataset = urban1k.load(Place.of(tmp_path), "test")
    assert dataset.gallery.ids == ("12", "7", "1", "2") and dataset.gallery.images.read("1") == b"1.jpg"
    assert dataset.notes[-1] == "2 images have no caption and are searched all the same"


def test_images_elsewhere_may_be_those_of_more(tmp_path: Path) -> None:
    write(tmp_path / "texts", {"7.txt": "A street."})
    (tmp_path / "photos").mkdir()
    for name in ("7.jpg", "8.jpg"):
        (tmp_path / "photos" / name).write_bytes(name.encode())
    assert urban1k.load(Place(tmp_path / "texts", tmp_path / "photos"), "test").gallery.ids == ("7",)


@pytest.mark.parametrize("split", ["test", "val"])
def test_the_miniature_is_read_with_its_pictures(tmp_path: Path, split: str) -> None:
    forms.miniature("urban1k", tmp_path, split, images=5)
    dataset = urban1k.load(Place.of(tmp_path), split)
    assert len(dataset.queries) == len(dataset.gallery) == 5
    assert dataset.gallery.images.missing(dataset.gallery.ids) == []
