from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench.datasets import flickr30k_cn
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset
from tests.datasets import forms

COMMA = "image,caption\n11.jpg,一只狗,两只猫\n11.jpg,\n22.jpg,看 22.jpg,照片\n"
NUMBERED = "11#zhm#1\t一只狗,两只猫\n22#zhm#1\t看 22.jpg,照片\n11#zhm#0\t"
TAB = "11\t一只狗,两只猫\n11\t\n22\t看 22.jpg,照片\n"
TAB_JPG = TAB.replace("11\t", "11.jpg\t").replace("22\t", "22.jpg\t")


def write(folder: Path, text: str | bytes, name: str = "flickr30k_cn_test.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def load(folder: Path, split: str = "test") -> Dataset:
    return flickr30k_cn.load(Place.of(folder), split)


def captions(folder: Path) -> list[str]:
    return [query.text for query in load(folder).queries]


@pytest.mark.parametrize("text", [COMMA, COMMA.removeprefix("image,caption\n"), NUMBERED, TAB, TAB_JPG])
@pytest.mark.parametrize("disguise", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n")])
def test_all_text_forms_give_the_same_queries(tmp_path: Path, text: str, disguise: type[str]) -> None:
    write(tmp_path, disguise(text))
    dataset = load(tmp_path)
    found = {query.id: (query.text, query.positives, query.language) for query in dataset.queries}
    assert found == {
        "11#1": ("一只狗,两只猫", ("11",), "zh"),
        "11#2": ("", ("11",), "zh"),
        "22#1": ("看 22.jpg,照片", ("22",), "zh"),
    }
    assert dataset.gallery.ids == ("11", "22")
    assert "1 blank captions are queries all the same" in dataset.notes


def test_queries_stay_in_file_order(tmp_path: Path) -> None:
    write(tmp_path, NUMBERED)
    assert [query.id for query in load(tmp_path).queries] == ["11#1", "22#1", "11#2"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Place]]:
    root = tmp_path_factory.mktemp("drawn")
    source = forms.miniature("flickr30k-cn", root / "comma", "val", images=7)
    return source, forms.flickr30k_cn(source, root / "others", "val")


@pytest.mark.parametrize("form", ["zhm-tab", "id-tab", "jpg-tab", "headless", "archive", "imgs-tsv", "lmdb"])
def test_the_miniature_is_the_same_in_every_form(drawn: tuple[Path, dict[str, Place]], form: str) -> None:
    source, places = drawn
    wanted, found = load(source, "val"), flickr30k_cn.load(places[form], "val")
    if form in ("imgs-tsv", "lmdb"):
        assert [query.id for query in found.queries] == [str(number) for number in range(35)]
        pairs = [(query.text, query.positives) for query in wanted.queries]
        assert [(query.text, query.positives) for query in found.queries] == pairs
    else:
        assert {query.id: query for query in found.queries} == {query.id: query for query in wanted.queries}
        assert len(found.queries) == 35
    assert set(found.gallery.ids) == set(wanted.gallery.ids)
    assert found.gallery.images.missing(found.gallery.ids) == []
    for image in wanted.gallery.ids:
        assert found.gallery.images.read(image) == (source / "images" / f"{image}.png").read_bytes()


NOTES = {
    "zhm-tab": "the form read is <id>#zhm#<n>, a tab or spaces, and the caption",
    "id-tab": "the form read is <id>, a tab and the caption",
    "headless": "the form read is <id>.jpg,<caption>",
    "archive": "the form read is <id>#zhm#<n>, a tab or spaces, and the caption; the words' tags were removed",
    "imgs-tsv": "the form read is Chinese-CLIP's JSON lines",
}


@pytest.mark.parametrize(("form", "note"), NOTES.items())
def test_the_form_read_is_noted(drawn: tuple[Path, dict[str, Place]], form: str, note: str) -> None:
    assert flickr30k_cn.load(drawn[1][form], "val").notes[0] == note


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("在:p 警车:n 前:f ，:wd 有:v 人:n", "在警车前，有人"),
        ("T:nx 恤:n", "T恤"),
        ("一:m 台:q Apple:nz Watch:nz 2:m 手表:n", "一台Apple Watch 2手表"),
        ("比:n ::wm 三:m :wky 点:n", "比:三点"),
        ("穿:v  Café:nx Noir:nx", "穿Café Noir"),
        ("没有:v 标签 的:ude 词:n", "没有标签的词"),
        ("在:p\t警车:n", "在警车"),
    ],
)
def test_words_are_joined_as_chinese_is_written(tmp_path: Path, words: str, text: str) -> None:
    write(tmp_path, f"11.jpg#zhm#0 {words}\n11.jpg#zhm#1\t一:m 只:q\n11.jpg#zhm#2 狗:n\n11.jpg#zhm#3 \n")
    assert captions(tmp_path) == [text, "一只", "狗", ""]


