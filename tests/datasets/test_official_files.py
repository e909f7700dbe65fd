"""The loaders on the benchmarks' real annotation files; the figures were counted by others on the full files."""

from __future__ import annotations

import collections
import json
import os
from pathlib import Path

import pytest

from grapebench.datasets import cirr, cvlue, flickr30k_cn, wikipedia, xm3600
from grapebench.errors import UserError
from grapebench.records import Dataset

pytestmark = pytest.mark.annotations


@pytest.fixture
def official() -> Path:
    return Path(os.environ["GRAPEBENCH_ANNOTATIONS"])


@pytest.mark.parametrize(("split", "queries", "images"), [("val", 4181, 2297), ("test1", 4148, 2315)])
def test_cirr(official: Path, split: str, queries: int, images: int) -> None:
    dataset = cirr.load(official / "cirr", split)
    assert (len(dataset.queries), len(dataset.gallery)) == (queries, images)
    assert all(len(query.subset) == 5 and query.reference not in query.subset for query in dataset.queries)
    if split == "val":
        assert all(len(query.positives) == 1 and query.positives[0] in query.subset for query in dataset.queries)
        targets = {query.positives[0] for query in dataset.queries}
        references = {query.reference for query in dataset.queries}
        assert len(targets - references) == 100
        assert len(set(dataset.gallery.ids) - targets - references) == 32
        assert len(dataset.queries) - len({query.text for query in dataset.queries}) > 0
        assert sum(not query.text.isascii() for query in dataset.queries) == 2
    else:
        assert {query.positives for query in dataset.queries} == {()}
        assert next(query for query in dataset.queries if query.id == "27098").text == " "


def test_cirr_train_images_without_captions_are_an_error(official: Path) -> None:
    with pytest.raises(UserError, match="cap.rc2.train.json: the file is missing"):
        cirr.load(official / "cirr", "train")


def test_flickr30k_cn_in_both_forms(official: Path, tmp_path: Path) -> None:
    found = {}
    for form in ("jpg-comma", "zhm-tab"):
        root = tmp_path / form
        root.mkdir()
        (root / "flickr30k_cn_test.txt").symlink_to(official / "flickr30k-cn" / f"flickr30k_cn_test.{form}.txt")
        found[form] = flickr30k_cn.load(root, "test")
        assert (len(found[form].queries), len(found[form].gallery)) == (5000, 1000)
        assert len({query.text for query in found[form].queries}) == 4998
    comma, tab = (_by_image(found[form]) for form in ("jpg-comma", "zhm-tab"))
    assert comma.keys() == tab.keys()
    assert sum(comma[image] != tab[image] for image in comma) == 61


def _by_image(dataset: Dataset) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for query in dataset.queries:
        texts.setdefault(query.positives[0], []).append(query.text)
    return texts


def test_cvlue_samples(official: Path) -> None:
    gold = cvlue.load(official / "cvlue" / "test_example_IC", "gold")
    train = cvlue.load(official / "cvlue" / "baseline_example_IC", "example")
    assert (len(gold.queries), len(gold.gallery)) == (10, 2)
    assert (len(train.queries), len(train.gallery)) == (20, 4)


def test_wikipedia(official: Path) -> None:
    dataset = wikipedia.load(official / "wikipedia", "test")
    assert (len(dataset.queries), len(dataset.gallery)) == (693, 693)
    lengths = [len(query.text.split()) for query in dataset.queries]
    assert min(lengths) == 250 and max(lengths) == 1768 and round(sum(lengths) / 693) == 533
    assert not any("&ndash;" in query.text or "</text>" in query.text for query in dataset.queries)
    assert dataset.notes == ("203 of 693 XML files are not well formed; their text was recovered",)
    with pytest.raises(UserError, match="2173 of the 2173 texts"):
        wikipedia.load(official / "wikipedia", "train")


def test_xm3600_with_the_official_images_and_numbers_of_captions(official: Path, tmp_path: Path) -> None:
    """The captions themselves are not at hand: each image gets placeholders, as many in all as were counted."""
    keys = (official / "xm3600" / "image_ids.txt").read_text().split()
    counted = json.loads((official / "xm3600" / "caption_counts_per_language.json").read_text())["test"]
    each = {
        language: found["relevant_docs_statistics"]["num_relevant_docs"]
        for language, found in counted["hf_subset_descriptive_stats"].items()
    }
    with (tmp_path / "captions.jsonl").open("w") as file:
        for place, key in enumerate(keys):
            row: dict[str, object] = {"image/key": key, "image/locale": "de"}
            for language, total in each.items():
                captions = total // len(keys) + (place < total % len(keys))
                row[language] = {"caption": ["…"] * captions}
            file.write(json.dumps(row) + "\n")
    dataset = xm3600.load(tmp_path, "test")
    assert (len(dataset.queries), len(dataset.gallery), len(each)) == (261_375, 3600, 36)
    found = collections.Counter(query.language for query in dataset.queries)
    assert found == each and found["bn"] == 3600 and found["de"] == 8643
