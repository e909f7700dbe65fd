from __future__ import annotations

import errno
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from grapebench import paths
from grapebench.datasets import places
from grapebench.datasets.place import Place
from grapebench.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRAPEBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_configuration_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GRAPEBENCH_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    assert paths.config_dir() == Path("/home/ada/.config/grapebench")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/ada")
    assert paths.config_dir() == Path("/etc/ada/grapebench")
    monkeypatch.setenv("GRAPEBENCH_HOME", "~/bench")
    assert paths.config_dir() == Path("/home/ada/bench/config")


@pytest.mark.parametrize("name", ["plain", "with space", 'quoted"\\', "图片", "\udce9 is no UTF-8", "line\nbreak"])
def test_what_was_remembered_comes_back(home: Path, name: str) -> None:
    assert places.remembered("cirr") is None
    place = Place(Path("/data") / name, Path("/other") / name / "images.zip")
    file = places.remember("cirr", place)
    assert file.is_relative_to(home / "config") and json.loads(file.read_bytes())
    assert places.remembered("cirr") == place
    assert places.remembered("cvlue") is None
    places.remember("cirr", Place.of(Path("/new")))
    assert places.remembered("cirr") == Place(Path("/new"), Path("/new"))
    assert [path.name for path in file.parent.iterdir()] == ["cirr.json"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is not JSON"),
        (b'{"annotations": "/a", "ima', "it is not JSON"),
        (b"[]", "it is not a JSON object"),
        (b'{"annotations": "/a"}', "'images' must be an absolute path"),
        (b'{"annotations": 3, "images": "/a"}', "'annotations' must be an absolute path"),
        (b'{"annotations": "here", "images": "/a"}', "'annotations' must be an absolute path"),
        (b'{"annotations": "/\xe9", "images": "/a"}', "it is not UTF-8"),
    ],
)
def test_a_broken_file_is_named_with_what_to_do(content: bytes, why: str) -> None:
    file = places.remember("cirr", Place.of(Path("/data")))
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        places.remembered("cirr")
    said = str(caught.value)
    assert said.startswith(f"{file}: the remembered place of cirr cannot be read: {why}")
    assert said.endswith("delete the file and say it again: grapebench data add cirr --images DIR --annotations DIR")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_configuration_folder_that_may_not_be_written(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, "no")

    file = places.remember("cirr", Place.of(Path("/old")))
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(UserError, match=f"{file}: permission denied; .*GRAPEBENCH_HOME"):
        places.remember("cirr", Place.of(Path("/new")))
    assert places.remembered("cirr") == Place.of(Path("/old"))


def test_a_file_in_the_folders_place(home: Path) -> None:
    home.mkdir()
    (home / "config").write_text("a file")
    with pytest.raises(UserError, match="config"):
        places.remember("cirr", Place.of(Path("/data")))
    with pytest.raises(UserError, match="not a directory"):
        places.remembered("cirr")


def test_many_at_once_undo_nothing_of_each_other() -> None:
    """Each task is always what one of its writers said, whole, whoever writes beside it."""

    def write(task: str, number: int) -> None:
        for turn in range(20):
            places.remember(task, Place(Path(f"/{number}/{turn}/annotations"), Path(f"/{number}/{turn}/images")))
            found = places.remembered(task)
            assert found is not None and found.annotations.parent == found.images.parent

    failed: list[BaseException] = []

    def guarded(task: str, number: int) -> None:
        try:
            write(task, number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(task, n)) for task in ("cirr", "cvlue") for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for task in ("cirr", "cvlue"):
        found = places.remembered(task)
        assert found is not None and found.annotations.parts[2] == "19"


def test_a_named_place_is_absolute_and_one_may_hold_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "captions.json").write_text("[]")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "images.zip").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    data = tmp_path / "data"
    assert Place.named(Path("data"), None) == Place.named(None, Path("~/data")) == Place.of(data)
    assert Place.named(Path("link/../link"), None) == Place.of(tmp_path / "link")
    assert Place.named(data / "captions.json", None) == Place(data / "captions.json", data)
    assert Place.named(data, Path("images.zip")) == Place(data, tmp_path / "images.zip")
    assert Place.named(data / "captions.json", data).root == data


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images.zip").write_bytes(b"")
    with pytest.raises(UserError, match="not said where the files are; give --images PATH, --annotations PATH or both"):
        Place.named(None, None)
    with pytest.raises(UserError, match=r"images\.zip: this is a file, .* --annotations PATH"):
        Place.named(None, tmp_path / "images.zip")
    with pytest.raises(UserError, match=f"{tmp_path}/no: there is no such file or folder, and the annotations are"):
        Place.named(tmp_path / "no", tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path}/no: there is no such file or folder, and the images are"):
        Place.named(tmp_path, tmp_path / "no")
    Place(tmp_path, tmp_path / "no").check(images=False)