def test_words_without_tags_are_joined_too(tmp_path: Path) -> None:
    write(tmp_path, "11#zhb#0 一个 小 女孩  在 8:am 跑\n11#zhb#1 两只 狗\n")
    assert captions(tmp_path) == ["一个小女孩在8:am跑", "两只狗"]
    assert "; the spaces between words were removed" in load(tmp_path).notes[0]


def test_what_only_looks_like_a_tag_stays(tmp_path: Path) -> None:
    write(tmp_path, "11\t8:am\n11\t一只 狗\n11\t猫\n")
    assert captions(tmp_path) == ["8:am", "一只 狗", "猫"]


def test_control_characters_and_single_ones_stay(tmp_path: Path) -> None:
    write(tmp_path, "11.jpg,\x0b狗\x85猫\u2028\n11.jpg,狗\n11.jpg,\t\n")
    assert captions(tmp_path) == ["\x0b狗\x85猫\u2028", "狗", "\t"]


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_every_caption_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("captions")
    write(folder, "image,caption\n" + "".join(f"7.jpg,{text}\n" for text in texts))
    assert captions(folder) == texts


def test_the_archives_list_is_the_gallery(tmp_path: Path) -> None:
    path = write(tmp_path, "22#zhm#0 狗:n\n11#zhm#0 猫:n\n", "a/TextData/seg.atest.caption.txt")
    listing = write(tmp_path, "11\n22.jpg\n33\n", "a/ImageSets/atest.txt")
    dataset = load(tmp_path)
    assert dataset.gallery.ids == ("11", "22", "33") and dataset.files == (path, listing)
    assert load(tmp_path / "a").queries == dataset.queries
    listing.write_text("11\n33\n")
    with pytest.raises(UserError, match=f"{path}:1: the image '22' is not in {listing}"):
        load(tmp_path)
    listing.write_text("11\n22\n11\n")
    with pytest.raises(UserError, match=f"{listing}:3: image '11' occurs twice, first on line 1"):
        load(tmp_path)


def test_the_name_has_only_to_hold_the_splits(tmp_path: Path) -> None:
    path = write(tmp_path, COMMA, "flickr30k_cn_test.jpg-comma.txt")
    write(tmp_path, NUMBERED, "flickr30k_cn_val.txt")
    write(tmp_path, "what test files there are\n", "README.test.txt")
    write(tmp_path, f"11\t{'A' * 200}\n22\t{'A' * 200}\n", "test_imgs.tsv")
    assert load(tmp_path).files == (path,)


def test_several_files_of_a_split_are_named(tmp_path: Path) -> None:
    write(tmp_path, NUMBERED, "flickr30k_cn_test.zhm-tab.txt")
    path = write(tmp_path, COMMA, "flickr30k_cn_test.jpg-comma.txt")
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: several files of the split test: flickr30k_cn_test.jpg-comma.txt and "
        "flickr30k_cn_test.zhm-tab.txt; name the one to read, in place of the folder"
    )
    assert load(path).files == (path,)


