from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from grapebench.errors import UserError
from grapebench.retrieval import store as module
from grapebench.retrieval.store import EmbeddingStore

CountCalls = Callable[[Callable[[], object]], Counter[str]]


def keys(*numbers: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in numbers]


def vectors(*numbers: int, dimension: int = 8) -> np.ndarray:
    rows = np.stack([np.random.default_rng(number).standard_normal(dimension) for number in numbers])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def shards(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.rglob("vectors.npy"))


def test_what_was_added_is_found(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    found, missing = store.get("f", "image", keys(1, 2))
    assert found.shape == (2, 0)
    assert missing.tolist() == [0, 1]
    store.add("f", "image", keys(1, 2, 3), vectors(1, 2, 3))
    store.add("f", "image", keys(5), vectors(5))
    found, missing = EmbeddingStore(tmp_path).get("f", "image", keys(5, 4, 2, 2))
    assert missing.tolist() == [1]
    assert found[[0, 2, 3]].tolist() == vectors(5, 2, 2).tolist()
    assert not found[1].any()


def test_retrievers_and_kinds_do_not_mix(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    store.add("f", "image", keys(1), vectors(1))
    assert store.get("f", "text", keys(1))[1].tolist() == [0]
    assert store.get("g", "image", keys(1))[1].tolist() == [0]
    assert store.get("f/../g", "image", keys(1))[1].tolist() == [0]


def test_digests_that_end_in_zeros_are_told_apart(tmp_path: Path) -> None:
    names = ["ab" + "00" * 31, "ac" + "00" * 30 + "01", "ab01" + "00" * 30, "00" * 32]
    store = EmbeddingStore(tmp_path)
    store.add("f", "text", names[:3], vectors(1, 2, 3))
    found, missing = store.get("f", "text", names)
    assert missing.tolist() == [3]
    assert found[:3].tolist() == vectors(1, 2, 3).tolist()


def test_many_small_shards_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 5)
    store = EmbeddingStore(tmp_path)
    for number in range(40):
        store.add("f", "text", keys(number, number + 1), vectors(number, number + 1))
        assert len(shards(tmp_path)) <= 6
    found, missing = store.get("f", "text", keys(*range(41)))
    assert not len(missing)
    assert found.tolist() == vectors(*range(41)).tolist()


def test_large_shards_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 2)
    monkeypatch.setattr(module, "_SMALL", 3)
    store = EmbeddingStore(tmp_path)
    store.add("f", "text", keys(*range(10)), vectors(*range(10)))
    large = shards(tmp_path)
    for number in (20, 30, 40):
        store.add("f", "text", keys(number), vectors(number))
    assert large[0] in shards(tmp_path)
    assert not len(store.get("f", "text", keys(*range(10), 20, 30, 40))[1])


@pytest.mark.parametrize("damage", ["truncate", "empty", "zeros", "gone", "other", "pickle"])
def test_an_unreadable_shard_is_made_again(tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    store = EmbeddingStore(tmp_path)
    store.add("f", "text", keys(1, 2), vectors(1, 2))
    store.add("f", "text", keys(3), vectors(3))
    broken = next(shard for shard in shards(tmp_path) if len(np.load(shard / "keys.npy")) == 2)
    file = broken / "vectors.npy"
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:-4])
    elif damage == "empty":
        (broken / "keys.npy").write_bytes(b"")
    elif damage == "zeros":
        np.save(file, np.zeros((2, 8), np.float32))
    elif damage == "gone":
        file.unlink()
    elif damage == "other":
        np.save(file, np.zeros((3, 8), np.float32))
    else:
        np.save(file, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    found, missing = store.get("f", "text", keys(1, 2, 3))
    assert missing.tolist() == [0, 1]
    assert found[2].tolist() == vectors(3)[0].tolist()
    assert "made again" in capsys.readouterr().err
    store.add("f", "text", keys(1, 2), vectors(1, 2))
    assert not len(store.get("f", "text", keys(1, 2, 3))[1])
    assert not capsys.readouterr().err


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "import test_store as t; from grapebench.retrieval import store as m; m._MANY = 4\n"
        "s = m.EmbeddingStore(Path(sys.argv[1])); start = int(sys.argv[3])\n"
        "for n in range(start, start + 40):\n"
        "    s.add('f', 'text', t.keys(n), t.vectors(n))\n"
        "    found, missing = s.get('f', 'text', t.keys(*range(start, n + 1)))\n"
        "    assert not len(missing), missing\n"
        "    assert found.tolist() == t.vectors(*range(start, n + 1)).tolist()\n"
    )
    here = str(Path(__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), here, str(start)], stderr=subprocess.PIPE)
        for start in (0, 20)  # half of the keys are the same
    ]
    told = [writer.communicate(timeout=60)[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], told
    assert told == ["", ""]
    assert not len(EmbeddingStore(tmp_path).get("f", "text", keys(*range(60)))[1])


def test_a_killed_writer_leaves_whole_shards(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "import test_store as t; from grapebench.retrieval import store as m; m._MANY = 3\n"
        "s = m.EmbeddingStore(Path(sys.argv[1])); n = 0\n"
        "while True:\n"
        "    s.add('f', 'text', t.keys(n), t.vectors(n)); print(n, flush=True); n += 1\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    for _ in range(3):
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(20):
            last = int(writer.stdout.readline())
        time.sleep(0.003)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate(timeout=30)
        found, missing = EmbeddingStore(tmp_path).get("f", "text", keys(*range(last + 1)))
        assert not len(missing)
        assert found.tolist() == vectors(*range(last + 1)).tolist()


def test_what_killed_writers_left_is_swept_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", 1)
    store = EmbeddingStore(tmp_path)
    store.add("f", "text", keys(1), vectors(1))
    place = shards(tmp_path)[0].parent
    for name, age in ((".old.part", 7200), (".new.part", 5)):
        (place / name).mkdir()
        os.utime(place / name, (time.time() - age,) * 2)
    store.add("f", "text", keys(2), vectors(2))
    assert not (place / ".old.part").exists()
    assert (place / ".new.part").exists()


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not a directory|file exists"):
        EmbeddingStore(tmp_path / "file").add("f", "text", keys(1), vectors(1))


def test_no_key_is_looked_up_by_itself(tmp_path: Path, count_calls: CountCalls) -> None:
    """As many calls for 3,000 keys as for 30: what grows with them is done by numpy."""
    store = EmbeddingStore(tmp_path)
    rows = np.zeros((3_000, 64), np.float32)
    rows[:, 0] = 1
    store.add("f", "image", keys(*range(3_000)), rows)
    few, many = keys(*range(30)), keys(*range(3_000))[::-1]

    def look_up(names: list[str]) -> int:
        missing: list[int] = []
        calls = count_calls(lambda: missing.extend(store.get("f", "image", names)[1]))
        assert missing == []
        return calls.total()

    look_up(few)  # what is done once only, such as imports
    assert look_up(many) == look_up(few) > 0
