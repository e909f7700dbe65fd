from __future__ import annotations

import io
import os
import re
import struct
import unicodedata
import zipfile
from pathlib import Path

import pytest

from grapebench.datasets.images import Pictures
from grapebench.datasets.images.zip_archive import Zip
from grapebench.errors import UserError

NOISE = os.urandom(20_000)


def made(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def refusal(path: Path, entry: str = "a.jpg") -> str:
    with pytest.raises(UserError) as caught:
        Zip(path).read(entry)
    return str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_all_sizes(tmp_path: Path, method: int) -> None:
    files = {"a.jpg": NOISE, "sub/empty.png": b"", "größe/图.jpg": b"zero" * 5000}
    found = Zip(made(tmp_path / "x.zip", files, method))
    assert {name: found.read(name) for name in found.entries()} == files


def test_members_that_are_streamed_or_follow_something_else(tmp_path: Path) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", NOISE)
    path = tmp_path / "x.zip"
    path.write_bytes(b"#!/bin/sh\n" * 7 + pipe.getvalue())
    assert Zip(path).read("a.jpg") == NOISE


def test_what_is_not_looked_for(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a\\b.jpg": b"1", "../c.jpg": b"2", "/d.jpg": b"3", "e.txt": b"", "f.jpg/": b""})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("g.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert list(Zip(path).entries()) == ["a/b.jpg"]
    assert Zip(path).read("a/b.jpg") == b"1"


def test_the_last_of_two_of_one_name(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.jpg": b"old"})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.jpg", b"new")
    assert Zip(path).read("a.jpg") == b"new"


def rewritten(path: Path, **fields: int) -> Path:
    """Change fields of the first member in the directory, as a hostile writer would."""
    places = {"flags": ("<H", 8), "method": ("<H", 10), "crc": ("<I", 16), "packed": ("<I", 20), "size": ("<I", 24)}
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\1\2")
    for name, value in fields.items():
        kind, offset = places[name]
        struct.pack_into(kind, data, start + offset, value)
    path.write_bytes(data)
    return path


def test_bombs(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.jpg": bytes(32 * 2**20), "b.bmp": bytes(15 * 2**20)})
    grown = r"'a.jpg' grows from 32,\d+ to 33,554,432 bytes when it is unpacked, which no image does"
    assert re.fullmatch(f"{path}: {grown}", refusal(path))
    assert Zip(path).read("b.bmp") == bytes(15 * 2**20)
    assert "'a.jpg' is larger than 256 MiB, which is refused" in refusal(rewritten(path, size=2**31))
    # a header that lies about the size: no more is unpacked than it admits
    assert "'a.jpg' is damaged in the archive; fetch it again" in refusal(rewritten(path, size=1000))


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"flags": 1}, "'a.jpg' is encrypted; unpack the archive with its password and name the folder"),
        ({"method": 9}, "'a.jpg' is compressed with deflate64, which is not read in place; unpack the archive"),
        ({"method": 14}, "'a.jpg' is compressed with lzma, which is not read in place; unpack the archive"),
        ({"crc": 7}, "'a.jpg' is damaged in the archive; fetch it again"),
        ({"size": 19_999}, "'a.jpg' is damaged in the archive; fetch it again"),
        ({"size": 20_001}, "'a.jpg' is damaged in the archive; fetch it again"),
        ({"packed": 10_000}, "'a.jpg' is damaged in the archive; fetch it again"),
        ({"packed": 10**8}, "the archive is broken off or damaged; fetch it again"),
    ],
)
def test_members_that_cannot_be_read(tmp_path: Path, fields: dict[str, int], what: str) -> None:
    path = rewritten(made(tmp_path / "x.zip", {"a.jpg": NOISE}), **fields)
    assert refusal(path) == f"{path}: {what}"


def test_only_that_member_is_lost(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.jpg": NOISE, "b.jpg": b"whole"})
    data = bytearray(path.read_bytes())
    data[5000:5010] = bytes(10)
    path.write_bytes(data)
    assert "'a.jpg' is damaged" in refusal(path)
    assert Zip(path).read("b.jpg") == b"whole"


def test_broken_off(tmp_path: Path) -> None:
    path = made(tmp_path / "x.zip", {"a.jpg": NOISE})
    path.write_bytes(path.read_bytes()[:-30])
    assert refusal(path) == f"{path}: the zip archive is broken off or damaged; fetch it again"


def test_names_in_utf_8_that_do_not_say_so(tmp_path: Path) -> None:
    """As macOS packs them: UTF-8 in the decomposed form, without the flag."""
    name = unicodedata.normalize("NFD", "caf\u00e9.jpg")
    path = made(tmp_path / "x.zip", {name: NOISE})
    data = bytearray(path.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.index(header) + flags
        assert struct.unpack_from("<H", data, place)[0] & 0x800
        struct.pack_into("<H", data, place, 0)
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() != [name], "zipfile takes it for another encoding"
    found = Zip(path)
    assert list(found.entries()) == [name] and found.read(name) == NOISE
    assert Pictures(path, {"caf\u00e9": "caf\u00e9.jpg"}).read("caf\u00e9") == NOISE


def test_names_of_the_old_code_page_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    member = zipfile.ZipInfo("caf_.jpg")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, NOISE)
    path.write_bytes(path.read_bytes().replace(b"caf_.jpg", b"caf\x82.jpg"))
    assert list(Zip(path).entries()) == ["caf\u00e9.jpg"]
