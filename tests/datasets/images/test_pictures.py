from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from grapebench.datasets.images import Pictures, pictures
from grapebench.datasets.images.folder import Folder
from grapebench.datasets.place import Place
from grapebench.errors import UserError

Writer = Callable[[Path, Mapping[str, bytes]], Path]
CountCalls = Callable[[Callable[[], object]], Counter[str]]
LONG_AGO = 1_600_000_000
FILES = {f"images/val/{number}.jpg": bytes([number]) * (1 + 997 * number) for number in range(60)}
WANTED = {f"id-{number}": f"images/val/{number}.jpg" for number in range(60)}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(path: Path, data: bytes, when: int = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (when, when))
    return path


def test_the_same_images_from_everywhere(write: Writer, tmp_path: Path) -> None:
    source = Pictures(write(tmp_path / "images", FILES), WANTED | {"gone": "images/val/60.jpg"})
    assert source.missing(["id-3", "gone", "id-59", "never"]) == ["gone", "never"]
    assert {image: source.read(image) for image in WANTED} == {image: FILES[path] for image, path in WANTED.items()}
    hashes = [digest(FILES[path]) for path in WANTED.values()]
    assert source.sha256(list(WANTED)) == hashes
    assert source.sha256(["id-5", "id-1", "id-5"]) == [hashes[5], hashes[1], hashes[5]]


def test_a_missing_image_is_named(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "images", FILES)
    source = Pictures(path, {"a": "images/no/a.jpg"})
    for ask in (lambda: source.read("a"), lambda: source.sha256(["a"])):
        with pytest.raises(UserError) as caught:
            ask()
        assert str(caught.value) == f"{path}: image 'a' is missing"
    with pytest.raises(UserError, match="there is no image 'z' in this collection"):
        source.read("z")


def test_many_threads_read_at_once(write: Writer, tmp_path: Path) -> None:
    source = Pictures(write(tmp_path / "images", FILES), WANTED)
    barrier = threading.Barrier(8)

    def read(offset: int) -> bool:
        barrier.wait()
        order = [*WANTED.items()][offset:] + [*WANTED.items()][:offset]
        return all(source.read(image) == FILES[path] for image, path in order)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(0, 40, 5)))


def test_what_is_unchanged_is_not_read_again(write: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "images", FILES)
    for file in [path, *path.rglob("*")]:
        os.utime(file, (LONG_AGO, LONG_AGO))
    first = Pictures(path, WANTED).sha256(list(WANTED)[:50])
    source = Pictures(path, WANTED)
    read: list[str] = []
    real = Pictures.read
    monkeypatch.setattr(Pictures, "read", lambda self, image: read.append(image) or real(self, image))
    assert source.sha256(list(WANTED))[:50] == first
    assert sorted(read) == sorted(list(WANTED)[50:])


@pytest.mark.parametrize(("kind", "suffix"), [("zip", ".zip"), ("tar", ".tar"), ("tsv", ".tsv"), ("lmdb", "")])
def test_a_changed_archive_is_read_again(kind: str, suffix: str, writers: dict[str, Writer], tmp_path: Path) -> None:
    for when, data in ((LONG_AGO, b"one"), (LONG_AGO + 1, b"two")):
        path = writers[kind](tmp_path / f"{when}{suffix}", {"a.jpg": data})
        for file in path.iterdir() if path.is_dir() else [path]:
            os.utime(file, (when, when))
        latest = tmp_path / f"latest{suffix}"
        if latest.is_symlink():
            latest.unlink()
        latest.symlink_to(path)
        assert Pictures(latest, {"a": "a.jpg"}).sha256(["a"]) == [digest(data)]


