from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import files, paths
from grapebench.errors import UserError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_written_text_is_read_back_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    files.write_text(path, "grün\n")
    files.write_bytes(path.with_name("b.bin"), b"\x00\xff")
    assert path.read_bytes() == "grün\n".encode()
    assert path.with_name("b.bin").read_bytes() == b"\x00\xff"
    assert names(path.parent) == ["a.txt", "b.bin"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failure_midway_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_file(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failure_midway_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_folder_appears_whole(tmp_path: Path) -> None:
    with files.atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("a")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_folder_that_another_process_finished_first_is_kept(tmp_path: Path) -> None:
    with files.atomic_folder(tmp_path / "out") as temporary:
        (temporary / "a").write_text("second")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a").write_text("first")
    assert (tmp_path / "out" / "a").read_text() == "first"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_is_told_and_the_old_file_stays(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def full(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"a\.txt: no space left on the device; free some space or set GRAPEBENCH_HOME"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_no_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Denied by hand: the tests may be run by root, whom no mode bits stop.
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.tempfile, "mkstemp", denied)
    monkeypatch.setattr(files.tempfile, "mkdtemp", denied)
    with pytest.raises(UserError, match=r"a\.txt: permission denied; check the permissions"):
        files.write_text(tmp_path / "a.txt", "new")
    with pytest.raises(UserError, match="out: permission denied"), files.atomic_folder(tmp_path / "out"):
        pass
    assert names(tmp_path) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(UserError, match=r"a/b\.txt: (not a directory|file exists)"):
        files.write_text(tmp_path / "a" / "b.txt", "new")


@given(st.binary(max_size=100))
def test_hash_of_a_file_is_the_hash_of_its_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(data)
    assert files.sha256_file(path) == files.sha256(data)


@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=5))
def test_hash_of_json_does_not_know_the_order_of_keys(value: dict[str, object]) -> None:
    assert files.sha256_json(value) == files.sha256_json(dict(reversed(value.items())))


@given(JSON, JSON)
def test_hash_of_json_tells_values_apart(one: object, other: object) -> None:
    if one != other:
        assert files.sha256_json(one) != files.sha256_json(other)


def test_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GRAPEBENCH_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    assert paths.cache_dir() == Path("/home/ada/.cache/grapebench")
    assert paths.results_dir() == Path("/home/ada/.local/share/grapebench/results")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert paths.cache_dir() == Path("/scratch/grapebench")
    monkeypatch.setenv("GRAPEBENCH_HOME", "~/bench")
    assert paths.cache_dir() == Path("/home/ada/bench/cache")
    assert paths.data_dir() == Path("/home/ada/bench/data")


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        files.alone(out, "working"),
        pytest.raises(UserError, match="out: another process is working here"),
        files.alone(out, "working"),
    ):
        pass
    with files.alone(out, "working"):
        pass
