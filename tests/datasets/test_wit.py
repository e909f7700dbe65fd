from __future__ import annotations

import csv
import gzip
import hashlib
from pathlib import Path

import pytest

from grapebench.datasets import wikipedia, wit
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from tests.datasets.forms import miniature, wit_row, wit_shards, write_wit

HALF_DOME, YAK = "https://example.org/Half_Dome.jpg", "https://example.org/Yak,_1.png"
NAME = "wit_v1.test.all-00000-of-00001.tsv"


def md5(address: str) -> str:
    return hashlib.md5(address.encode()).hexdigest()


def test_a_row_is_a_query_for_its_picture(tmp_path: Path) -> None:
    rows = [
        wit_row(HALF_DOME, 'Half Dome is a\n\n"granite"\tdome.', "Its section."),
        wit_row(YAK, "The yak.", "The yak."),
        wit_row(HALF_DOME, "", "  Seen from another page. "),
        wit_row(YAK, "Le yak.", language="fr"),
    ]
    path = write_wit(tmp_path / NAME, rows)
    dataset = wit.load(Place.of(tmp_path), "test")
    half_dome, yak = md5(HALF_DOME), md5(YAK)
    assert [(query.id, query.text, query.positives, query.language) for query in dataset.queries] == [
        (f"{half_dome}#en#1", 'Half Dome is a\n\n"granite"\tdome.\nIts section.', (half_dome,), "en"),
        (f"{yak}#en#1", "The yak.", (yak,), "en"),
        (f"{half_dome}#en#2", "Seen from another page.", (half_dome,), "en"),
    ]
    assert dataset.gallery.ids == (half_dome, yak)
    assert dataset.notes == ("1 images have several texts",) and dataset.files == (path,)


def test_pictures_bear_the_hash_of_their_address(tmp_path: Path) -> None:
    write_wit(tmp_path / NAME, [wit_row(YAK, "The yak.")])
    (tmp_path / "fetched").mkdir()
    (tmp_path / "fetched" / f"{md5(YAK)}.png").write_bytes(b"yak")
    assert wit.load(Place.of(tmp_path), "test").gallery.images.read(md5(YAK)) == b"yak"


def test_rows_that_are_not_asked_are_counted(tmp_path: Path) -> None:
    rows = [wit_row(HALF_DOME, "Half Dome."), wit_row(YAK, "The yak.", main="False"), wit_row(YAK, " \n", "\t")]
    write_wit(tmp_path / NAME, rows)
    place = Place.of(tmp_path)
    main = wit.load(place, "test")
    assert len(main.queries) == 1
    assert main.gallery.ids == (md5(HALF_DOME), md5(YAK)), "a row without text has an image all the same"
    assert main.notes == (
        "1 rows of other than main images are left out",
        "1 rows without text ask for nothing; their images are searched",
    )
    every = wit.load(place, "test", main_only=False)
    assert [query.text for query in every.queries] == ["Half Dome.", "The yak."]
    assert every.gallery.ids == (md5(HALF_DOME), md5(YAK))
    assert every.notes == ("1 rows without text ask for nothing; their images are searched",)


def test_languages_and_columns_can_be_chosen(tmp_path: Path) -> None:
    rows = [wit_row(HALF_DOME, "Page.", "Section."), wit_row(YAK, "Seite.", "Teil.", language="de")]
    path = write_wit(tmp_path / NAME, rows)
    place = Place.of(tmp_path)
    chosen = wit.load(place, "test", languages=["de", "en"], columns=["context_section_description"])
    assert [(query.text, query.language) for query in chosen.queries] == [("Section.", "en"), ("Teil.", "de")]
    with pytest.raises(UserError) as caught:
        wit.load(place, "test", languages=["de", "ger"])
    assert str(caught.value) == f"{path}: no rows in the language 'ger'; there is: en, de"
    with pytest.raises(UserError, match="WIT has no column 'caption'; there is: language, page_url"):
        wit.load(place, "test", columns=["caption"])


def test_shards_are_read_in_their_order_plain_or_gzipped(tmp_path: Path) -> None:
    names = [f"wit_v1.test.all-0000{n}-of-00003.tsv{end}" for n, end in ((2, ""), (0, ".gz"), (1, ""))]
    for name in names:
        write_wit(tmp_path / name, [wit_row(f"https://example.org/{name[16:20]}", f"Shard {name[20]}.")])
    # Of a shard that lies there twice one is read, and the small sample not at all.
    write_wit(tmp_path / f"{names[0]}.gz", [wit_row(YAK, "The same again.")])
    write_wit(tmp_path / "wit_v1.test.all-1percent_sample.tsv.gz", [wit_row(YAK, "The sample.")])
    dataset = wit.load(Place.of(tmp_path), "test")
    assert [query.text for query in dataset.queries] == ["Shard 0.", "Shard 1.", "Shard 2."]
    assert [file.name for file in dataset.files] == [names[1], names[2], names[0]]


