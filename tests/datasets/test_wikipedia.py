from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.datasets import wikipedia
from grapebench.errors import UserError

WHOLE = (
    '<document id="{id}" name="x" cat="3">\n<text>\nA &lt;b&gt; &amp; c.\n</text>\n<imageset></imageset>\n</document>'
)


def write(root: Path, rows: list[str], split: str = "test") -> Path:
    path = root / f"{split}set_txt_img_cat.list"
    path.write_text("".join(row + "\n" for row in rows))
    (root / "texts").mkdir(exist_ok=True)
    for row in rows:
        name = row.split("\t")[0]
        (root / "texts" / f"{name}.xml").write_text(WHOLE.format(id=name))
    return path


def test_a_text_is_a_query_for_its_image(tmp_path: Path) -> None:
    write(tmp_path, ["a-1.2\tpicture1\t3", "a-2\tpicture2\t1"])
    dataset = wikipedia.load(tmp_path, "test")
    assert [(q.id, q.text, q.positives) for q in dataset.queries] == [
        ("a-1.2", "A <b> & c.", ("picture1",)),
        ("a-2", "A <b> & c.", ("picture2",)),
    ]
    assert dataset.gallery.ids == ("picture1", "picture2") and dataset.notes == ()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("1914&ndash;1918 &hellip;", "1914–1918 …"),
        ("R&B &ndash; soul", "R&B – soul"),
        ("see ?x=1&lt=2&copy=3&amp;y", "see ?x=1&lt=2&copy=3&y"),
        ("5 < 6 & 7 > 6", "5 < 6 & 7 > 6"),
        ("&nosuchentity; &#8211; &#x2013;", "&nosuchentity; – –"),
        ("<b>bold & brave</b>", "<b>bold & brave</b>"),
    ],
)
def test_malformed_xml_is_recovered_and_counted(tmp_path: Path, body: str, text: str) -> None:
    write(tmp_path, ["a-1\tpicture1\t3", "a-2\tpicture2\t1"])
    (tmp_path / "texts" / "a-1.xml").write_text(WHOLE.format(id="a-1").replace("A &lt;b&gt; &amp; c.", body))
    dataset = wikipedia.load(tmp_path, "test")
    assert dataset.queries[0].text == text
    assert dataset.notes == ("1 of 2 XML files are not well formed; their text was recovered",)


def test_what_cannot_be_recovered_is_said(tmp_path: Path) -> None:
    write(tmp_path, ["a-1\tpicture1\t3"])
    article = tmp_path / "texts" / "a-1.xml"
    article.write_text("<document>\n<text>cut off")
    with pytest.raises(UserError, match=f"{article}:2: no text can be recovered"):
        wikipedia.load(tmp_path, "test")
    article.write_text("<document><body>no text</body></document>")
    with pytest.raises(UserError, match=f"{article}:1: the XML has no <text>"):
        wikipedia.load(tmp_path, "test")
    article.write_bytes(b"<document>\n<text>caf\xe9</text></document>")
    with pytest.raises(UserError, match=f"{article}:2: not UTF-8"):
        wikipedia.load(tmp_path, "test")


def test_texts_of_the_list_that_are_missing_are_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path, [f"a-{n:02}\tpicture{n}\t3" for n in range(15)])
    for n in range(12):
        (tmp_path / "texts" / f"a-{n:02}.xml").unlink()
    with pytest.raises(UserError) as caught:
        wikipedia.load(tmp_path, "test")
    assert "12 of the 15 texts" in str(caught.value)
    assert "a-09.xml, …" in str(caught.value) and "a-10.xml" not in str(caught.value)


@pytest.mark.parametrize("folder", ["images/biology", "images"])
def test_images_lie_by_category_or_flat(tmp_path: Path, folder: str) -> None:
    write(tmp_path, ["a-1\tpicture1\t2"])
    (tmp_path / "categories.list").write_text("art\nbiology\n")
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "picture1.jpg").write_bytes(b"here")
    assert wikipedia.load(tmp_path, "test").gallery.images.read("picture1") == b"here"


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a-1\tpicture2\t3", "text 'a-1' occurs twice, first on line 1"),
        ("a-2\tpicture1\t3", "image 'picture1' occurs twice, first on line 1"),
        ("a-2\tpicture2", "expected 3 columns (text id, image id, category)"),
        ("a-2\tpicture2\tart", "the category must be a number from 1, found 'art'"),
        ("a-2\tpicture2\t3", "category 3 is not in categories.list, which has 2"),
    ],
)
def test_what_is_wrong_with_the_list_is_said_with_its_line(tmp_path: Path, row: str, what: str) -> None:
    path = write(tmp_path, ["a-1\tpicture1\t1", row])
    (tmp_path / "categories.list").write_text("art\nbiology\n")
    (tmp_path / "images" / "art").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        wikipedia.load(tmp_path, "test")
    assert str(caught.value).startswith(f"{path}:2: ") and what in str(caught.value)
