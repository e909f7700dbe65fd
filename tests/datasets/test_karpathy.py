from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import karpathy
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset
from tests.datasets import forms


def record(number: int, split: str, raws: list[str], **changes: Any) -> dict[str, Any]:
    sentences = [
        {"tokens": raw.lower().split(), "raw": raw, "imgid": number, "sentid": 10 * number + place}
        for place, raw in enumerate(raws)
    ]
    found = {"filename": f"COCO_val2014_{number:012d}.jpg", "filepath": "val2014", "imgid": number, "split": split}
    return found | {"sentids": [one["sentid"] for one in sentences], "sentences": sentences, "cocoid": number} | changes


RECORDS = [
    record(0, "train", ["A dog ."]),
    record(1, "test", ["A cat. ", "Two\ncats", ""]),
    record(2, "restval", ["A cow"]),
    record(3, "test", ["Ein Café"], filename="3.x.png"),
    record(4, "val", ["A"]),
]


def write(folder: Path, images: Any, **beside: Any) -> Path:
    """One record a line, so that lines are 1 + the record's number."""
    path = folder / "dataset_coco.json"
    rows = ",\n".join(json.dumps(image) for image in images)
    path.write_text(f'{{"images": [\n{rows}\n], {json.dumps({"dataset": "coco"} | beside)[1:]}')
    return path


def load(folder: Path, split: str, **options: Any) -> Dataset:
    return karpathy.load(Place.of(folder), split, "coco", **options)


def test_sentences_of_the_split_are_queries_as_they_were_written(tmp_path: Path) -> None:
    path = write(tmp_path, RECORDS)
    dataset = load(tmp_path, "test")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        ("COCO_val2014_000000000001#1", "A cat. ", ("COCO_val2014_000000000001",), "en"),
        ("COCO_val2014_000000000001#2", "Two\ncats", ("COCO_val2014_000000000001",), "en"),
        ("COCO_val2014_000000000001#3", "", ("COCO_val2014_000000000001",), "en"),
        ("3.x#1", "Ein Café", ("3.x",), "en"),
    ]
    assert dataset.gallery.ids == ("COCO_val2014_000000000001", "3.x")
    assert dataset.files == (path,) and dataset.captions == 4
    assert dataset.notes == ("1 blank captions are queries all the same",)
    assert load(path, "test").queries == dataset.queries


def test_the_first_captions_alone_can_be_taken(tmp_path: Path) -> None:
    write(tmp_path, RECORDS)
    dataset = load(tmp_path, "test", captions=2)
    assert [query.id[-2:] for query in dataset.queries] == ["#1", "#2", "#1"]
    assert dataset.captions == 4
    assert dataset.notes == ("1 captions beyond the first 2 of their images are left out",)


def test_restval_is_for_training_where_the_card_says_so(tmp_path: Path) -> None:
    write(tmp_path, RECORDS)
    assert [query.text for query in load(tmp_path, "train").queries] == ["A dog ."]
    assert [query.text for query in load(tmp_path, "train", restval=True).queries] == ["A dog .", "A cow"]
    assert [query.text for query in load(tmp_path, "val", restval=True).queries] == ["A"]


def test_images_lie_in_their_folders_or_anywhere(tmp_path: Path) -> None:
    write(tmp_path, RECORDS)
    name = "COCO_val2014_000000000001.jpg"
    for folder, data in (("train2014", b"other"), ("val2014", b"right")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(data)
    (tmp_path / "3.x.jpg").write_bytes(b"three")
    images = load(tmp_path, "test").gallery.images
    assert (images.read("COCO_val2014_000000000001"), images.read("3.x")) == (b"right", b"three")


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (record(9, "dev", ["A"]), "'split' must be one of train, restval, val, test, found 'dev'"),
        (RECORDS[1], "image 'COCO_val2014_000000000001' occurs twice, first on line 3"),
        (record(9, "test", [], sentences={}), "'sentences' must be a list of objects, found an object ({})"),
        (record(9, "test", ["A"], sentences=["A"]), "'sentences' must be a list of objects"),
        (record(9, "test", ["A"], sentences=[{"tokens": ["a"]}]), "the key 'raw' is missing"),
        (record(9, "test", ["A"], filename=None), "'filename' must be a string, found null"),
        ({"filename": "9.jpg"}, "the key 'split' is missing"),
        (7, "record 6 must be an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, found: Any, what: str) -> None:
    path = write(tmp_path, [*RECORDS, found])
    with pytest.raises(UserError) as caught:
        load(tmp_path, "test")
    assert str(caught.value).startswith(f"{path}:7: ") and what in str(caught.value)


def test_another_file_than_the_wanted_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, RECORDS[:1], dataset="flickr8k")
    with pytest.raises(UserError, match=f"{path}:3: this is the dataset 'flickr8k', and 'coco' was asked for"):
        load(tmp_path, "train")
    write(tmp_path, RECORDS[:1])
    with pytest.raises(UserError, match=f"{path}:1: the file holds no images of the split 'test'"):
        load(tmp_path, "test")
    for text in ("[]", '{"images": {}}'):
        path.write_text(text)
        with pytest.raises(UserError, match=f"{path}:1: expected a JSON object with a list under 'images'"):
            load(tmp_path, "test")
    path.write_text('{"images": [')
    with pytest.raises(UserError, match=f"{path}:1: the JSON is broken off"):
        load(tmp_path, "test")
    path.unlink()
    with pytest.raises(UserError, match=f"{path}: the file is missing"):
        load(tmp_path, "test")


@pytest.mark.parametrize("task", ["flickr30k", "coco"])
def test_the_miniature_is_read_with_its_pictures(tmp_path: Path, task: str) -> None:
    forms.miniature(task, tmp_path, "train", images=12)
    dataset = karpathy.load(Place.of(tmp_path), "train", task, captions=5, restval=True)
    assert len(dataset.queries) == 60 and len(dataset.gallery) == 12
    assert dataset.gallery.images.missing(dataset.gallery.ids) == []
    assert all(dataset.gallery.images.read(image)[1:4] == b"PNG" for image in dataset.gallery.ids)


def test_an_image_without_sentences_is_searched(tmp_path: Path) -> None:
    write(tmp_path, [record(1, "test", ["A cow."]), record(2, "test", []), record(3, "val", [])])
    dataset = karpathy.load(Place.of(tmp_path), "test", dataset="coco")
    assert len(dataset.gallery) == 2 and len(dataset.queries) == 1
