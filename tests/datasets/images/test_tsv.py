from __future__ import annotations

import base64
import re
import tracemalloc
from pathlib import Path

import pytest

from grapebench.datasets.images import tsv
from grapebench.datasets.images.tsv import Tsv
from grapebench.errors import UserError

# Its two alphabets differ here: ++// and --__.
DATA = bytes.fromhex("fbefbefff7df") * 100


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "test_imgs.tsv"
    path.write_bytes(content)
    return path


def test_lines_as_they_come(tmp_path: Path) -> None:
    standard, for_urls = base64.b64encode(DATA), base64.urlsafe_b64encode(DATA)
    assert standard != for_urls
    path = written(tmp_path, b"1\t" + standard + b"\n\n2 \t" + for_urls + b"\r\n\xe4\xb8\x80\t" + standard[:4])
    found = Tsv(path)
    assert {name: found.read(name) for name in found.entries()} == {"1": DATA, "2": DATA, "一": DATA[:3]}


def test_a_byte_order_mark_is_no_part_of_the_first_id(tmp_path: Path) -> None:
    assert list(Tsv(written(tmp_path, b"\xef\xbb\xbf1\tAAAA\n2\tBBBB\n")).entries()) == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"1\tAAAA\n\n2\tBBBB\n1\tCCCC\n", 4, "image '1' occurs twice, first on line 1"),
        (b"1\tAAAA\n2 BBBB\n", 2, "expected an id, a tab and an image in base64, found 1 columns"),
        (b"1\tAAAA\n2\t\tBBBB\n", 2, "expected an id, a tab and an image in base64, found 3 columns"),
        (b"1\tAAAA\n\xff\tBBBB\n", 2, "the image's id is not UTF-8"),
        (b"1\tAAAA\n \tBBBB\n", 2, "the image's id is empty"),
        (b"1\t" + b"A" * 5000 + b"\n", 1, "the line is too long for one image"),
    ],
)
def test_lines_that_are_refused(
    tmp_path: Path, content: bytes, line: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tsv, "_LONGEST", 4000)
    path = written(tmp_path, content)
    with pytest.raises(UserError) as caught:
        Tsv(path)
    assert str(caught.value) == f"{path}:{line}: {what}"


@pytest.mark.parametrize("broken", [b"AAA", b"AAAAA", b"AA*A", b"A A A A ", "图".encode()])
def test_broken_base64_is_said_with_its_line_when_it_is_read(tmp_path: Path, broken: bytes) -> None:
    path = written(tmp_path, b"1\tAAAA\n\n2\t" + broken + b"\n3\tAAAA\n")
    found = Tsv(path)
    assert found.read("1") == found.read("3") == bytes(3)
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))}:3: the base64 of image '2' is broken \(.+\); fetch"):
        found.read("2")


def test_images_are_not_kept_in_memory(tmp_path: Path) -> None:
    line = base64.b64encode(bytes(2**20))
    path = written(tmp_path, b"".join(b"%d\t%s\n" % (number, line) for number in range(30)))
    tracemalloc.start()
    found = Tsv(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 2**20
    assert found.read("29") == bytes(2**20)
