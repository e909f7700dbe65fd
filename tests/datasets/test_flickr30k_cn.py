from __future__ import annotations

from pathlib import Path

import pytest

from grapebench.datasets import flickr30k_cn
from grapebench.errors import UserError

COMMA = "image,caption\n11.jpg,一只狗,两只猫\n11.jpg,\n22.jpg,看 22.jpg,照片\n"
TAB = "11#zhm#1\t一只狗,两只猫\n22#zhm#1\t看 22.jpg,照片\n11#zhm#2\t"


def write(root: Path, text: str, name: str = "flickr30k_cn_test.txt") -> Path:
    path = root / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", [COMMA, TAB])
def test_both_forms_give_the_same_queries(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    dataset = flickr30k_cn.load(tmp_path, "test")
    found = {query.id: (query.text, query.positives, query.language) for query in dataset.queries}
    assert found == {
        "11#1": ("一只狗,两只猫", ("11",), "zh"),
        "11#2": ("", ("11",), "zh"),
        "22#1": ("看 22.jpg,照片", ("22",), "zh"),
    }
    assert dataset.gallery.ids == ("11", "22")


def test_queries_stay_in_file_order(tmp_path: Path) -> None:
    write(tmp_path, TAB)
    assert [query.id for query in flickr30k_cn.load(tmp_path, "test").queries] == ["11#1", "22#1", "11#2"]


def test_images_may_have_either_extension(tmp_path: Path) -> None:
    write(tmp_path, COMMA)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "11.png").write_bytes(b"png")
    (tmp_path / "images" / "22.jpg").write_bytes(b"jpg")
    images = flickr30k_cn.load(tmp_path, "test").gallery.images
    assert (images.read("11"), images.read("22")) == (b"png", b"jpg")


def test_a_longer_file_name_is_found_when_it_is_the_only_one(tmp_path: Path) -> None:
    path = write(tmp_path, COMMA, "flickr30k_cn_test.jpg-comma.txt")
    assert flickr30k_cn.load(tmp_path, "test").files == (path,)
    write(tmp_path, TAB, "flickr30k_cn_test.zhm-tab.txt")
    with pytest.raises(UserError, match="several files of the split.*jpg-comma.txt and .*zhm-tab.txt"):
        flickr30k_cn.load(tmp_path, "test")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (COMMA + "no picture here\n", 5, "expected <id>.jpg,<caption>"),
        (COMMA.replace("22.jpg,看", "\n22.jpg,看"), 4, "expected <id>.jpg,<caption>"),
        (TAB + "\n33 no tab\n", 4, "expected <id>#zhm#<n>, a tab and the caption"),
        (TAB + "\n22#zhm#1\t再来一次\n", 4, "caption '22#1' occurs twice, first on line 2"),
        ("picture;caption\n", 1, "neither the header"),
        ("image,caption\n", 1, "holds no captions"),
        ("", 1, "the file is empty"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError) as caught:
        flickr30k_cn.load(tmp_path, "test")
    assert str(caught.value).startswith(f"{path}:{line}: ") and what in str(caught.value)


def test_a_missing_split_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="flickr30k_cn_val.txt: the file is missing"):
        flickr30k_cn.load(tmp_path, "val")
