from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import chinese_clip
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms
from tests.datasets.images.conftest import WRITERS

ROWS: list[Any] = [
    {"text_id": 8428, "text": "高级感托特包", "image_ids": [1076345, 517602, 1076345]},
    {"text_id": "b", "text": "", "image_ids": ["517602"]},
    {"text_id": 3, "text": "\x0b包", "image_ids": [33]},
]
PICTURES = {"33": b"three", "517602": b"bag", "1076345": b"other bag", "44": b"nobody's"}


def write(folder: Path, rows: list[Any], split: str = "test") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{split}_texts.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_text_is_a_query_for_each_of_its_images(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS)
    dataset = chinese_clip.load(Place.of(tmp_path), "test", language="yue")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        ("8428", "高级感托特包", ("1076345", "517602"), "yue"),
        ("b", "", ("517602",), "yue"),
        ("3", "\x0b包", ("33",), "yue"),
    ]
    assert dataset.gallery.ids == ("1076345", "517602", "33") and dataset.files == (path,)
    assert dataset.notes[1:] == ("the gallery is the images of the texts", "1 blank captions are queries all the same")


def test_the_gallery_is_that_of_the_file_of_images(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    forms.write_imgs_tsv(tmp_path, "test", PICTURES)
    gallery = chinese_clip.load(Place.of(tmp_path), "test").gallery
    assert gallery.ids == ("517602", "44", "33", "1076345")
    assert {image: gallery.images.read(image) for image in gallery.ids} == PICTURES


@pytest.mark.parametrize("images", ["pictures", "pictures/test_imgs.tsv"])
def test_the_file_of_images_may_lie_with_the_images(tmp_path: Path, images: str) -> None:
    write(tmp_path / "texts", ROWS)
    forms.write_imgs_tsv(tmp_path / "pictures", "test", PICTURES)
    dataset = chinese_clip.load(Place(tmp_path / "texts", tmp_path / images), "test")
    assert len(dataset.gallery) == 4 and "the gallery is that of test_imgs.tsv" in dataset.notes
    assert dataset.gallery.images.read("44") == b"nobody's"


def test_each_split_has_its_own_images(tmp_path: Path) -> None:
    for split, image in (("train", 1), ("valid", 2)):
        write(tmp_path, [{"text_id": 7, "text": "包", "image_ids": [image]}], split)
        forms.write_lmdb(tmp_path, split, {str(image): split.encode()})
    for split, image in (("train", "1"), ("val", "2"), ("valid", "2")):
        gallery = chinese_clip.load(Place.of(tmp_path), split).gallery
        assert gallery.ids == (image,) and gallery.images.read(image)[:3] == split[:3].encode()


ALL = {"1": b"one", "2": b"two", "3": b"three", "4": b"four", "5": b"five", "6": b"six"}
FOUR: list[Any] = [{"text_id": n, "text": "包", "image_ids": [n]} for n in (4, 2, 3, 1)]


@pytest.mark.parametrize("named", [".", "lmdb/test", "lmdb/test/imgs", "lmdb/test/imgs/data.mdb"])
def test_the_gallery_is_that_of_an_lmdb_alone(tmp_path: Path, named: str) -> None:
    write(tmp_path, FOUR)
    forms.write_lmdb(tmp_path, "test", ALL)
    dataset = chinese_clip.load(Place(tmp_path, tmp_path / named), "test")
    assert len(dataset.queries) == 4
    assert {image: dataset.gallery.images.read(image) for image in dataset.gallery.ids} == ALL
    assert dataset.gallery.ids == tuple(sorted(ALL))
    assert "the gallery is that of test/imgs" in dataset.notes


def test_an_lmdb_beside_the_texts_says_the_gallery_of_pictures_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, FOUR)
    forms.write_lmdb(tmp_path, "test", ALL)
    (tmp_path / "photos").mkdir()
    for image in (*ALL, "7", "8"):
        (tmp_path / "photos" / f"{image}.jpg").write_bytes(b"photo")
    gallery = chinese_clip.load(Place(tmp_path, tmp_path / "photos"), "test").gallery
    assert len(gallery) == 6 and gallery.images.read("5") == b"photo"


@pytest.mark.parametrize("name", ["imgs.tsv", "bags"])
def test_a_store_of_ids_that_is_named_is_the_gallery(tmp_path: Path, name: str) -> None:
    write(tmp_path / "texts", FOUR)
    if name == "imgs.tsv":
        forms.write_imgs_tsv(tmp_path, "test", ALL)
        (tmp_path / "test_imgs.tsv").rename(tmp_path / name)
    else:
        forms.write_lmdb(tmp_path, "test", ALL)
        (tmp_path / "lmdb" / "test" / "imgs").rename(tmp_path / name)
    gallery = chinese_clip.load(Place(tmp_path / "texts", tmp_path / name), "test").gallery
    assert sorted(gallery.ids) == sorted(ALL) and gallery.images.read("6") == b"six"


