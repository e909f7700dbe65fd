from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets import images as images_module
from grapebench.datasets.images import Folder
from grapebench.errors import UserError

LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))


def write(path: Path, data: bytes, when: int = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_other_extensions_are_tried(tmp_path: Path) -> None:
    write(tmp_path / "a.png", b"A")
    write(tmp_path / "b.jpeg", b"B")
    write(tmp_path / "c.jpg", b"C")
    write(tmp_path / "c.png", b"not this one")
    folder = Folder({name: tmp_path / f"{name}.jpg" for name in "abcd"})
    assert [folder.read(name) for name in "abc"] == [b"A", b"B", b"C"]
    assert folder.sha256(["c", "a"]) == [digest(b"C"), digest(b"A")]
    assert folder.missing("dcba") == ["d"]
    assert folder.path("a") == tmp_path / "a.png" and folder.path("d") == tmp_path / "d.jpg"


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    folder = Folder({"a": tmp_path / "no" / "a.jpg"})
    for ask in (lambda: folder.read("a"), lambda: folder.sha256(["a"])):
        with pytest.raises(UserError, match=f"{tmp_path}/no/a.jpg: image 'a' is missing"):
            ask()
    with pytest.raises(UserError, match="no image 'z'"):
        folder.read("z")
    assert folder.missing(["a", "z"]) == ["a", "z"]


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    path = write(tmp_path / "a.jpg", b"A")
    folder = Folder({"a": path})
    monkeypatch.setattr(images_module, "open", refuse, raising=False)
    with pytest.raises(UserError, match=f"{path}: permission denied"):
        folder.read("a")
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UserError, match=f"{tmp_path}: permission denied"):
        folder.missing(["a"])


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder({name: write(tmp_path / f"{name}.png", name.encode()) for name in "abc"})
    first = folder.sha256(["a", "b", "a"])
    assert first == [digest(b"a"), digest(b"b"), digest(b"a")]
    read = []
    real = images_module._read
    monkeypatch.setattr(images_module, "_read", lambda path, image: read.append(image) or real(path, image))
    assert folder.sha256(["c", "b", "a"]) == [digest(b"c"), digest(b"b"), digest(b"a")]
    assert read == ["c"]


@pytest.mark.parametrize("data, when", [(b"B", LONG_AGO + 1), (b"longer", LONG_AGO)])
def test_changed_files_are_read_again(tmp_path: Path, data: bytes, when: int) -> None:
    folder = Folder({"a": write(tmp_path / "a.png", b"A")})
    folder.sha256(["a"])
    write(tmp_path / "a.png", data, when)
    assert folder.sha256(["a"]) == [digest(data)]


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    """Rewritten within one tick of the file system's clock it would keep its stamp."""
    path, now = tmp_path / "a.png", int(time.time()) + 1
    folder = Folder({"a": write(path, b"A", now)})
    folder.sha256(["a"])
    write(path, b"B", now)
    assert folder.sha256(["a"]) == [digest(b"B")]


def test_relative_paths_are_kept_apart_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        write(tmp_path / name / "a.png", name.encode()[:1])
        monkeypatch.chdir(tmp_path / name)
        assert Folder({"a": Path("a.png")}).sha256(["a"]) == [digest(name.encode()[:1])]


def test_thousands_of_remembered_files_take_a_moment(tmp_path: Path) -> None:
    folder = Folder({str(n): write(tmp_path / f"{n}.png", str(n).encode()) for n in range(3000)})
    ids = [str(n) for n in range(3000)]
    first = folder.sha256(ids)
    start = time.perf_counter()
    assert folder.sha256(ids) == first
    assert time.perf_counter() - start < 0.5
