from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from grapebench.datasets.images.tar_archive import Tar
from grapebench.errors import UserError

NOISE = os.urandom(5000)


@dataclass
class Builder:
    archive: tarfile.TarFile

    def file(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self.archive.addfile(member, io.BytesIO(data))

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        self.archive.addfile(member)


@contextmanager
def building(path: Path, kind: int = tarfile.DEFAULT_FORMAT) -> Iterator[Builder]:
    with tarfile.open(path, "w", format=kind) as archive:
        yield Builder(archive)


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_all_formats(tmp_path: Path, kind: int) -> None:
    files = {"./a.jpg": NOISE, "b/empty.png": b"", f"{'long/' * 30}图.jpg": b"far"}
    with building(tmp_path / "x.tar", kind) as builder:
        for name, data in files.items():
            builder.file(name, data)
    found = Tar(tmp_path / "x.tar")
    assert {f"./{name}" if name == "a.jpg" else name: found.read(name) for name in found.entries()} == files


def test_links_inside_are_followed_and_others_are_not(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar") as builder:
        builder.link("images/first.jpg", "../blobs/1")  # before what it means
        builder.file("./blobs/1", NOISE)
        builder.file("blobs/2.jpg", b"two")
        builder.link("images/hard.jpg", "blobs/2.jpg", tarfile.LNKTYPE)
        builder.link("images/chain.jpg", "hard.jpg")
        builder.link("images/outside.jpg", "../../../etc/passwd")
        builder.link("images/absolute.jpg", "/etc/passwd")
        builder.link("images/circle.jpg", "circle.jpg")
    found = Tar(tmp_path / "x.tar")
    good = {"blobs/2.jpg": b"two", "images/first.jpg": NOISE, "images/hard.jpg": b"two", "images/chain.jpg": b"two"}
    assert {name: found.read(name) for name in good} == good
    for name, target in (("outside", "../../etc/passwd"), ("absolute", "/etc/passwd"), ("circle", "images/circle.jpg")):
        with pytest.raises(
            UserError, match=f"'images/{name}.jpg' is a link to .{target}., which is not in the archive"
        ):
            found.read(f"images/{name}.jpg")


def test_what_is_not_looked_for(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar") as builder:
        for name in ("../a.jpg", "/b.jpg", "c.txt", "._d.jpg", "e.jpg"):
            builder.file(name, b"")
        builder.link("f.jpg", "", tarfile.DIRTYPE)
        builder.link("g.jpg", "", tarfile.FIFOTYPE)
    assert list(Tar(tmp_path / "x.tar").entries()) == ["e.jpg"]


def test_the_last_of_two_of_one_name(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar") as builder:
        builder.file("a.jpg", b"old")
        builder.link("b.jpg", "a.jpg")
        builder.file("b.jpg", b"own")
        builder.file("a.jpg", b"new")
    assert [Tar(tmp_path / "x.tar").read(name) for name in ("a.jpg", "b.jpg")] == [b"new", b"own"]


def test_an_archive_without_members(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar"):
        pass
    assert list(Tar(tmp_path / "x.tar").entries()) == []


def damage(path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Tar(path)
    assert str(caught.value) == f"{path}: the tar archive is broken off or damaged; fetch it again"


def test_broken_off_or_damaged(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar") as builder:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            builder.file(name, NOISE)
    whole = (tmp_path / "x.tar").read_bytes()
    second = 512 + 5120
    for cut in (second - 1, second + 100, second + 512 + 77, 2 * second + 512 + 5000):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        damage(tmp_path / "cut.tar")
    # tarfile alone would take a damaged header for the end, and the other images for missing
    spoilt = bytearray(whole)
    spoilt[second + 10 : second + 20] = b"x" * 10
    (tmp_path / "spoilt.tar").write_bytes(spoilt)
    with tarfile.open(tmp_path / "spoilt.tar") as archive:
        assert archive.getnames() == ["a.jpg"]
    damage(tmp_path / "spoilt.tar")
    # cut between two members nothing is damaged, and what is missing is named by whoever wants it
    (tmp_path / "between.tar").write_bytes(whole[:second])
    assert list(Tar(tmp_path / "between.tar").entries()) == ["a.jpg"]


def test_members_that_go_in_a_circle(tmp_path: Path) -> None:
    """A negative size would lead back to the same header for ever."""
    with building(tmp_path / "x.tar") as builder:
        builder.file("a.jpg", NOISE)
    data = bytearray((tmp_path / "x.tar").read_bytes())
    data[124:136] = b"\xff" * 10 + b"\xfe\x00"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (tmp_path / "x.tar").write_bytes(data)
    damage(tmp_path / "x.tar")


def test_a_sparse_member_is_said(tmp_path: Path) -> None:
    with building(tmp_path / "x.tar", tarfile.GNU_FORMAT) as builder:
        builder.file("a.jpg", NOISE)
        builder.link("b.jpg", "", tarfile.GNUTYPE_SPARSE)
    with pytest.raises(UserError, match="'b.jpg' is stored as a sparse file; unpack the archive"):
        Tar(tmp_path / "x.tar").read("b.jpg")
    assert Tar(tmp_path / "x.tar").read("a.jpg") == NOISE
