from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import cvlue
from grapebench.errors import UserError

PANDA, COW = "images/A/1-panda/A-1-34.png", "images/A/2-cow/A-2-270.png"


def write(root: Path, records: list[Any]) -> Path:
    path = root / "test.json"
    rows = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text(f"[\n{rows}\n]", encoding="utf-8")
    return path


def test_a_caption_text_is_one_query_with_every_image_that_has_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            {"image": PANDA, "caption": ["草地", "四只熊猫", "草地"], "image_id": 9},
            {"image": COW, "caption": ["三头牛", "草地"]},
        ],
    )
    dataset = cvlue.load(tmp_path, "test")
    assert [(q.id, q.text, q.positives, q.language) for q in dataset.queries] == [
        (f"{PANDA}#1", "草地", (PANDA, COW), "zh"),
        (f"{PANDA}#2", "四只熊猫", (PANDA,), "zh"),
        (f"{COW}#1", "三头牛", (COW,), "zh"),
    ]
    assert dataset.gallery.ids == (PANDA, COW)
    assert dataset.notes == ("2 captions repeat an earlier one and are one query with it",)


def test_images_lie_at_the_records_paths(tmp_path: Path) -> None:
    write(tmp_path, [{"image": PANDA, "caption": ["熊猫"]}])
    (tmp_path / PANDA).parent.mkdir(parents=True)
    (tmp_path / PANDA).write_bytes(b"panda")
    assert cvlue.load(tmp_path, "test").gallery.images.read(PANDA) == b"panda"


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"image": PANDA, "caption": ["牛"]}, f"image '{PANDA}' occurs twice, first on line 2"),
        ({"image": COW, "caption": "牛"}, "'caption' must be a list of strings"),
        ({"image": COW, "caption": []}, "'caption' must be a list of strings"),
        ({"image": 5, "caption": ["牛"]}, "'image' must be a string, found a number (5)"),
        ({"caption": ["牛"]}, "the key 'image' is missing"),
        ("images.json is a flat list", "must be an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, record: Any, what: str) -> None:
    path = write(tmp_path, [{"image": PANDA, "caption": ["熊猫"]}, record])
    with pytest.raises(UserError) as caught:
        cvlue.load(tmp_path, "test")
    assert str(caught.value).startswith(f"{path}:3: ") and what in str(caught.value)


def test_an_empty_or_missing_file_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, [])
    with pytest.raises(UserError, match=f"{path}:1: the file holds no records"):
        cvlue.load(tmp_path, "test")
    with pytest.raises(UserError, match="val.json: the file is missing"):
        cvlue.load(tmp_path, "val")