def test_missing_shards_are_said_and_one_file_can_be_named(tmp_path: Path) -> None:
    path = write_wit(tmp_path / "wit_v1.val.all-00003-of-00005.tsv", [wit_row(YAK, "The yak.")])
    with pytest.raises(UserError) as caught:
        wit.load(Place.of(tmp_path), "val")
    assert str(caught.value) == (
        f"{tmp_path}/wit_v1.val.all-00000-of-00005.tsv.gz: 4 of the 5 files of the split are missing, such as this one;"
        " fetch them, or name the one file to read"
    )
    assert len(wit.load(Place(path, tmp_path), "val").queries) == 1
    with pytest.raises(UserError, match=r"wit_v1.test.all-\*.tsv.gz: there is no such file"):
        wit.load(Place.of(tmp_path), "test")


def broken(tmp_path: Path, text: str | bytes, name: str = NAME) -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        wit.load(Place.of(tmp_path), "test")
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


HEADER = "\t".join(wit.COLUMNS) + "\n"
ROW = "\t".join(wit_row(YAK, "The yak.")) + "\n"
# A row of two lines, so that the next begins on line 4.
TALL = "\t".join(wit_row(HALF_DOME, '"Half\nDome."')) + "\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", ":1: the file is empty"),
        ("en\tpage\n", ":1: the first line does not name the 17 columns of WIT"),
        (HEADER, ": no rows in the language 'en'; there is: none"),
        (HEADER + TALL + "en\tpage\n", ":4: expected 17 columns, found 2"),
        (HEADER + TALL + ROW.replace("The yak.", "The\tyak."), ":4: expected 17 columns, found 18"),
        (HEADER + TALL + ROW.replace("The yak.", '"The" yak.'), ":4: the quoting is broken ('\t' expected after '\"')"),
        (HEADER + TALL + ROW.replace("The yak.", '"The yak.'), ":4: the quoting is broken (unexpected end of data)"),
        (HEADER + TALL + ROW.replace("true", "yes"), ":4: is_main_image must be true or false, found 'yes'"),
        (HEADER + TALL + ROW.replace(YAK, ""), ":4: the image_url is empty"),
        (HEADER + ROW.replace("true", "false"), ": no row is left to ask"),
        ((HEADER + TALL).encode() + b"en\xe9\n", ":4: not UTF-8 (byte 0xe9)"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, what: str) -> None:
    assert broken(tmp_path, text).startswith(what)


def test_a_broken_archive_is_said(tmp_path: Path) -> None:
    whole = gzip.compress((HEADER + ROW * 50).encode())
    assert "the gzip file is broken or broken off" in broken(tmp_path, whole[:-20], NAME + ".gz")
    spoilt = whole[:60] + bytes(byte ^ 0xFF for byte in whole[60:90]) + whole[90:]
    assert "the gzip file is broken or broken off" in broken(tmp_path, spoilt, NAME + ".gz")


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wit, "LONGEST", 4096)
    bomb = gzip.compress((HEADER + TALL + "x" * 100_000).encode())
    assert broken(tmp_path, bomb, NAME + ".gz").startswith(":4: a line of more than")


def test_long_fields_are_read_and_the_csv_module_is_left_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    write_wit(tmp_path / NAME, [wit_row(YAK, "yak " * 50_000)])
    assert len(wit.load(Place.of(tmp_path), "test").queries[0].text) == 199_999
    assert csv.field_size_limit() == before


def test_the_miniature_as_wit_with_its_pictures(tmp_path: Path) -> None:
    source = miniature("wikipedia", tmp_path / "source", images=8)
    wit_shards(source, tmp_path / "wit")
    articles = wikipedia.load(Place.of(source), "test")
    dataset = wit.load(Place.of(tmp_path / "wit"), "test")
    assert [query.text.split() for query in dataset.queries] == [query.text.split() for query in articles.queries]
    assert dataset.gallery.images.missing(dataset.gallery.ids) == []
    assert dataset.gallery.images.sha256(dataset.gallery.ids) == articles.gallery.images.sha256(articles.gallery.ids)


@pytest.mark.parametrize("zipped", [False, True])
def test_marks_blank_last_lines_and_utf_16(tmp_path: Path, zipped: bool) -> None:
    path = write_wit(tmp_path / NAME, [wit_row(YAK, "The yak.")])
    plain = path.read_bytes()

    def put(data: bytes) -> None:
        path.write_bytes(gzip.compress(data) if zipped else data)

    put(b"\xef\xbb\xbf" + plain + b"\r\n\n")
    assert [query.text for query in wit.load(Place.of(tmp_path), "test").queries] == ["The yak."]
    put(plain.decode().encode("utf-16"))
    with pytest.raises(UserError, match="is UTF-16, not UTF-8"):
        wit.load(Place.of(tmp_path), "test")
