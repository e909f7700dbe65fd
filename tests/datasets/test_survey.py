"""A survey of official files, here of the miniature in CVLUE's layout: val and test are there, train is not."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.cards import SplitCard, SuiteCard, TaskCard
from grapebench.datasets.place import Place
from grapebench.datasets.survey import Count, survey, survey_split
from grapebench.errors import UserError
from grapebench.world import official


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cvlue")
    for split, images in (("val", 6), ("test", 12)):
        official.cvlue(official.Folder(folder), split, images, random.Random(split))
    return folder


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy, of links, that a test may spoil."""
    folder = tmp_path / "data"
    for path in written.rglob("*.*"):
        copy = folder / path.relative_to(written)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    return folder


def card(test: int = 12, queries: int | None = None) -> TaskCard:
    splits = {
        "train": SplitCard(images=20, captions=100),
        "val": SplitCard(images=6, captions=30),
        "test": SplitCard(images=test, captions=60, queries=queries),
    }
    return catalog.task_card("cvlue").card.model_copy(update={"full": SuiteCard(splits=splits)})


def test_what_is_there_is_counted_and_what_is_not_is_no_fault(data: Path) -> None:
    train, val, test = survey(card(), Place.of(data))
    assert (train.split, train.there, train.complete, train.dataset) == ("train", False, False, None)
    assert train.counts["images"] == Count(None, 20)
    assert train.problem == f"{data}/train.json: the file is missing"
    assert val.complete and test.complete and test.problem is None
    assert test.counts["images"] == Count(12, 12) and test.counts["captions"] == Count(60, 60)
    texts = {text for record in json.loads((data / "test.json").read_text()) for text in record["caption"]}
    assert test.counts["queries"] == Count(len(texts), None)
    assert survey_split(card(), Place.of(data), "test").counts == test.counts


def test_without_a_place_nothing_is_there() -> None:
    found = survey(card(), None)
    assert [split.there for split in found] == [False] * 3
    assert found[1].counts["captions"] == Count(None, 30)


def test_other_counts_are_said(data: Path) -> None:
    test = survey(card(test=13, queries=1000), Place.of(data))[2]
    queries = test.counts["queries"].found
    assert test.differences == [f"{queries} queries instead of 1,000", "12 images instead of 13"]
    assert not test.readable and not test.complete


def test_missing_images_are_named_in_the_galleries_order(data: Path) -> None:
    wanted = [record["image"] for record in json.loads((data / "test.json").read_text())]
    # Beyond val's six: a picture of the same file name would be taken for one that is missing.
    for image in (wanted[9], wanted[7]):
        (data / image).unlink()
    val, test = survey(card(), Place.of(data))[1:]
    assert test.missing == (wanted[7], wanted[9])
    assert test.readable and not test.complete and not test.lacks_all_images
    assert val.complete


def test_images_elsewhere_and_in_an_archive(data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in data.rglob("*.png"):
            archive.write(path, path.relative_to(data))
    (data / "images").rename(tmp_path / "images")
    for images in (tmp_path / "images", tmp_path / "images.zip"):
        assert [split.complete for split in survey(card(), Place(data, images))] == [False, True, True]
    test = survey(card(), Place.of(data))[2]
    assert test.lacks_all_images and len(test.missing) == 12


def test_images_that_nobody_can_look_for(data: Path, tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"PK\3\4 broken off")
    test = survey(card(), Place(data, tmp_path / "images.zip"))[2]
    assert test.images_problem is not None and "images.zip" in test.images_problem
    assert test.readable and not test.complete and test.missing == ()


def test_a_broken_file_is_there_and_its_problem_is_told(data: Path) -> None:
    text = (data / "test.json").read_text()
    (data / "test.json").unlink()
    (data / "test.json").write_text(text[:300])
    test = survey(card(), Place.of(data))[2]
    assert test.there and not test.readable and test.dataset is None
    assert test.problem is not None and test.problem.startswith(f"{data}/test.json:")


def test_one_file_is_one_split(data: Path) -> None:
    """Loaders read the file that they are given, whatever split they are asked for."""
    train, val, test = survey(card(), Place(data / "test.json", data))
    assert test.complete
    for other in (train, val):
        assert not other.there and other.problem == "the files are those of the split test"
        assert other.counts["captions"].found is None


def test_a_split_of_the_same_images_and_other_queries_is_itself(data: Path) -> None:
    records = json.loads((data / "test.json").read_text())
    (data / "val.json").unlink()
    (data / "val.json").write_text(json.dumps([record | {"caption": ["别的"]} for record in records]))
    val, test = survey(card(), Place.of(data))[1:]
    assert test.complete
    assert val.there and val.differences == ["12 captions instead of 30", "12 images instead of 6"]


def test_counts_are_those_of_the_files_whatever_the_protocol_asks(data: Path) -> None:
    first = card().model_copy(update={"protocol": "first-caption"})
    assert survey(first, Place.of(data))[2].counts == survey(card(), Place.of(data))[2].counts


def test_an_unknown_split_and_a_task_without_official_files(data: Path) -> None:
    with pytest.raises(UserError, match="cvlue has no split 'tset' in the suite full; there is: train, val, test"):
        survey_split(card(), Place.of(data), "tset")
    with pytest.raises(UserError, match="cvlue has no suite 'full'; there is: mini"):
        survey(card().model_copy(update={"full": None}), Place.of(data))


@pytest.mark.annotations
def test_the_real_files_without_images(annotations: Path) -> None:
    val, test = [
        split for split in survey(catalog.task_card("cirr").card, Place.of(annotations / "cirr")) if split.there
    ]
    assert val.readable and val.lacks_all_images and val.counts["queries"] == Count(4181, 4181)
    assert test.readable and test.counts["images"] == Count(2315, 2315)
