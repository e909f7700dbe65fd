from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grapebench.datasets.images import open_container
from grapebench.datasets.images.lmdb_store import Lmdb
from grapebench.errors import UserError

Writer = Callable[[Path, Mapping[str, bytes]], Path]
FILES = {f"{number}.jpg": bytes([number]) * 9000 for number in range(40)}


@pytest.fixture
def store(tmp_path: Path, writers: dict[str, Writer]) -> Path:
    return writers["lmdb"](tmp_path / "imgs", FILES) / "data.mdb"


def test_the_number_of_images_is_no_image(store: Path) -> None:
    found = Lmdb(store)
    assert sorted(found.entries(), key=int) == [str(number) for number in range(40)]
    assert found.read("7") == FILES["7.jpg"]


def test_it_may_be_opened_more_than_once_and_by_other_names(store: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.parent)
    first, second, third = Lmdb(store), open_container(store.parent), open_container(tmp_path / "link")
    assert first.read("1") == second.read("1") == third.read("1") == FILES["1.jpg"]


def test_nothing_is_written_beside_it(store: Path) -> None:
    (store.parent / "lock.mdb").unlink()
    Lmdb(store).read("1")
    assert [path.name for path in store.parent.iterdir()] == ["data.mdb"]


def test_broken_off(store: Path) -> None:
    whole = store.read_bytes()
    for size in (100, 4096, 8192, len(whole) // 2, len(whole) - 1):
        store.write_bytes(whole[:size])
        with pytest.raises(UserError, match=f"{store}: the LMDB is broken off or damaged; fetch it again"):
            Lmdb(store)


def test_broken_base64_and_ids(tmp_path: Path) -> None:
    import lmdb

    environment = lmdb.open(str(tmp_path / "imgs"), map_size=2**20)
    with environment.begin(write=True) as transaction:
        transaction.put(b"1", b"AAA")
        transaction.put(b"2", b"AA--")
    environment.close()
    found = Lmdb(tmp_path / "imgs" / "data.mdb")
    assert found.read("2") == bytes.fromhex("000fbe")
    with pytest.raises(UserError, match="data.mdb: the base64 of image '1' is broken"):
        found.read("1")
    with pytest.raises(UserError, match="data.mdb: '3' is not there"):
        found.read("3")


def test_ids_that_are_not_text(tmp_path: Path) -> None:
    import lmdb

    environment = lmdb.open(str(tmp_path / "imgs"), map_size=2**20)
    with environment.begin(write=True) as transaction:
        transaction.put(b"\xff", b"AAAA")
    environment.close()
    with pytest.raises(UserError, match="data.mdb: an image's id is not UTF-8"):
        list(Lmdb(tmp_path / "imgs" / "data.mdb").entries())


def test_the_library_is_asked_for(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(UserError, match=r"lmdb is not installed; install it with: pip install 'grapebench\[lmdb\]'"):
        Lmdb(store)
