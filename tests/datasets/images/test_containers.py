from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grapebench.datasets.images import archive, holds_ids, open_container
from grapebench.datasets.images.folder import Folder
from grapebench.datasets.images.lmdb_store import Lmdb
from grapebench.datasets.images.tar_archive import Tar
from grapebench.datasets.images.tsv import Tsv
from grapebench.datasets.images.zip_archive import Zip
from grapebench.errors import UserError

Writer = Callable[[Path, Mapping[str, bytes]], Path]
KINDS = {"folder": Folder, "zip": Zip, "tar": Tar, "tsv": Tsv, "lmdb": Lmdb}
FILES = {f"{number}.jpg": os.urandom(3000) + bytes(500 * number) for number in range(6)}


@pytest.mark.parametrize("kind", KINDS)
def test_recognised_by_content(kind: str, writers: dict[str, Writer], tmp_path: Path) -> None:
    found = open_container(writers[kind](tmp_path / "download.part", FILES))
    assert type(found) is KINDS[kind]
    assert sorted(found.entries()) == [name.removesuffix(".jpg" * found.by_id) for name in FILES]


def test_chinese_clips_folders_are_its_lmdb(writers: dict[str, Writer], tmp_path: Path) -> None:
    (tmp_path / "test" / "pairs").mkdir(parents=True)
    writers["lmdb"](tmp_path / "test" / "imgs", FILES)
    for path in ("test", "test/imgs", "test/imgs/data.mdb"):
        assert isinstance(open_container(tmp_path / path), Lmdb)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0" + bytes(900),
        b"image,caption\n1.jpg,\xe4\xb8\x80\n",
        "1000092795.jpg#zhm#1\t两个人\n".encode(),
        b"1\tA caption of some words.\n",
        b"page_url\timage_url\tcaption\n",
        b"[]",
        b"\t\n",
    ],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match="x.zip: images cannot be read from this file; name a folder, a zip or tar"):
        open_container(tmp_path / "x.zip")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x.zip").touch()
    with pytest.raises(UserError, match="x.zip: the file is empty, where a folder or an archive of images is needed"):
        open_container(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_archives_are_said_how_to_unpack(
    name: str, compress: Callable[[bytes], bytes], writers: dict[str, Writer], tmp_path: Path
) -> None:
    plain = writers["tar"](tmp_path / "it's.tar", {"sub/1.jpg": b"1"})
    packed = tmp_path / "it's.tgz"
    packed.write_bytes(compress(plain.read_bytes()))
    with pytest.raises(UserError) as caught:
        open_container(packed)
    said = str(caught.value)
    assert said.startswith(f"{packed}: the archive is compressed with {name} and cannot be read in place; unpack it ")
    command = said.partition("unpack it with: ")[2].removesuffix(", and name that folder")
    subprocess.run(command, shell=True, check=True)
    folder = tmp_path / "it's-unpacked"
    assert str(folder) in said.replace("'\"'\"'", "'")
    assert list(open_container(folder).entries()) == ["sub/1.jpg"]


def test_a_compressed_tsv_is_not_unpacked_as_a_tar(tmp_path: Path, writers: dict[str, Writer]) -> None:
    packed = tmp_path / "test_imgs.tsv.gz"
    packed.write_bytes(gzip.compress(writers["tsv"](tmp_path / "x", FILES).read_bytes()))
    with pytest.raises(UserError, match=f"unpack it with: gunzip -k {packed}$"):
        open_container(packed)


@pytest.mark.parametrize("kind", ["zip", "tar", "tsv", "lmdb"])
def test_nothing_larger_than_an_image_can_be(
    kind: str, writers: dict[str, Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LARGEST", 4000)
    found = open_container(writers[kind](tmp_path / "a", FILES))
    small, large = ("0", "5") if found.by_id else ("0.jpg", "5.jpg")
    assert found.read(small) == FILES["0.jpg"]
    with pytest.raises(UserError, match=f"'{large}' is larger than"):
        found.read(large)


def test_a_file_larger_than_an_image_can_be(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as file:
        file.truncate(archive.LARGEST + 1)
    with pytest.raises(UserError, match=f"{tmp_path}: 'a.jpg' is larger than 256 MiB, which is refused for one image"):
        Folder(tmp_path).read("a.jpg")


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cut")


@pytest.mark.parametrize("kind", ["zip", "tar", "tsv", "lmdb"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_broken_off_anywhere(kind: str, writers: dict[str, Writer], cut: Path, share: float) -> None:
    """A sentence, or all images that are found are whole; a TSV's last line may end early, as its image then does."""
    path = cut / kind
    if not path.exists():
        writers[kind](path, FILES)
    whole = (path / "data.mdb" if kind == "lmdb" else path).read_bytes()
    part = cut / f"{kind}-{zlib.crc32(str(share).encode())}"
    part.write_bytes(whole[: int(share * (len(whole) - 1))])
    try:
        found = open_container(part)
        entries = list(found.entries())
    except UserError as error:
        assert str(error).startswith(f"{part}: ") or str(error).startswith(f"{part}:1: ")
        return
    for entry in entries:
        try:
            data = found.read(entry)
        except UserError as error:
            assert repr(entry) in str(error)
        else:
            original = FILES[f"{entry.removesuffix('.jpg')}.jpg"]
            assert data == original or (kind == "tsv" and entry == entries[-1] and original.startswith(data))


@pytest.mark.parametrize("kind", ["zip", "tar", "tsv"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), garbage=st.binary(min_size=1, max_size=40))
def test_damaged_anywhere(kind: str, writers: dict[str, Writer], cut: Path, place: float, garbage: bytes) -> None:
    """Whatever the bytes come to, it ends in images or a sentence."""
    path = cut / kind
    if not path.exists():
        writers[kind](path, FILES)
    data = bytearray(path.read_bytes())
    start = int(place * len(data))
    data[start : start + len(garbage)] = garbage
    part = cut / f"{kind}-{zlib.crc32(bytes(data))}-damaged"
    part.write_bytes(data)
    try:
        found = open_container(part)
        for entry in found.entries():
            content = found.read(entry)
            assert kind != "zip" or content == FILES.get(entry, content)
    except UserError as error:
        assert str(error).startswith(str(part))


def test_the_index_of_a_large_archive_is_remembered(
    writers: dict[str, Writer], tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_SLOW_SECONDS", -1)
    for kind in ("zip", "tar", "tsv"):
        path = writers[kind](tmp_path / kind, FILES)
        os.utime(path, (1, 1))
        first = open_container(path)
        monkeypatch.setattr(KINDS[kind], "_scan", lambda self: pytest.fail("read again"))
        second = open_container(path)
        assert list(second.entries()) == list(first.entries())
        assert [second.read(entry) for entry in second.entries()] == list(FILES.values())
        monkeypatch.undo()
        monkeypatch.setenv("GRAPEBENCH_HOME", str(own_home))
        monkeypatch.setattr(archive, "_SLOW_SECONDS", -1)
        # changed, it is read again; unreadable, the memory is made again
        writers[kind](path, {"new.jpg": b"new"})
        assert len(list(open_container(path).entries())) == 1
        os.utime(path, (2, 2))
        assert len(list(open_container(path).entries())) == 1
        for memo in (own_home / "cache" / "archives").iterdir():
            for damage in (b"", b"[]", b'{"of": 1}', memo.read_bytes()[:-2]):
                memo.write_bytes(damage)
                assert len(list(open_container(path).entries())) == 1
                assert memo.read_bytes() != damage
            memo.unlink()


def test_small_archives_leave_nothing_behind(writers: dict[str, Writer], tmp_path: Path, own_home: Path) -> None:
    path = writers["tar"](tmp_path / "a", FILES)
    os.utime(path, (1, 1))
    open_container(path)
    assert not own_home.exists()


def test_a_list_in_utf_16_is_called_so(tmp_path: Path) -> None:
    path = tmp_path / "test_imgs.tsv"
    path.write_text("1\tAAAA\n", encoding="utf-16")
    with pytest.raises(UserError, match="is UTF-16, not UTF-8; save it as UTF-8"):
        open_container(path)


def test_the_mark_of_utf_8_is_no_part_of_an_id(tmp_path: Path) -> None:
    path = tmp_path / "test_imgs.tsv"
    path.write_bytes(b"\xef\xbb\xbf1\tAAAA\r\n\r\n")
    assert holds_ids(path) and list(open_container(path).entries()) == ["1"]
