from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from grapebench.datasets.memo import HashMemo, Stamp

STAMPS = [Stamp(f"/images/{n}.png", n, 1_600_000_000_000_000_000 + n) for n in range(1200)]
HASHES = {stamp: f"{stamp.size:064x}" for stamp in STAMPS}
KNOWN = {stamp.path: digest for stamp, digest in HASHES.items()}


def test_what_was_put_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "file-hashes.sqlite"
    assert HashMemo(path).get(STAMPS) == {}
    HashMemo(path).put(HASHES)
    assert HashMemo(path).get(STAMPS) == KNOWN


def test_another_size_or_time_is_another_file(tmp_path: Path) -> None:
    memo = HashMemo(tmp_path / "m.sqlite")
    memo.put(HASHES)
    stamp = STAMPS[3]
    changed = [stamp._replace(size=9), stamp._replace(mtime_ns=9), stamp._replace(path="/other.png")]
    assert [memo.get([other]) for other in changed] == [{}, {}, {}]
    memo.put({changed[0]: "new"})
    assert memo.get([changed[0]]) == {stamp.path: "new"} and memo.get([stamp]) == {}


def test_paths_that_are_not_unicode_are_not_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    memo, odd = HashMemo(tmp_path / "m.sqlite"), Stamp("/images/caf\udce9.png", 1, 1)
    memo.put({odd: "hash", STAMPS[0]: "other"})
    assert memo.get([odd, STAMPS[0]]) == {STAMPS[0].path: "other"}
    assert capsys.readouterr().err == ""


def spoil_text(path: Path) -> None:
    path.write_bytes(b"this is not a database at all" * 100)


def spoil_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)


def spoil_columns(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE files (path TEXT)")


@pytest.mark.parametrize("spoil", [spoil_text, spoil_pages, spoil_columns])
def test_an_unreadable_memo_is_rebuilt_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: object
) -> None:
    path = tmp_path / "m.sqlite"
    HashMemo(path).put(HASHES)
    spoil(path)  # type: ignore[operator]
    assert HashMemo(path).get(STAMPS) == {}
    warning = capsys.readouterr()
    assert warning.out == ""
    assert warning.err.startswith(f"warning: {path}: the memo of file hashes is unreadable and is rebuilt")
    assert warning.err.count("\n") == 1
    HashMemo(path).put(HASHES)
    assert HashMemo(path).get(STAMPS) == KNOWN
    assert capsys.readouterr().err == ""


def test_a_memo_that_cannot_be_written_does_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    memo = HashMemo(tmp_path / "file" / "m.sqlite")
    memo.put(HASHES)
    assert memo.get(STAMPS) == {}
    assert "the memo of file hashes is not used" in capsys.readouterr().err


def test_two_processes_share_it(tmp_path: Path) -> None:
    path = tmp_path / "m.sqlite"
    script = textwrap.dedent(
        f"""
        import sys
        from pathlib import Path
        from grapebench.datasets.memo import HashMemo, Stamp
        start = int(sys.argv[1])
        for n in range(start, start + 60):
            HashMemo(Path({str(path)!r})).put({{Stamp(str(n), n, 1): str(n)}})
        """
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", script, str(start)], stderr=subprocess.PIPE, text=True)
        for start in (0, 60)
    ]
    assert [worker.communicate()[1] for worker in workers] == ["", ""]
    found = HashMemo(path).get([Stamp(str(n), n, 1) for n in range(120)])
    assert found == {str(n): str(n) for n in range(120)}
