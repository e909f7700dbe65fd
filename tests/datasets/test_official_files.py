"""The loaders on the benchmarks' real annotation files; the figures were counted by others on the full files."""

from __future__ import annotations

import collections
import json
import os
import re
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.datasets import cirr, cvlue, flickr30k_cn, wikipedia, xm3600
from grapebench.datasets.cvlue_categories import group_of
from grapebench.datasets.place import Place
from grapebench.errors import UserError

pytestmark = pytest.mark.annotations


@pytest.fixture
def official() -> Path:
    return Path(os.environ["GRAPEBENCH_ANNOTATIONS"])


@pytest.mark.parametrize(("split", "queries", "images"), [("val", 4181, 2297), ("test1", 4148, 2315)])
def test_cirr(official: Path, split: str, queries: int, images: int) -> None:
    dataset = cirr.load(Place.of(official / "cirr"), split)
    assert (len(dataset.queries), len(dataset.gallery)) == (queries, images)
    for query in dataset.queries:
        assert len(query.subset) == 5 and query.reference not in query.subset, "six distinct members, one the reference"
        assert query.excluded == (query.reference,)


def test_cirr_val_labels(official: Path) -> None:
    dataset = cirr.load(Place.of(official / "cirr"), "val")
    assert all(len(query.positives) == 1 and query.positives[0] in query.subset for query in dataset.queries)
    targets = {query.positives[0] for query in dataset.queries}
    references = {query.reference for query in dataset.queries}
    assert len(targets - references) == 100
    assert len(set(dataset.gallery.ids) - targets - references) == 32
    assert len(dataset.queries) - len({query.text for query in dataset.queries}) == 24
    assert sum(not query.text.isascii() for query in dataset.queries) == 2
    grades = collections.Counter(grade for query in dataset.queries for _, grade in query.grades)
    assert grades == {1.0: 4216, -1.0: 807, 0.5: 62, 0.2: 6}
    absent = [query for query in dataset.queries if query.positives[0] not in dict(query.grades)]
    assert len(absent) == 37
    assert all(query.reference in dict(query.grades) for query in absent), "there the reference is graded instead"
    assert dataset.notes == (
        "the target of 37 queries has no grade among the soft labels",
        "the soft labels of 37 queries grade the reference image",
    )


def test_cirr_test1_has_no_labels_and_a_blank_caption(official: Path) -> None:
    dataset = cirr.load(Place.of(official / "cirr"), "test1")
    assert {(query.positives, query.grades) for query in dataset.queries} == {((), ())}
    assert [query.id for query in dataset.queries if not query.text.strip()] == ["27098"]
    assert next(query for query in dataset.queries if query.id == "27098").text == " "
    assert dataset.notes == ("the split has no public labels", "1 blank captions are queries all the same")


