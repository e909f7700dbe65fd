from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import cvlue
from grapebench.datasets.cvlue_categories import CATEGORIES, GROUPS, category_of, group_of
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms

PANDA, COW = "images/A/1-panda/A-1-34.png", "images/A/2-cow/A-2-270.png"
RECORDS = [
    {"image": PANDA, "caption": ["草地", "四只熊猫", "草地"], "image_id": 9},
    {"image": COW, "caption": ["三头牛", "草地"]},
]


def write(path: Path, items: list[Any]) -> Path:
    """One item a line, so that lines are 1 + the item's number."""
    rows = ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)
    path.write_text(f"[\n{rows}\n]", encoding="utf-8")
    return path


def blind(folder: Path, captions: list[Any], images: list[Any] | None = None) -> None:
    write(folder / "images.json", [COW, PANDA] if images is None else images)
    write(folder / "captions.json", captions)


def test_a_caption_text_is_one_query_with_every_image_that_has_it(tmp_path: Path) -> None:
    path = write(tmp_path / "test.json", RECORDS)
    dataset = cvlue.load(Place.of(tmp_path), "test")
    assert [(q.id, q.text, q.positives, q.language, q.category) for q in dataset.queries] == [
        (f"{PANDA}#1", "草地", (PANDA, COW), "zh", "1-panda"),
        (f"{PANDA}#2", "四只熊猫", (PANDA,), "zh", "1-panda"),
        (f"{COW}#1", "三头牛", (COW,), "zh", "2-cow"),
    ]
    assert (dataset.gallery.ids, dataset.gallery.categories) == ((PANDA, COW), ("1-panda", "2-cow"))
    assert dataset.captions == 5 and dataset.files == (path,)
    assert dataset.notes == ("2 captions repeat an earlier one and are one query with it",)


def test_the_place_may_name_the_file_whatever_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "IC_test_gold.json", RECORDS)
    assert len(cvlue.load(Place(path, tmp_path), "test").queries) == 3


def test_the_blind_form_has_no_answers(tmp_path: Path) -> None:
    blind(tmp_path, ["草地", "三头牛", "草地", "四只熊猫"])
    dataset = cvlue.load(Place.of(tmp_path), "test")
    assert [(query.id, query.text, query.positives, query.category) for query in dataset.queries] == [
        ("caption#1", "草地", (), ""),
        ("caption#2", "三头牛", (), ""),
        ("caption#4", "四只熊猫", (), ""),
    ]
    assert (dataset.gallery.ids, dataset.gallery.categories) == ((COW, PANDA), ("2-cow", "1-panda"))
    assert dataset.captions == 4
    assert dataset.notes == (
        "1 captions repeat an earlier one and are one query with it",
        "the files name no right answers",
    )


@pytest.mark.parametrize("named", ["", "captions.json", "images.json"])
def test_a_gold_file_beside_the_blind_form_changes_nothing_but_the_answers(tmp_path: Path, named: str) -> None:
    # The official scorer looks a caption with spaces up with commas.
    blind(tmp_path, ["草地", "两头牛 一棵树", "四只熊猫"])
    before = cvlue.load(Place.of(tmp_path), "test")
    write(
        tmp_path / "gold.json",
        [{"image": PANDA, "caption": ["草地", "四只熊猫"]}, {"image": COW, "caption": ["两头牛,一棵树", "草地"]}],
    )
    dataset = cvlue.load(Place(tmp_path / named, tmp_path), "test")
    assert [(q.id, q.text) for q in dataset.queries] == [(q.id, q.text) for q in before.queries]
    assert dataset.gallery.ids == before.gallery.ids
    assert [query.positives for query in dataset.queries] == [(PANDA, COW), (COW,), (PANDA,)]
    assert [query.category for query in dataset.queries] == ["1-panda", "2-cow", "1-panda"]
    assert dataset.notes == () and dataset.files[-1] == tmp_path / "gold.json"


@pytest.mark.parametrize(
    ("gold", "what"),
    [
        ([{"image": PANDA, "caption": ["草地"]}], "the caption '三头牛' of captions.json has no image"),
        (
            [{"image": PANDA, "caption": ["草地", "三头牛", "熊猫"]}],
            "1 of its captions are not in captions.json, such as '熊猫'",
        ),
        (
            [{"image": "images/A/3-fish/1.png", "caption": ["草地", "三头牛"]}],
            "1 of its images are not in images.json, such as 'images/A/3-fish/1.png'",
        ),
    ],
)
def test_a_gold_file_of_something_else_is_said(tmp_path: Path, gold: list[Any], what: str) -> None:
    blind(tmp_path, ["草地", "三头牛"])
    write(tmp_path / "gold.json", gold)
    with pytest.raises(UserError) as caught:
        cvlue.load(Place.of(tmp_path), "test")
    assert str(caught.value) == f"{tmp_path / 'gold.json'}: {what}; take files of the same split"