def test_nothing_is_opened_before_it_is_asked_for(tmp_path: Path) -> None:
    source = Place(tmp_path, tmp_path / "no").pictures({"a": "a.jpg"})
    for ask in (lambda: source.missing(["a"]), lambda: source.read("a"), lambda: source.sha256(["a"])):
        with pytest.raises(UserError, match=f"{tmp_path}/no: there is no such folder or archive of images"):
            ask()
    put(tmp_path / "no" / "a.jpg", b"A")
    assert source.read("a") == b"A"


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
@pytest.mark.parametrize(
    ("layout", "wanted"),
    [
        ("dev/dev-1-0-img0.png", "./dev/dev-1-0-img0.png"),
        ("images/val/A/1-panda/A-1-34.png", "images/val/A/1-panda/A-1-34.png"),
        ("val/A/1-panda/A-1-34.png", "images/val/A/1-panda/A-1-34.png"),
        ("A/1-panda/A-1-34.png", "images/val/A/1-panda/A-1-34.png"),
        ("images/art/b7d1.jpg", "images/art/b7d1.jpg"),
        ("wikipedia_dataset/images/art/b7d1.jpg", "images/art/b7d1.jpg"),
        ("val2014/COCO_val2014_000000391895.jpg", "val2014/COCO_val2014_000000391895.jpg"),
        ("coco/val2014/COCO_val2014_000000391895.jpg", "val2014/COCO_val2014_000000391895.jpg"),
        ("flickr30k-images/1000092795.jpg", "images/1000092795.jpg"),
    ],
)
def test_layouts_of_the_benchmarks(
    kind: str, layout: str, wanted: str, writers: dict[str, Writer], tmp_path: Path
) -> None:
    others = {"readme.txt": b"", "images/train/x.png": b"x", "__MACOSX/val/._x.png": b"y", "dev/dev-1-0-img1.png": b"z"}
    path = writers[kind](tmp_path / "data", {**others, layout: b"this"})
    assert Pictures(path, {"id": wanted}).read("id") == b"this"


@pytest.mark.parametrize("wanted", ["../secret.jpg", "../../secret.jpg", "{tmp}/secret.jpg", "sub/../../secret.jpg"])
@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tsv", "lmdb"])
def test_nothing_outside_is_reached(kind: str, wanted: str, writers: dict[str, Writer], tmp_path: Path) -> None:
    put(tmp_path / "secret.jpg", b"secret")
    path = writers[kind](tmp_path / "in", {"sub/a.jpg": b"a"})
    source = Pictures(path, {"s": wanted.format(tmp=tmp_path), "passwd": "../../../../../../etc/passwd"})
    assert source.missing(["s", "passwd"]) == ["s", "passwd"]
    for image in ("s", "passwd"):
        with pytest.raises(UserError, match=f"image '{image}' is missing"):
            source.read(image)


