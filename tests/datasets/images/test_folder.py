from __future__ import annotations

import os
from pathlib import Path

import pytest

from grapebench.datasets.images.folder import Folder


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_all_folders_are_searched_and_nothing_hidden(tmp_path: Path) -> None:
    names = ["b/2.PNG", "a.jpg/3.gif", "1.jpg", "b/c/d/4.webp", "b/1.5.tiff", "5.bmp", "é/6.jpeg"]
    for name in [
        *names,
        ".git/7.jpg",
        "b/.8.jpg",
        "__MACOSX/9.jpg",
        "b/._2.PNG",
        "notes.txt",
        "10",
        ".jpg",
        "11.jpg.txt",
    ]:
        touch(tmp_path / name)
    assert sorted(Folder(tmp_path).entries()) == sorted(names)


def test_links_are_followed_once(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "x" / "1.jpg")
    touch(tmp_path / "in" / "real" / "2.jpg")
    inside = tmp_path / "in"
    (inside / "a").symlink_to(tmp_path / "elsewhere")
    (inside / "again").symlink_to(inside / "real")
    (inside / "real" / "circle").symlink_to(inside)
    (tmp_path / "elsewhere" / "x" / "up").symlink_to("..")
    (inside / "self").symlink_to("self")
    (inside / "3.jpg").symlink_to(inside / "real" / "2.jpg")
    (inside / "4.jpg").symlink_to("nowhere.jpg")
    (inside / "5.jpg").symlink_to("5.jpg")
    assert list(Folder(inside).entries()) == ["3.jpg", "real/2.jpg", "a/x/1.jpg"]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    assert list(Folder(tmp_path).entries()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(tmp_path / "1.jpg")
    (tmp_path / "lost+found").mkdir(0)
    assert list(Folder(tmp_path).entries()) == ["1.jpg"]
    assert "lost+found: permission denied" in capsys.readouterr().err


def test_a_folder_that_cannot_be_listed_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "1.jpg")
    touch(tmp_path / "lost+found" / "2.jpg")
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(Folder(tmp_path).entries()) == ["1.jpg"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"warning: {tmp_path}/lost+found: permission denied")
    assert captured.err.endswith("images in it are not seen\n")