def test_cirr_train(official: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cap.rc2.train.json: the file is missing"):
        cirr.load(Place.of(official / "cirr"), "train")
    # Its captions are not at hand; one of our own shows the official gallery.
    (tmp_path / "image_splits").symlink_to(official / "cirr" / "image_splits")
    first, second, *_ = json.loads((tmp_path / "image_splits" / "split.rc2.train.json").read_text())
    record = {"pairid": 0, "reference": first, "target_hard": second, "target_soft": {second: 1.0}, "caption": "as is"}
    (tmp_path / "captions").mkdir()
    captions = [record | {"img_set": {"members": [first, second]}}]
    (tmp_path / "captions" / "cap.rc2.train.json").write_text(json.dumps(captions))
    assert len(cirr.load(Place.of(tmp_path), "train").gallery) == 16_939


def test_flickr30k_cn_in_both_forms(official: Path) -> None:
    found = {}
    for form, note in (
        ("jpg-comma", "<id>.jpg,<caption>"),
        ("zhm-tab", "<id>#zhm#<n>, a tab or spaces, and the caption"),
    ):
        place = Place.of(official / "flickr30k-cn" / f"flickr30k_cn_test.{form}.txt")
        found[form] = flickr30k_cn.load(place, "test")
        assert (len(found[form].queries), len(found[form].gallery)) == (5000, 1000)
        assert len({query.text for query in found[form].queries}) == 4998
        assert found[form].notes == (f"the form read is {note}", "2 captions repeat an earlier one word for word")
    comma, tab = found.values()
    assert comma.gallery.ids == tab.gallery.ids
    texts = [{query.id: query.text for query in dataset.queries} for dataset in (comma, tab)]
    assert texts[0].keys() == texts[1].keys()
    differ = [name for name, text in texts[0].items() if text != texts[1][name]]
    assert len({name.partition("#")[0] for name in differ}) == 61
    latin = [
        sum(any(letter.isascii() and letter.isalpha() for letter in text) for text in some.values()) for some in texts
    ]
    assert latin == [77, 0], "the second has lost its Latin letters"


def test_flickr30k_cn_asks_which_of_several_forms_is_meant(official: Path) -> None:
    with pytest.raises(
        UserError, match="flickr30k_cn_test.jpg-comma.txt and flickr30k_cn_test.zhm-tab.txt; name the one"
    ):
        flickr30k_cn.load(Place.of(official / "flickr30k-cn"), "test")


def test_cvlue_samples(official: Path) -> None:
    folder = official / "cvlue" / "test_example_IC"
    gold = cvlue.load(Place.of(folder), "gold")
    assert (len(gold.queries), len(gold.gallery), gold.captions) == (10, 2, 10)
    assert gold.gallery.categories == ("1-panda", "2-cow") and group_of("1-panda") == "Animals"
    train = cvlue.load(Place.of(official / "cvlue" / "baseline_example_IC"), "example")
    assert (len(train.queries), len(train.gallery)) == (20, 4)
    assert all(group_of(category) for category in train.gallery.categories)
    # The blind form with the gold file beside it, and what a submission to it is keyed by.
    test = cvlue.load(Place.of(folder), "test")
    assert {query.text: query.positives for query in test.queries} == {
        query.text: query.positives for query in gold.queries
    }
    assert [query.id for query in test.queries] == [f"caption#{n}" for n in range(1, 11)]
    assert {query.text for query in test.queries} == set(json.loads((folder / "t2i_submit.json").read_text("utf-8")))
    assert set(test.gallery.ids) == set(json.loads((folder / "i2t_submit.json").read_text("utf-8")))


def test_cvlue_blind_sample(official: Path, tmp_path: Path) -> None:
    for name in ("images.json", "captions.json"):
        (tmp_path / name).symlink_to(official / "cvlue" / "test_example_IC" / name)
    blind = cvlue.load(Place.of(tmp_path), "test")
    assert (len(blind.queries), len(blind.gallery)) == (10, 2)
    assert {query.positives for query in blind.queries} == {()}


def test_wikipedia(official: Path) -> None:
    dataset = wikipedia.load(Place.of(official / "wikipedia"), "test")
    assert (len(dataset.queries), len(dataset.gallery)) == (693, 693)
    assert any("." in query.id for query in dataset.queries)
    assert {query.positives for query in dataset.queries} == {(image,) for image in dataset.gallery.ids}
    categories = dict(zip(dataset.gallery.ids, dataset.gallery.categories, strict=True))
    assert all(query.category == categories[query.positives[0]] for query in dataset.queries)
    assert collections.Counter(dataset.gallery.categories).most_common(1) == [("warfare", 104)]
    assert len(set(dataset.gallery.categories)) == 10
    # No note on categories: the original id in each XML is that of the list's category.
    assert dataset.notes == (
        "203 of 693 XML files are not well formed (undefined entity in 140, invalid token in 63);"
        " their text was recovered",
        "wiki markup was stripped: bold and italics in 543, lists in 28, comments in 3, tables in 1, categories in 1",
        "401 articles have sections in trainset_txt_img_cat.list too",
    )


def test_wikipedia_texts(official: Path) -> None:
    files = sorted((official / "wikipedia" / "texts").iterdir())
    recovered = [wikipedia.recover(file.read_text("utf-8"), file)[0] for file in files]
    lengths = [len(text.split()) for text in recovered]
    assert (len(files), min(lengths), max(lengths), round(sum(lengths) / 693)) == (693, 250, 1768, 533)
    assert not any("&ndash;" in text or "</text>" in text for text in recovered)
    texts = [wikipedia.read_article(file).text for file in files]
    left = re.compile(r"''|\[\[|\]\]|\{\{|\}\}|\{\||\|\}|-->|&\w+;|^[|*:#;]|^\s*(?:Category|Image|File)\s*:", re.M)
    assert not any(left.search(text) for text in texts)
    # All that stripping takes is marks, but for the attributes of one table and the end of one page.
    letters = re.compile(r"\W")
    changed = [
        one for one, other in zip(recovered, texts, strict=True) if letters.sub("", one) != letters.sub("", other)
    ]
    assert len(changed) == 2


def _letters(text: str) -> str:
    return re.sub(r"\W", "", text)


def test_wikipedia_train_list_and_both_galleries(official: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2173 of the 2173 texts"):
        wikipedia.load(Place.of(official / "wikipedia"), "train")
    for file in (official / "wikipedia").glob("*.list"):
        (tmp_path / file.name).symlink_to(file)
    # The texts of this split are not at hand.
    (tmp_path / "texts").mkdir()
    for line in (tmp_path / "trainset_txt_img_cat.list").read_text().splitlines():
        (tmp_path / "texts" / f"{line.split()[0]}.xml").write_text("<document><text>…</text></document>")
    train = wikipedia.load(Place.of(tmp_path), "train", gallery="all")
    assert (len(train.queries), len(train.gallery)) == (2173, 2866)
    assert len({query.positives for query in train.queries}) == 2173, "strictly one to one"
    assert train.notes[-1] == "401 articles have sections in testset_txt_img_cat.list too"
    test = wikipedia.load(Place.of(official / "wikipedia"), "test", gallery="all")
    assert test.gallery.ids == train.gallery.ids


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
    dataset = xm3600.load(Place.of(tmp_path), "test")
    assert (len(dataset.queries), len(dataset.gallery), len(each)) == (261_375, 3600, 36)
    assert all(re.fullmatch("[0-9a-f]{16}", image) for image in dataset.gallery.ids)
    found = collections.Counter(query.language for query in dataset.queries)
    assert found == each and found["bn"] == 3600 and found["de"] == 8643
    assert sorted(each) == list(catalog.task_card("xm3600").card.languages)
    assert dataset.notes == (), "no language lacks an image"
    german = xm3600.load(Place.of(tmp_path), "test", languages=["de"])
    assert (len(german.queries), len(german.gallery)) == (8643, 3600)