@pytest.mark.parametrize(
    ("images", "captions", "line", "what"),
    [
        ([PANDA, PANDA], ["草地"], "images.json:3", f"image '{PANDA}' occurs twice, first on line 2"),
        ([PANDA, 5], ["草地"], "images.json:3", "record 2: 'image' must be a string, found a number (5)"),
        ([PANDA], ["草地", None], "captions.json:3", "record 2: 'caption' must be a string, found null"),
        ([], ["草地"], "images.json:1", "the file holds no images"),
    ],
)
def test_what_is_wrong_with_the_blind_form_is_said(
    tmp_path: Path, images: list[Any], captions: list[Any], line: str, what: str
) -> None:
    blind(tmp_path, captions, images)
    with pytest.raises(UserError) as caught:
        cvlue.load(Place.of(tmp_path), "test")
    assert str(caught.value) == f"{tmp_path}/{line}: {what}"


def test_half_of_the_blind_form_is_said(tmp_path: Path) -> None:
    write(tmp_path / "captions.json", ["草地"])
    with pytest.raises(UserError, match="images.json: the file is missing"):
        cvlue.load(Place.of(tmp_path), "test")


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"image": PANDA, "caption": ["牛"]}, f"image '{PANDA}' occurs twice, first on line 2"),
        ({"image": COW, "caption": "牛"}, "'caption' must be a list of strings"),
        ({"image": COW, "caption": {}}, "'caption' must be a list of strings"),
        ({"image": 5, "caption": ["牛"]}, "'image' must be a string, found a number (5)"),
        ({"caption": ["牛"]}, "the key 'image' is missing"),
        ("a list of texts", "must be an object"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, record: Any, what: str) -> None:
    path = write(tmp_path / "test.json", [{"image": PANDA, "caption": ["熊猫"]}, record])
    with pytest.raises(UserError) as caught:
        cvlue.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(f"{path}:3: ") and what in str(caught.value)


def test_an_empty_or_missing_file_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "test.json", [])
    with pytest.raises(UserError, match=f"{path}:1: the file holds no records"):
        cvlue.load(Place.of(tmp_path), "test")
    with pytest.raises(UserError, match="val.json: the file is missing"):
        cvlue.load(Place.of(tmp_path), "val")


def test_the_miniature_in_each_form_with_its_pictures(tmp_path: Path) -> None:
    folder = forms.miniature("cvlue", tmp_path)
    gold = cvlue.load(Place.of(folder), "test")
    forms.cvlue_blind(folder / "test.json", folder)
    (folder / "test.json").rename(folder / "gold.json")
    for dataset in (gold, cvlue.load(Place.of(folder), "test")):
        assert len(dataset.gallery) == 6 and all(query.positives for query in dataset.queries)
        assert dataset.gallery.images.missing(dataset.gallery.ids) == []
        assert dataset.gallery.images.read(dataset.gallery.ids[0])[:4] == b"\x89PNG"
        assert {query.category for query in dataset.queries} <= set(dataset.gallery.categories)
    (folder / "gold.json").unlink()
    asked = cvlue.load(Place.of(folder), "test")
    assert {query.text for query in asked.queries} == {query.text for query in gold.queries}
    assert not any(query.positives for query in asked.queries)


def test_the_official_categories() -> None:
    assert len(CATEGORIES) == 92 and len(GROUPS) == 15
    assert [category.partition("-")[0] for category in CATEGORIES] == [str(number) for number in range(1, 93)]
    # The first and the last of each group, by the numbers that the official image folders have.
    borders = {group: [category for category in CATEGORIES if group_of(category) == group] for group in GROUPS}
    assert {group: (found[0], found[-1]) for group, found in borders.items()} == {
        "Animals": ("1-panda", "10-cat"),
        "Food": ("11-hot_pot", "15-baozi"),
        "Drinks": ("16-milk_tea", "21-alcohol"),
        "Clothes": ("22-hanfu", "26-t_shirt"),
        "Plants": ("27-willow", "36-lily"),
        "Fruits": ("37-lychee", "41-longan"),
        "Vegetables": ("42-xiaobaicai", "46-cauliflower"),
        "Agriculture": ("47-hoe", "51-staff"),
        "Tools": ("52-spoon", "59-spatula"),
        "Furniture": ("60-tv", "64-stove"),
        "Sports": ("65-ping_pong", "69-running"),
        "Celebrations": ("70-lion_dance", "75-lantern"),
        "Education": ("76-pencil", "81-scissors"),
        "Musical Instruments": ("82-guzheng", "86-pipa"),
        "Art": ("87-calligraphy", "92-ceramic"),
    }


def test_other_categories_have_no_group() -> None:
    assert [group_of(name) for name in ("3-fan", "fan", "57-fan ", "", "57-fans")] == [None] * 5
    assert group_of("57-fan") == "Tools"


@pytest.mark.parametrize(
    ("path", "category"),
    [(PANDA, "1-panda"), ("1-panda/x.png", "1-panda"), ("x.png", ""), ("/x.png", ""), ("", "")],
)
def test_the_category_is_the_folder_of_the_image(path: str, category: str) -> None:
    assert category_of(path) == category


def test_an_image_without_captions_is_searched(tmp_path: Path) -> None:
    write(tmp_path / "test.json", [{"image": COW, "caption": ["草地"]}, {"image": "1-panda/p.jpg", "caption": []}])
    dataset = cvlue.load(Place.of(tmp_path), "test")
    assert dataset.gallery.ids == (COW, "1-panda/p.jpg") and len(dataset.queries) == 1
