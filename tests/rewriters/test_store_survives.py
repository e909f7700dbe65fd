"""What the rewrite store holds after a process was killed, beside another one, and of a damaged file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.rewriters.store import RewriteStore, all_answers, rewrite_all
from tests.rewriters.asked import QUERIES, Upper, loaded

KILLED = """
import os, signal, sys
from pathlib import Path
from grapebench.records import Query, Rewrite
from grapebench.rewriters import LoadedRewriter
from grapebench.rewriters.store import RewriteStore, rewrite_all

class Killed:
    def rewrite(self, queries):
        for n, query in enumerate(queries):
            if n == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            yield Rewrite(query.id, (query.text.upper(),))

queries = [Query(str(n), f"text {n}") for n in range(10)]
loaded = LoadedRewriter("mine", Killed(), None, "f1", {}, sampled=False)
rewrite_all(loaded, queries, RewriteStore(Path(sys.argv[1])), 0)
"""


def test_a_killed_process_loses_only_what_was_in_flight(store: RewriteStore) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    rest = Upper()
    answers = rewrite_all(loaded(rest), QUERIES, store, 0)
    assert rest.asked == ["7", "8", "9"]
    assert [answer.texts for answer in answers] == [(query.text.upper(),) for query in QUERIES]


KILLED_SAMPLING = KILLED.replace("sampled=False", "sampled=True, samples=3, combine=lambda query, some: some[0]")


def test_a_killed_process_goes_on_within_the_samples_of_a_query(store: RewriteStore) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_SAMPLING, str(store.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    rest = Upper()
    answers = all_answers(loaded(rest, sampled=True), QUERIES, store, 0, 3)
    assert rest.asked == ["2#1", "2#2", *(f"{n}{mark}" for n in range(3, 10) for mark in ("", "#1", "#2"))]
    assert [[answer.texts for answer in some] for some in answers] == [[(query.text.upper(),)] * 3 for query in QUERIES]


def _fill(path: Path, name: str) -> None:
    with RewriteStore(path) as store:
        for n in range(200):
            store.put("f", {f"{name}{n}": Rewrite("", (f"{name} {n}",))})
            assert store.lookup("f", [f"{name}{n}"])


def test_two_processes_share_it(tmp_path: Path) -> None:
    path = tmp_path / "rewrites.sqlite"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_fill, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    with RewriteStore(path) as store:
        found = store.lookup("f", [f"{name}{n}" for name in "ab" for n in range(200)])
    assert len(found) == 400 and found["b199"].texts == ("b 199",)


def test_a_file_that_is_no_database_is_moved_aside(store: RewriteStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.path.parent.mkdir(parents=True)
    store.path.write_bytes(b"not a database at all" * 400)
    assert len(rewrite_all(loaded(Upper()), QUERIES, store, 0)) == 10
    said = capsys.readouterr()
    assert said.out == "" and "rewrites.sqlite: not readable; moved to rewrites.sqlite.broken-" in said.err
    (aside,) = store.path.parent.glob("*.broken-*")
    assert aside.read_bytes().startswith(b"not a database")
    again = Upper()
    rewrite_all(loaded(again), QUERIES, store, 0)
    assert again.asked == []


def test_a_damaged_page_is_moved_aside(store: RewriteStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.put("f", {str(n): Rewrite("", ("x" * 900,)) for n in range(100)})
    store.close()
    data = bytearray(store.path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    store.path.write_bytes(data)
    assert store.lookup("f", ["1"]) == {}
    store.put("f", {"1": Rewrite("", ("y",))})
    assert store.lookup("f", ["1"])["1"].texts == ("y",)
    assert capsys.readouterr().err.count("not readable") == 1


def test_a_row_that_cannot_be_read_is_asked_for_again(store: RewriteStore) -> None:
    rewrite_all(loaded(Upper()), QUERIES, store, 0)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE rewrites SET answer = '{' WHERE answer LIKE '%TEXT 3%'")
        connection.execute("UPDATE rewrites SET answer = '{\"colour\": 1}' WHERE answer LIKE '%TEXT 4%'")
    connection.close()
    again = Upper()
    rewrite_all(loaded(again), QUERIES, store, 0)
    assert again.asked == ["3", "4"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="rewrites.sqlite"):
        RewriteStore(tmp_path / "rewrites.sqlite").lookup("f", ["k"])


def test_a_place_that_cannot_hold_it_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="file"):
        RewriteStore(tmp_path / "file" / "rewrites.sqlite").lookup("f", ["k"])
    (tmp_path / "rewrites.sqlite").mkdir()
    with pytest.raises(UserError, match=r"rewrites\.sqlite: the rewrite store cannot be used: unable to open"):
        RewriteStore(tmp_path / "rewrites.sqlite").lookup("f", ["k"])


def test_a_sampled_model_goes_on_where_it_was(tiny_lm: Path, tmp_path: Path) -> None:
    """Interrupted after some batches and resumed, sampled answers are those of an undisturbed run."""
    from grapebench.rewriters.prompted import Local
    from grapebench.rewriters.prompts import Prompt
    from grapebench.rewriters.setup import Setup

    settings = Local.Settings(model=str(tiny_lm), dtype="float32", max_new_tokens=8, batch_tokens=150, sample=True)

    def model() -> Local:
        return Local(settings, Setup("mini", "translate", 2, tmp_path, "cpu"), Prompt("translate", "Say $query"))

    class Interrupted:
        def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
            for count, answer in enumerate(model().rewrite(queries)):
                if count == 4:
                    raise KeyboardInterrupt
                yield answer

    with RewriteStore(tmp_path / "whole.sqlite") as store:
        whole = rewrite_all(loaded(model(), sampled=True), QUERIES, store, 2)
    with RewriteStore(tmp_path / "parts.sqlite") as store:
        with pytest.raises(KeyboardInterrupt):
            rewrite_all(loaded(Interrupted(), sampled=True), QUERIES, store, 2)
        assert rewrite_all(loaded(model(), sampled=True), QUERIES, store, 2) == whole
    assert len({answer.raw for answer in whole}) > 5