def test_a_file_that_is_named_is_of_the_split_that_its_name_holds(tmp_path: Path) -> None:
    captions, val = write(tmp_path, COMMA, "captions.txt"), write(tmp_path, COMMA, "f30k-valid.txt")
    assert load(captions).files == (captions,)
    assert load(val, "val").files == (val,)
    for path, split in ((captions, "train"), (val, "test")):
        with pytest.raises(UserError, match=f"{tmp_path}/flickr30k_cn_{split}.txt: the file is missing"):
            load(path, split)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (COMMA + "no picture here\n", 5, "expected <id>.jpg,<caption>"),
        (COMMA.replace("22.jpg,看", "\n22.jpg,看"), 4, "expected <id>.jpg,<caption>"),
        (NUMBERED + "\n33 no tab\n", 4, "expected <id>#zhm#<n>, a tab or spaces, and the caption"),
        (NUMBERED + "\n22#zhm#1\t再来一次\n", 4, "caption '22#1' occurs twice, first on line 2"),
        (TAB + "33\n", 4, "expected <id>, a tab and the caption"),
        ('{"text_id": 1, "text": "狗", "image_ids": [11]}\n{"text_id"', 2, "the JSON is broken off"),
        ("picture;caption\n", 1, "none of the forms of captions that are known: {"),
        ("x" * 70_000, 1, "none of the forms"),
        ("\n11\t狗\n", 1, "none of the forms"),
        ("image,caption\n", 1, "holds no captions"),
        ("", 1, "the file is empty"),
        (COMMA.encode("gb18030"), 2, "not UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str | bytes, line: int, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load(tmp_path)
    assert str(caught.value).startswith(f"{path}:{line}: ") and what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_split_names_the_file(tmp_path: Path) -> None:
    write(tmp_path, COMMA)
    with pytest.raises(UserError, match="flickr30k_cn_val.txt: the file is missing; any name that holds 'val' will do"):
        load(tmp_path, "val")


@pytest.mark.parametrize("store", ["tsv", "lmdb"])
def test_the_splits_own_store_of_images_is_the_gallery(tmp_path: Path, store: str) -> None:
    (tmp_path / "flickr_test.txt").write_text("11.jpg,一只狗\n12.jpg,一只猫\n", encoding="utf-8")
    write = forms.write_imgs_tsv if store == "tsv" else forms.write_lmdb
    write(tmp_path, "test", {"10": b"ten" * 99, "11": b"eleven" * 99, "12": b"x" * 99})
    dataset = flickr30k_cn.load(Place.of(tmp_path), "test")
    assert sorted(dataset.gallery.ids) == ["10", "11", "12"] and dataset.gallery.images.read("10") == b"ten" * 99
    assert len(dataset.queries) == 2
    (tmp_path / "flickr_test.txt").write_text("11.jpg,一只狗\n13.jpg,一只猫\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"flickr_test\.txt:2: the image '13' is not in "):
        flickr30k_cn.load(Place.of(tmp_path), "test")


def test_a_folder_of_all_pictures_is_not_the_gallery(tmp_path: Path) -> None:
    (tmp_path / "flickr_test.txt").write_text("11.jpg,一只狗\n12.jpg,一只猫\n", encoding="utf-8")
    (tmp_path / "images").mkdir()
    for image in range(10, 20):
        (tmp_path / "images" / f"{image}.jpg").write_bytes(b"x")
    assert flickr30k_cn.load(Place.of(tmp_path), "test").gallery.ids == ("11", "12")


@pytest.mark.parametrize("text", [COMMA, NUMBERED, TAB])
def test_marks_line_ends_and_blank_last_lines_change_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "test.txt"
    path.write_bytes(text.encode())
    before = load(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    after = load(tmp_path)
    assert after.queries == before.queries and after.gallery.ids == before.gallery.ids
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(UserError, match=r"test\.txt: is UTF-16, not UTF-8"):
        load(tmp_path)
    path.write_bytes(text.encode("utf-16-le"))
    with pytest.raises(UserError, match=r"test\.txt: is UTF-16, not UTF-8"):
        load(tmp_path)
