from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import files
from grapebench.evaluation import trec
from grapebench.leaderboard import artifacts, runs
from grapebench.leaderboard.results import REWRITES_FILE, RUN_FILE
from grapebench.leaderboard.store import Stored, folder_of
from grapebench.records import Query, Rewrite

QUERIES = [Query("q1", "one", ("a",)), Query("q2", "two", ("b",))]


@pytest.fixture
def save(tmp_path: Path, make_result: Any) -> Any:
    """Puts a result with a run and rewrites into a store; those of `rewritten` were searched as another text."""

    def saved(rewriter: str, *, store: str = "home", rewritten: tuple[str, ...] = (), **changes: Any) -> Stored:
        one = make_result(rewriter, **changes)
        folder = folder_of(tmp_path / store, one.suite, one.task, one.retriever.name, rewriter, one.id)
        folder.mkdir(parents=True)
        score = np.float32([[0.5, 0.25], [0.5, 0.5]]) + len(rewriter) / 128
        trec.write_run(folder / RUN_FILE, ["q1", "q2"], ["a", "b"], np.array([[1, 0], [0, 1]]), score)
        texts = [f"new {query.text}" if query.id in rewritten else query.text for query in QUERIES]
        rewrites = [Rewrite(query.id, texts=(text,)) for query, text in zip(QUERIES, texts, strict=True)]
        artifacts.write_rewrites(folder / REWRITES_FILE, QUERIES, rewrites)
        hashes = {name: files.sha256_file(folder / name) for name in (RUN_FILE, REWRITES_FILE)}
        return Stored(one.model_copy(update={"files": hashes}), folder)

    return saved


def test_a_run_lies_beside_the_result_or_in_the_users_store(tmp_path: Path, save: Any) -> None:
    mine, published = save("llm"), save("llm", store="board")
    home = tmp_path / "home"
    assert runs.locate(mine, home) == mine.folder / RUN_FILE
    assert runs.locate(published, home) == published.folder / RUN_FILE
    (published.folder / RUN_FILE).unlink()
    assert runs.locate(published, home) == mine.folder / RUN_FILE
    assert runs.locate(published, tmp_path / "elsewhere") is None


def test_another_run_than_the_results_is_none(tmp_path: Path, save: Any) -> None:
    one = save("llm")
    (one.folder / RUN_FILE).write_bytes(b"q1 Q0 a 1 0.5 tag\n")
    assert runs.locate(one, tmp_path / "home") is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 4)), unique_by=lambda row: row[:2]))
def test_the_best_are_those_of_the_highest_scores_in_the_order_of_the_file(rows: list[tuple[int, int, int]]) -> None:
    names = list(dict.fromkeys(f"q{query}" for query, _, _ in rows))
    run = trec.Run(
        Path("run"), tuple(names), tuple(f"i{number}" for number in range(10)),
        np.array([names.index(f"q{query}") for query, _, _ in rows], np.int32),
        np.array([image for _, image, _ in rows], np.int32), np.array([score / 4 for _, _, score in rows]),
    )  # fmt: skip
    expected = {
        name: tuple(sorted(((f"i{i}", s / 4) for q, i, s in rows if f"q{q}" == name), key=lambda one: -one[1])[:3])
        for name in names
    }
    assert runs.best(run, 3) == expected


def test_the_raw_text_was_searched_where_a_comparable_result_searched_it_as_it_came(tmp_path: Path, save: Any) -> None:
    home = tmp_path / "home"
    one, raw = save("llm", rewritten=("q1",)), save("identity")
    same = {"known": [one, raw], "store": home}
    assert runs.locate_raw(one, "q1", **same) == raw.folder / RUN_FILE
    assert runs.locate_raw(one, "q2", **same) == one.folder / RUN_FILE, "its own search of it was that of the raw text"
    for changes in ({"weights": "b" * 64}, {"task": "cvlue"}, {"protocol": "retrieval"}):
        other = save("identity", **changes)
        assert runs.locate_raw(one, "q1", [other], home) is None
    assert runs.locate_raw(one, "q1", [one], home) is None


def test_broken_results_say_nothing_of_the_raw_text(tmp_path: Path, save: Any) -> None:
    one, broken, bare = save("llm", rewritten=("q1",)), save("identity"), save("raw")
    (broken.folder / REWRITES_FILE).write_bytes(b"no gzip")
    (bare.folder / REWRITES_FILE).unlink()
    assert runs.locate_raw(one, "q1", [broken, bare], tmp_path / "home") is None
    assert runs.locate_raw(bare, "q1", [], tmp_path / "home") is None, "nobody knows what it searched"
