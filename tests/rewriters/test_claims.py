from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.rewriters import claims as claims_module
from grapebench.rewriters.claims import Claims, ask_once

KEYS = ["a", "b", "c"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rewrites.sqlite"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_module, "POLL", 0.02)


def count(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (found,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


def test_what_one_has_another_cannot_take(path: Path) -> None:
    with Claims(path) as one, Claims(path) as other:
        assert one.take("f", KEYS[:2]) == ["a", "b"]
        assert other.take("f", KEYS) == ["c"]
        assert other.take("g", KEYS) == KEYS, "another rewriter's answers are others"
        assert one.take("f", KEYS) == ["a", "b"], "one's own claims stay one's own"
        one.release("f", ["a"])
        assert other.take("f", KEYS) == ["a", "c"]


def test_leaving_gives_all_back(path: Path) -> None:
    with Claims(path) as one:
        one.take("f", KEYS)
    with Claims(path) as other:
        assert other.take("f", KEYS) == KEYS
    assert count(path, "claims") == count(path, "holders") == 0


def test_a_dead_process_holds_nothing(path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from grapebench.rewriters.claims import Claims\n"
        "Claims(Path(sys.argv[1])).take('f', ['a', 'b']); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert count(path, "claims") == 2
    with Claims(path) as other:
        assert other.take("f", KEYS) == KEYS


def test_looking_claims_nothing_and_sees_only_the_living(path: Path, clock: Clock) -> None:
    with Claims(path, lease=30) as one, Claims(path) as other:
        one.take("f", KEYS[:2])
        assert other.of_others("f", ["b", "c"]) == {"b"}
        assert other.of_others("g", KEYS) == one.of_others("f", KEYS) == set()
        assert one.take("f", KEYS) == KEYS, "nothing was claimed by looking"
        clock.now += 31
        assert other.of_others("f", KEYS) == set()


class Clock:
    """Stands in for the module `time`, so that no test waits for a lease, or fails on a busy machine."""

    now = 1000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(claims_module, "time", made)
    return made


def test_another_machine_is_believed_for_the_lease(path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    there = Claims(path, lease=30)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "gethostname", lambda: "elsewhere")
        patch.setattr(os, "getpid", lambda: 2**22 + 1)  # no such process here
        there.take("f", KEYS)
    with Claims(path) as here:
        clock.now += 29
        assert here.take("f", KEYS) == []
        clock.now += 2
        assert here.take("f", KEYS) == KEYS


def test_each_answer_is_a_sign_of_life(path: Path, clock: Clock) -> None:
    with Claims(path, lease=30) as slow, Claims(path) as other:
        slow.take("f", KEYS)
        for key in KEYS[:2]:
            clock.now += 20
            slow.release("f", [key])
        assert other.take("f", KEYS) == ["a", "b"]
        clock.now += 31
        assert other.take("f", KEYS) == KEYS


def test_one_asks_and_the_other_waits(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored: dict[str, str] = {}
    asked: list[str] = []
    begun = threading.Event()

    def ask(keys: Sequence[str]) -> Iterator[tuple[str, str]]:
        for key in keys:
            asked.append(key)
            begun.set()
            time.sleep(0.1)
            stored[key] = key.upper()
            yield key, stored[key]

    def lookup(keys: Sequence[str]) -> dict[str, str]:
        return {key: stored[key] for key in keys if key in stored}

    def run(found: dict[str, str]) -> None:
        with Claims(path) as claims:
            found.update(ask_once(claims, "f", KEYS, lookup, ask))

    first, second = dict[str, str](), dict[str, str]()
    thread = threading.Thread(target=run, args=(first,))
    thread.start()
    assert begun.wait(5)
    run(second)
    thread.join()
    assert first == second == {"a": "A", "b": "B", "c": "C"}
    assert asked == KEYS
    said = capsys.readouterr()
    assert said.out == "" and said.err == "waiting for 3 answers that another process is asking for\n"


def test_what_the_other_gives_up_is_asked_here(path: Path) -> None:
    taken = threading.Event()

    def give_up() -> None:
        with Claims(path) as one:
            one.take("f", KEYS)
            taken.set()
            time.sleep(0.2)

    thread = threading.Thread(target=give_up)
    thread.start()
    assert taken.wait(5)
    with Claims(path) as other:
        assert other.take("f", KEYS) == []
        found = dict(ask_once(other, "f", KEYS, lambda keys: {}, lambda keys: ((key, key) for key in keys)))
    thread.join()
    assert found == {"a": "a", "b": "b", "c": "c"}


def test_what_cannot_be_answered_is_left_out(path: Path) -> None:
    with Claims(path) as claims:
        found = ask_once(claims, "f", KEYS, lambda keys: {}, lambda keys: [(keys[0], "A")])
        assert list(found) == [("a", "A")]
        with Claims(path) as other:
            assert other.take("f", KEYS) == KEYS


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the rewrite store cannot be used"):
        Claims(tmp_path).take("f", KEYS)
