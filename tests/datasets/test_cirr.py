from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import cirr
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms

IMAGES = [f"dev-{n}" for n in range(8)]


def record(**changes: Any) -> dict[str, Any]:
    return {
        "pairid": 7,
        "reference": "dev-3",
        "target_hard": "dev-5",
        "target_soft": {"dev-5": 1.0},
        "caption": "make it red",
        "img_set": {"id": 1, "members": IMAGES[:6], "reference_rank": 0, "target_rank": 1},
    } | changes


def write(root: Path, records: list[dict[str, Any]], split: str = "val") -> Path:
    """One record a line, so that lines are 1 + the record's number."""
    captions = root / "captions" / f"cap.rc2.{split}.json"
    captions.parent.mkdir(parents=True, exist_ok=True)
    captions.write_text("[\n" + ",\n".join(json.dumps(found) for found in records) + "\n]")
    images = root / "image_splits" / f"split.rc2.{split}.json"
    images.parent.mkdir(parents=True, exist_ok=True)
    images.write_text(json.dumps({image: f"./dev/{image}.png" for image in IMAGES}, indent=0))
    return captions


def test_a_record_becomes_a_query(tmp_path: Path) -> None:
    write(tmp_path, [record(), record(pairid=8, caption=" ")])
    dataset = cirr.load(Place.of(tmp_path), "val")
    query, blank = dataset.queries
    assert (query.id, query.text, query.language) == ("7", "make it red", "en")
    assert query.positives == ("dev-5",)
    assert query.reference == "dev-3" and query.excluded == ("dev-3",)
    assert query.subset == ("dev-0", "dev-1", "dev-2", "dev-4", "dev-5")
    assert blank.text == " " and any("1 blank caption" in note for note in dataset.notes)


def test_the_soft_labels_stay_as_they_stand(tmp_path: Path) -> None:
    # The real files grade the reference in place of the target in some records.
    soft = {"dev-3": 1.0, "dev-7": -1.0, "dev-0": 1}
    write(tmp_path, [record(), record(pairid=8, target_soft=soft), record(pairid=9, target_soft={})])
    dataset = cirr.load(Place.of(tmp_path), "val")
    assert [query.grades for query in dataset.queries] == [
        (("dev-5", 1.0),),
        (("dev-3", 1.0), ("dev-7", -1.0), ("dev-0", 1.0)),
        (),
    ]
    assert dataset.notes == (
        "the target of 2 queries has no grade among the soft labels",
        "the soft labels of 1 queries grade the reference image",
    )


def test_the_gallery_is_the_split_file_in_its_order(tmp_path: Path) -> None:
    write(tmp_path, [record()])
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "dev-7.png").write_bytes(b"pixels")
    gallery = cirr.load(Place.of(tmp_path), "val").gallery
    assert gallery.ids == tuple(IMAGES)
    assert gallery.images.read("dev-7") == b"pixels"


def test_a_split_without_labels_has_no_positives(tmp_path: Path) -> None:
    unlabelled = record()
    del unlabelled["target_hard"], unlabelled["target_soft"]
    write(tmp_path, [unlabelled], "test1")
    dataset = cirr.load(Place.of(tmp_path), "test1")
    assert dataset.queries[0].positives == () and dataset.queries[0].grades == ()
    assert "the split has no public labels" in dataset.notes


def without_target(records: list[dict[str, Any]]) -> None:
    del records[1]["target_hard"]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda r: r[1].update(reference="dev-99"), "the reference 'dev-99' of pairid 8 is not in"),
        (lambda r: r[1].update(target_hard="dev-99"), "the target 'dev-99' of pairid 8 is not in"),
        (lambda r: r[1]["img_set"].update(members=["dev-1", "dev-99"]), "the member 'dev-99' of pairid 8 is not in"),
        (lambda r: r[1].update(pairid=7), "pairid '7' occurs twice, first on line 2"),
        (lambda r: r[1].update(caption=None), "'caption' must be a string, found null"),
        (lambda r: r[1].pop("img_set"), "the key 'img_set' is missing"),
        (lambda r: r[1]["img_set"].pop("members"), "the key 'members' is missing"),
        (without_target, "the key 'target_hard' is missing"),
        (lambda r: r[1].pop("target_soft"), "the key 'target_soft' is missing"),
        (lambda r: r[1].update(target_soft=["dev-5"]), "'target_soft' must be an object"),
        (lambda r: r[1].update(target_soft={"dev-99": 1.0}), "the soft target 'dev-99' of pairid 8 is not in"),
        (lambda r: r[1].update(target_soft={"dev-5": "1"}), "the grade of 'dev-5' in 'target_soft' must be a number"),
        (lambda r: r[1].update(target_soft={"dev-5": True}), "the grade of 'dev-5' in 'target_soft' must be a number"),
        (lambda r: r[1].update(target_soft={"dev-5": float("nan")}), "must be a number, found nan"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, spoil: Callable[[list[dict[str, Any]]], object], what: str
) -> None:
    records = [record(), record(pairid=8, img_set={"members": list(IMAGES[:6])})]
    spoil(records)
    captions = write(tmp_path, records)
    with pytest.raises(UserError) as caught:
        cirr.load(Place.of(tmp_path), "val")
    assert str(caught.value).startswith(f"{captions}:3: ") and what in str(caught.value)


def test_a_wrong_split_file_is_said(tmp_path: Path) -> None:
    write(tmp_path, [record()])
    path = tmp_path / "image_splits" / "split.rc2.val.json"
    path.write_text('{"dev-0": "./dev/dev-0.png",\n "dev-1": 5}')
    with pytest.raises(UserError, match=f"{path}:2: the path of image 'dev-1' must be a string"):
        cirr.load(Place.of(tmp_path), "val")
    path.write_text("[]")
    with pytest.raises(UserError, match=f"{path}:1: expected a JSON object"):
        cirr.load(Place.of(tmp_path), "val")
    path.unlink()
    with pytest.raises(UserError, match=f"{path}: the file is missing"):
        cirr.load(Place.of(tmp_path), "val")


def test_the_miniature_is_read_with_its_pictures(tmp_path: Path) -> None:
    folder = forms.miniature("cirr", tmp_path, "val", images=12)
    dataset = cirr.load(Place.of(folder), "val")
    assert len(dataset.queries) == len(dataset.gallery) == 12 and dataset.notes == ()
    assert all(query.grades == ((query.positives[0], 1.0),) for query in dataset.queries)
    assert dataset.gallery.images.missing(dataset.gallery.ids) == []
    assert dataset.gallery.images.read(dataset.gallery.ids[0])[:4] == b"\x89PNG"
