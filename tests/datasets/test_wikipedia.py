from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.datasets import wikipedia
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets import forms

WHOLE = (
    '<document id="{id}" name="x" cat="14">\n<text>\nA &lt;x&gt; &amp; c.\n</text>\n<imageset></imageset>\n</document>'
)
# The categories and the originals of the real files' kind, in small.
CATEGORIES = "art\nbiology\nroyalty\n"
ORIGINALS = "Art, architecture and archaeology\nBiology\nHealth and medicine \nRoyalty, nobility and heraldry\n"


def write(root: Path, rows: list[str], split: str = "test") -> Path:
    path = root / f"{split}set_txt_img_cat.list"
    path.write_text("".join(row + "\n" for row in rows))
    (root / "texts").mkdir(exist_ok=True)
    for row in rows:
        name = row.split("\t")[0]
        (root / "texts" / f"{name}.xml").write_text(WHOLE.format(id=name))
    return path


def test_a_text_is_a_query_for_its_image(tmp_path: Path) -> None:
    path = write(tmp_path, ["a-1.2\tpicture1\t3", "a-2\tpicture2\t1"])
    dataset = wikipedia.load(Place.of(tmp_path), "test")
    assert [(q.id, q.text, q.positives, q.category) for q in dataset.queries] == [
        ("a-1.2", "A <x> & c.", ("picture1",), "category 3"),
        ("a-2", "A <x> & c.", ("picture2",), "category 1"),
    ]
    assert dataset.gallery.ids == ("picture1", "picture2")
    assert dataset.gallery.categories == ("category 3", "category 1")
    assert dataset.notes == () and dataset.files == (path,)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("1914&ndash;1918 &hellip;", "1914–1918 …"),
        ("R&B &ndash; soul", "R&B – soul"),
        ("see ?x=1&lt=2&copy=3&amp;y", "see ?x=1&lt=2&copy=3&y"),
        ("5 < 6 & 7 > 6", "5 < 6 & 7 > 6"),
        ("&nosuchentity; &#8211; &#x2013;", "&nosuchentity; – –"),
        ("<x>bold & brave</x>", "<x>bold & brave</x>"),
    ],
)
def test_malformed_xml_is_recovered(tmp_path: Path, body: str, text: str) -> None:
    write(tmp_path, ["a-1\tpicture1\t3", "a-2\tpicture2\t1"])
    (tmp_path / "texts" / "a-1.xml").write_text(WHOLE.format(id="a-1").replace("A &lt;x&gt; &amp; c.", body))
    dataset = wikipedia.load(Place.of(tmp_path), "test")
    assert dataset.queries[0].text == text
    assert dataset.notes[0].startswith("1 of 2 XML files are not well formed (")


def test_each_kind_of_repair_is_counted(tmp_path: Path) -> None:
    bodies = ["a &ndash; b", "R & B", "''x''\n* y", "''z''", "1914 &ndash; ''w''"]
    write(tmp_path, [f"a-{number}\tpicture{number}\t1" for number in range(6)])
    for number, body in enumerate(bodies):
        text = f'<document id="a" name="x" cat="1">\n<text>\n{body}\n</text>\n</document>'
        (tmp_path / "texts" / f"a-{number}.xml").write_text(text)
    assert wikipedia.load(Place.of(tmp_path), "test").notes == (
        "3 of 6 XML files are not well formed (undefined entity in 2, invalid token in 1); their text was recovered",
        "wiki markup was stripped: bold and italics in 3, lists in 1",
    )


def test_an_entity_bomb_is_no_way_in(tmp_path: Path) -> None:
    write(tmp_path, ["a-1\tpicture1\t1"])
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE document [<!ENTITY e0 "ha">{levels}]><document cat="1"><text>&e11;</text></document>'
    (tmp_path / "texts" / "a-1.xml").write_text(bomb)
    assert wikipedia.load(Place.of(tmp_path), "test").queries[0].text == "&e11;"


def test_what_cannot_be_recovered_is_said(tmp_path: Path) -> None:
    write(tmp_path, ["a-1\tpicture1\t3"])
    article = tmp_path / "texts" / "a-1.xml"
    article.write_text("<document>\n<text>cut off")
    with pytest.raises(UserError, match=f"{article}:2: no text can be recovered"):
        wikipedia.load(Place.of(tmp_path), "test")
    article.write_text("<document><body>no text</body></document>")
    with pytest.raises(UserError, match=f"{article}:1: the XML has no <text>"):
        wikipedia.load(Place.of(tmp_path), "test")
    article.write_bytes(b"<document>\n<text>caf\xe9</text></document>")
    with pytest.raises(UserError, match=f"{article}:2: not UTF-8"):
        wikipedia.load(Place.of(tmp_path), "test")


def test_texts_of_the_list_that_are_missing_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path, [f"a-{n:02}\tpicture{n}\t3" for n in range(15)])
    for n in range(12):
        (tmp_path / "texts" / f"a-{n:02}.xml").unlink()
    with pytest.raises(UserError) as caught:
        wikipedia.load(Place.of(tmp_path), "test")
    assert "12 of the 15 texts" in str(caught.value)
    assert "a-09.xml, …" in str(caught.value) and "a-10.xml" not in str(caught.value)