def test_the_store_of_another_split_says_nothing(tmp_path: Path) -> None:
    write(tmp_path / "texts", FOUR)
    forms.write_lmdb(tmp_path, "valid", ALL)
    place = Place(tmp_path / "texts", tmp_path / "lmdb" / "valid" / "imgs")
    assert chinese_clip.load(place, "test").gallery.ids == ("4", "2", "3", "1")
    write(tmp_path / "texts", FOUR, "valid")
    assert len(chinese_clip.load(place, "val").gallery) == 6


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_pictures_by_name_may_be_those_of_more_splits(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "texts", FOUR)
    files = {f"all/{image}.jpg": data for image, data in ALL.items()}
    photos = WRITERS[kind](tmp_path / f"photos.{kind}", files)
    dataset = chinese_clip.load(Place(tmp_path / "texts", photos), "test")
    assert dataset.gallery.ids == ("4", "2", "3", "1") and dataset.gallery.images.read("4") == b"four"
    assert "the gallery is the images of the texts" in dataset.notes


def test_pictures_of_a_folder_serve_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, ROWS[2:])
    forms.write_imgs_tsv(tmp_path, "test", PICTURES)
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    (tmp_path / "pictures" / "a" / "33.png").write_bytes(b"png")
    gallery = chinese_clip.load(Place(path, tmp_path / "pictures"), "test").gallery
    assert len(gallery) == 4 and gallery.images.read("33") == b"png"


def test_a_split_without_labels_is_searched_in_its_file_of_images(tmp_path: Path) -> None:
    write(tmp_path, [row | {"image_ids": []} for row in ROWS])
    with pytest.raises(UserError, match="test_imgs.tsv: the file is missing, and no text names an image"):
        chinese_clip.load(Place.of(tmp_path), "test")
    forms.write_imgs_tsv(tmp_path, "test", PICTURES)
    dataset = chinese_clip.load(Place.of(tmp_path), "test")
    assert {query.positives for query in dataset.queries} == {()} and len(dataset.gallery) == 4
    assert "the split has no public labels" in dataset.notes


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"text_id": 4, "text": "包", "image_ids": [5]}, "the image '5' of text 4 is not in"),
        ({"text_id": 4, "text": "包", "image_ids": []}, "text 4 names no image, and others do"),
        ({"text_id": 8428, "text": "包", "image_ids": [33]}, "text '8428' occurs twice, first on line 1"),
        ({"text_id": 4, "text": "包", "image_ids": 33}, "'image_ids' must be a list of ids, found a number (33)"),
        ({"text_id": 4, "text": "包", "image_ids": [True]}, "'image_ids' must be a string, found true"),
        ({"text_id": 4, "text": None, "image_ids": [33]}, "'text' must be a string, found null"),
        ({"text": "包", "image_ids": [33]}, "the key 'text_id' is missing"),
        (["包"], "expected a JSON object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, row: Any, what: str) -> None:
    path = write(tmp_path, [*ROWS, row])
    forms.write_imgs_tsv(tmp_path, "test", PICTURES)
    with pytest.raises(UserError) as caught:
        chinese_clip.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(f"{path}:4: ") and what in str(caught.value)


@pytest.mark.parametrize(
    ("line", "what"), [("33\tAAAA", "'33' occurs twice, first on line 3"), ("33 AAAA", "expected an id, a tab and")]
)
def test_a_broken_file_of_images_is_said_with_its_line(tmp_path: Path, line: str, what: str) -> None:
    write(tmp_path, ROWS)
    forms.write_imgs_tsv(tmp_path, "test", PICTURES)
    path = tmp_path / "test_imgs.tsv"
    path.write_text(path.read_text() + line)
    with pytest.raises(UserError) as caught:
        chinese_clip.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(f"{path}:5: ") and what in str(caught.value)


def test_missing_and_empty_texts_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{tmp_path}/val_texts.jsonl: the file is missing"):
        chinese_clip.load(Place.of(tmp_path), "val")
    path = write(tmp_path, [])
    with pytest.raises(UserError, match=f"{path}:1: the file holds no texts"):
        chinese_clip.load(Place.of(path), "test")


def test_ids_in_the_other_form_of_unicode_are_those_of_the_store(tmp_path: Path) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    write(tmp_path, [{"text_id": 1, "text": "\u5305", "image_ids": [composed]}])
    forms.write_imgs_tsv(tmp_path, "test", {apart: b"bag"})
    dataset = chinese_clip.load(Place.of(tmp_path), "test")
    assert dataset.gallery.ids == (apart,) and dataset.queries[0].positives == (apart,)
    assert dataset.gallery.images.read(apart) == b"bag"