@pytest.mark.parametrize("wanted", ["../a.jpg", "../../x/sub/a.jpg", "/etc/a.jpg"])
def test_climbing_paths_of_images_that_are_there_mean_those(wanted: str, write: Writer, tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", b"secret")
    assert Pictures(write(tmp_path / "in", {"sub/a.jpg": b"a"}), {"a": wanted}).read("a") == b"a"


def test_a_doubt_is_raised_when_that_image_is_asked_for(tmp_path: Path) -> None:
    for name in ("small/x.jpg", "large/x.jpg", "y.jpg"):
        put(tmp_path / name, b"")
    source = Pictures(tmp_path, {"x": "x.jpg", "y": "y.jpg"})
    assert source.missing(["y"]) == []
    for ask in (lambda: source.missing(["y", "x"]), lambda: source.read("x"), lambda: source.sha256(["x"])):
        with pytest.raises(UserError, match=f"{tmp_path}: both 'large/x.jpg' and 'small/x.jpg' may be image 'x'; take"):
            ask()


def test_archives_in_a_folder_without_images_are_pointed_at(tmp_path: Path, writers: dict[str, Writer]) -> None:
    writers["zip"](tmp_path / "val2014.zip", {"a.jpg": b""})
    writers["lmdb"](tmp_path / "lmdb", {"a.jpg": b""})
    (tmp_path / "captions.json").write_text("[]")
    with pytest.raises(UserError) as caught:
        Pictures(tmp_path, {"a": "a.jpg"}).missing(["a"])
    what = "there are archives here and no images: val2014.zip, lmdb/data.mdb; name the archive instead of the folder"
    assert str(caught.value) == f"{tmp_path}: {what}"
    put(tmp_path / "b.jpg", b"")
    assert Pictures(tmp_path, {"a": "a.jpg"}).missing(["a"]) == ["a"]


@pytest.mark.parametrize(("data", "when"), [(b"B", LONG_AGO + 1), (b"longer", LONG_AGO)])
def test_changed_files_are_read_again(tmp_path: Path, data: bytes, when: int) -> None:
    source = Pictures(tmp_path, {"a": "a.png"})
    put(tmp_path / "a.png", b"A")
    source.sha256(["a"])
    put(tmp_path / "a.png", data, when)
    assert source.sha256(["a"]) == [digest(data)]


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    """Rewritten within one tick of the file system's clock it would keep its stamp."""
    now = int(time.time()) + 1
    put(tmp_path / "a.png", b"A", now)
    source = Pictures(tmp_path, {"a": "a.png"})
    source.sha256(["a"])
    put(tmp_path / "a.png", b"B", now)
    assert source.sha256(["a"]) == [digest(b"B")]


def test_relative_folders_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        put(tmp_path / name / "a.png", name.encode()[:1])
        monkeypatch.chdir(tmp_path / name)
        source = Pictures(Path(), {"a": "a.png"})
        monkeypatch.chdir(tmp_path)
        assert source.sha256(["a"]) == [digest(name.encode()[:1])]


def test_no_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, *_: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    put(tmp_path / "a.jpg", b"A")
    source = Pictures(tmp_path, {"a": "a.jpg"})
    assert source.missing(["a"]) == []
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match=f"{tmp_path}/a.jpg: permission denied"):
        source.read("a")
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=f"{tmp_path}: permission denied"):
        Pictures(tmp_path, {"a": "a.jpg"}).missing(["a"])


def test_a_file_that_is_taken_away_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "a.jpg", b"A")
    source = Pictures(tmp_path, {"a": "a.jpg"})
    source.missing([])
    (tmp_path / "a.jpg").unlink()
    for ask in (lambda: source.read("a"), lambda: source.sha256(["a"])):
        with pytest.raises(UserError, match=f"{tmp_path}/a.jpg: no such file"):
            ask()


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    put(tmp_path / name / "a.jpg", b"A")
    source = Pictures(tmp_path, {"a": "images/a.jpg"})
    assert source.sha256(["a"]) == source.sha256(["a"]) == [digest(b"A")]


def test_the_entries_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.jpg", b"A")
    opened: list[Path] = []
    monkeypatch.setattr(pictures, "open_container", lambda path: opened.append(path) or Folder(path))
    source = Pictures(tmp_path, {"a": "a.jpg"})
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: source.read("a"), range(40))) == {b"A"}
    assert opened == [tmp_path]


def test_remembered_files_are_not_read_and_cost_the_same_each(tmp_path: Path, count_calls: CountCalls) -> None:
    def calls(count: int) -> Counter[str]:
        """Of finding, and hashing again, so many images that are remembered."""
        folder = tmp_path / str(count)
        for number in range(count):
            put(folder / f"{number}.png", str(number).encode())
        wanted = {str(number): f"images/{number}.jpg" for number in range(count)}
        told = [Pictures(folder, wanted).sha256(list(wanted))]

        def again() -> None:
            source = Pictures(folder, wanted)
            assert source.missing(wanted) == []
            told.append(source.sha256(list(wanted)))

        found = count_calls(again)
        assert told[0] == told[1]
        return found

    few, many = calls(100), calls(1000)
    for name in ("Folder.read", "open"):
        assert few[name] == many[name] == 0
    assert few["Folder.stamp"] == 100 and many["Folder.stamp"] == 1000
    assert many["connect"] == few["connect"] == 1
    assert many.total() < 10.5 * few.total()


def test_importing_stays_light() -> None:
    script = "import sys, grapebench.datasets.images; print(sorted({'torch', 'PIL', 'lmdb'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