@pytest.mark.parametrize("folder", ["images/biology", "images"])
def test_images_lie_by_category_or_flat(tmp_path: Path, folder: str) -> None:
    write(tmp_path, ["a-1\tpicture1\t2"])
    (tmp_path / "categories.list").write_text(CATEGORIES)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "picture1.jpg").write_bytes(b"here")
    assert wikipedia.load(Place.of(tmp_path), "test").gallery.images.read("picture1") == b"here"


def test_categories_are_named_and_held_against_the_xml(tmp_path: Path) -> None:
    write(tmp_path, ["a-1\tpicture1\t1", "a-2\tpicture2\t3", "a-3\tpicture3\t2", "a-4\tpicture4\t2"])
    (tmp_path / "categories.list").write_text(CATEGORIES)
    (tmp_path / "categories_originalids.list").write_text(ORIGINALS)
    # Art, royalty; health, which is none of the ten; none at all.
    for number, original in enumerate(("1", "4", "3", ""), start=1):
        article = tmp_path / "texts" / f"a-{number}.xml"
        article.write_text(WHOLE.format(id=f"a-{number}").replace('cat="14"', f'cat="{original}"'))
    dataset = wikipedia.load(Place.of(tmp_path), "test")
    assert [query.category for query in dataset.queries] == ["art", "royalty", "biology", "biology"]
    assert dataset.gallery.categories == ("art", "royalty", "biology", "biology")
    assert dataset.notes == ("the XML of 2 texts names another category than the list",)
    (tmp_path / "categories_originalids.list").unlink()
    assert wikipedia.load(Place.of(tmp_path), "test").notes == ()


def test_both_splits_may_be_searched_together(tmp_path: Path) -> None:
    test = write(tmp_path, ["a-1\tpicture1\t1", "b-1\tpicture2\t2"])
    train = write(tmp_path, ["b-2\tpicture3\t2", "b-3\tpicture4\t2", "c-1\tpicture5\t1"], "train")
    place = Place.of(tmp_path)
    shared = "1 articles have sections in {} too"
    alone = wikipedia.load(place, "test")
    assert alone.gallery.ids == ("picture1", "picture2") and alone.files == (test,)
    assert alone.notes == (shared.format(train.name),)
    for split, other in (("test", train), ("train", test)):
        both = wikipedia.load(place, split, gallery="all")
        assert both.gallery.ids == ("picture1", "picture2", "picture3", "picture4", "picture5")
        assert len(both.gallery.categories) == 5 and set(both.files) == {test, train}
        assert both.queries == wikipedia.load(place, split).queries
        assert both.notes == (shared.format(other.name),)


def test_a_gallery_that_cannot_be_had_is_said(tmp_path: Path) -> None:
    write(tmp_path, ["a-1\tpicture1\t1"])
    with pytest.raises(UserError, match="needs another split's list beside testset_txt_img_cat.list"):
        wikipedia.load(Place.of(tmp_path), "test", gallery="all")
    with pytest.raises(UserError, match="unknown gallery 'both' for Wikipedia; there is: split, all"):
        wikipedia.load(Place.of(tmp_path), "test", gallery="both")


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a-1\tpicture2\t3", "text 'a-1' occurs twice, first on line 1"),
        ("a-2\tpicture1\t3", "image 'picture1' occurs twice, first on line 1"),
        ("a-2\tpicture2", "expected 3 columns (text id, image id, category)"),
        ("a-2\tpicture2\tart", "the category must be a number from 1, found 'art'"),
        ("a-2\tpicture2\t0", "the category must be a number from 1, found '0'"),
        ("a-2\tpicture2\t4", "category 4 is not in categories.list, which has 3"),
        ("../../etc/passwd\tpicture2\t1", "the text id '../../etc/passwd' cannot be the name of a file"),
        ("a..b\tpicture2\t1", "the text id 'a..b' cannot be the name of a file"),
        ("a-2\t/picture2\t1", "the image id '/picture2' cannot be the name of a file"),
        ("a-2\tsub\\picture2\t1", "the image id 'sub\\\\picture2' cannot be the name of a file"),
        ("\tpicture2\t1", "the text id '' cannot be the name of a file"),
    ],
)
def test_what_is_wrong_with_the_list_is_said_with_its_line(tmp_path: Path, row: str, what: str) -> None:
    path = write(tmp_path, ["a-1\tpicture1\t1"])
    path.write_text(f"a-1\tpicture1\t1\n{row}\n")
    (tmp_path / "categories.list").write_text(CATEGORIES)
    with pytest.raises(UserError) as caught:
        wikipedia.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(f"{path}:2: ") and what in str(caught.value)


def test_the_miniature_is_read_with_its_pictures(tmp_path: Path) -> None:
    dataset = wikipedia.load(Place.of(forms.miniature("wikipedia", tmp_path, images=8)), "test")
    assert len(dataset.queries) == len(dataset.gallery) == 8
    assert dataset.gallery.images.missing(dataset.gallery.ids) == []
    assert not any("stripped" in note for note in dataset.notes), "the miniature's articles hold no markup"
    assert all(query.category in dataset.gallery.categories for query in dataset.queries)
