"""Whole results are verified; damaged, misplaced and mixed up ones are found."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grapebench.leaderboard.verification import again
from grapebench.records import Task
from tests.evaluation.world import Strip, Words, go, loaded
from tests.leaderboard.verification.conftest import TASKS, Made
from tests.leaderboard.verification.forging import Noisy, Small, copied, published, put, rehash, renamed, told, verify


def test_whole_results_are_verified(results: Made, tmp_path: Path) -> None:
    for name, (task, folder) in results.items():
        found = verify(copied(folder, tmp_path / name), task, search="always")
        assert found.problems == [], name
        assert found.checked == ["data", "ranks against the run file", "searched again: bit for bit"], name


def test_published_results_are_searched_again(results: Made, tmp_path: Path) -> None:
    for name, (task, folder) in results.items():
        found = verify(published(folder, tmp_path / name), task)
        assert found.problems == [], name
        assert found.checked == ["data", "searched again: bit for bit"], name


def test_what_cannot_be_checked_is_said(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    goal = published(folder, tmp_path)
    for name in ("rewrites.jsonl.gz", "similarities.parquet", "per_image.parquet"):
        (goal / name).unlink()
    found = verify(goal, task)
    assert not found.problems
    told = "; ".join(found.unchecked)
    for what in (
        "inflation: similarities", "from images to texts: per_image",
        "searching again: rewrites", "answers and what was paid", "the rewriter: it is not here",
    ):  # fmt: skip
        assert what in told
    assert "ranks against the run file" in "; ".join(verify(goal, task, search="never").unchecked)


def test_without_its_table_the_way_back_is_searched_again(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    goal = published(folder, tmp_path)
    for name in ("similarities.parquet", "per_image.parquet"):
        (goal / name).unlink()
    assert verify(goal, task).checked[-1] == "searched again: bit for bit"
    put(goal, ["metrics", "i2t_R@5"], 0.99)
    assert "metrics['i2t_R@5'] is 0.99" in verify(goal, task).problems[0]


@pytest.mark.parametrize("name", ["run.trec.gz", "rewrites.jsonl.gz", "per_query.parquet", "similarities.parquet"])
def test_broken_files_are_told_and_not_raised(plain: tuple[Task, Path], name: str) -> None:
    task, folder = plain
    content = (folder / name).read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no such thing", content[:200] + b"\0" * 40 + content[240:]):
        (folder / name).write_bytes(damaged)
        assert f"{name}: the file is not the one" in told(verify(folder, task))
        rehash(folder)
        assert told(verify(folder, task)).startswith(name)


def test_files_of_another_result_are_found(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    for name in ("per_query.parquet", "similarities.parquet", "per_image.parquet", "run.trec.gz", "rewrites.jsonl.gz"):
        goal = copied(folder, tmp_path / name)
        (goal / name).write_bytes((results["retrieval max"][1] / name).read_bytes())
        rehash(goal)
        assert verify(goal, task, search="always").problems, name


def test_files_that_do_not_belong_there_are_found(plain: tuple[Task, Path]) -> None:
    task, folder = plain
    (folder / "notes.txt").write_text("more")
    (folder / "queries.jsonl.gz").rename(folder.parent / "elsewhere")
    (folder / "queries.jsonl.gz").symlink_to(folder.parent / "elsewhere")
    said = told(verify(folder, task))
    assert (
        "notes.txt: result.json does not name this file" in said and "queries.jsonl.gz: this is no plain file" in said
    )


def test_an_id_that_fits_forged_determinants_helps_nobody(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    changes = {"revision": 2, "benchmark": "9.9", "split": "val", "more": 1, "dataset": "0" * 64}
    for key, value in changes.items():
        goal = copied(folder, tmp_path / key)
        put(goal, ["determinants", key], value)
        assert "is not the hash of the determinants" in told(verify(goal, task))
        said = told(verify(renamed(goal), task))
        assert f"determinants[{key!r}]" in said or f"determinants has {key!r}" in said


def test_a_result_in_the_wrong_place_is_found(plain: tuple[Task, Path]) -> None:
    task, folder = plain
    folder.parent.rename(folder.parent.with_name("grape"))
    said = told(verify(folder.parent.with_name("grape") / folder.name, task))
    assert "the result belongs into mini/words/words/strip" in said


def test_what_was_seen_and_oracles(results: Made, tmp_path: Path) -> None:
    from grapebench.datasets.seen import whole

    task, folder = results["retrieval"]
    bench = Small(only=task, asks=loaded(Strip()))
    goal = copied(folder, tmp_path)
    assert not verify(goal, task, bench).unchecked
    bench.asks = loaded(Strip(), seen=whole([task]))
    assert "seen is None, and what it was trained on and the gallery give {'images': 60" in told(
        verify(goal, task, bench)
    )
    bench.asks = loaded(Strip(), oracle=True)
    assert "rewriter.oracle is False, and the rewriter's card says True" in told(verify(goal, task, bench))
    best_task, best = results["retrieval best"]
    best = copied(best, tmp_path / "best")
    put(best, ["rewriter", "oracle"], False)
    assert "rewriter.oracle is false, and its rewrites are fused by 'best'" in told(verify(best, best_task))


@pytest.mark.parametrize("kind", [name for name in TASKS if name != "unlabelled"])
def test_last_bits_are_excused_and_nothing_more(
    results: Made, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more noise and as much more slack, ranks move: all of them within what near-ties allow."""
    moved = 0
    for slack, noise, figure in ((1e-5, 1e-6, 0.005), (0.05, 0.01, 1.0)):
        monkeypatch.setattr("grapebench.leaderboard.verification.slack.FP32", slack)
        monkeypatch.setattr("grapebench.leaderboard.verification.again.FIGURE", figure)
        for name in (kind, *(f"{kind} {fusion}" for fusion in ("mean", "max", "rrf", "turns", "best"))):
            task, folder = results[name]
            goal = published(folder, tmp_path / str(slack) / name)
            found = verify(goal, task, Small(only=task, searcher=Noisy(noise)))
            assert found.problems == [], name
            moved += "differ by near-ties" in found.checked[-1] and ": 0 ranks" not in found.checked[-1]
            shutil.rmtree(goal.parents[4] / "vectors")
            assert verify(goal, task, Small(only=task, searcher=Noisy(0.5))).problems, name
    assert moved >= 3


def test_a_run_from_nothing(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    goal = published(folder, tmp_path)
    bench = Small(only=task, asks=loaded(Strip()))
    assert verify(goal, task, bench, run=True).checked[-1] == "run again from nothing: bit for bit"

    class Same(Strip):
        def rewrite(self, queries: Any) -> Any:
            for rewrite in super().rewrite(queries):
                text = task.queries[int(rewrite.query_id[1:])].text
                yield replace(rewrite, texts=(text,), raw=text)

    bench.asks = loaded(Same())
    said = told(verify(goal, task, bench, run=True))
    assert "a run from nothing gives" in said and "worse by" in said
    _, worse = go_same(task, tmp_path, Same())
    bench.asks = loaded(Strip())
    said = told(verify(published(worse, tmp_path / "worse"), task, bench, run=True))
    assert "better by" in said


def go_same(task: Task, folder: Path, rewriter: Any) -> tuple[Task, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPEBENCH_HOME", str(folder / "home"))
        return task, go(task, rewriter, into=folder / "made")


def test_another_rewriter_or_retriever_cannot_be_run_again(plain: tuple[Task, Path]) -> None:
    task, folder = plain
    bench = Small(only=task, asks=loaded(Strip(), "another"), searcher=Words())
    found = verify(folder, task, bench, run=True)
    assert not found.problems and "running again: what determines the result differs here (rewriter)" in found.unchecked
    found = verify(folder, task, run=True)
    assert "running again: it is not here" in found.unchecked


def test_tolerances_are_those_of_the_guide() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "leaderboard" / "submitting.md").read_text(encoding="utf-8")
    from grapebench.leaderboard.verification import rerun, slack

    assert (slack.FP32, slack.OTHERWISE, again.FIGURE, rerun.FIGURE) == (1e-5, 1e-3, 0.005, 0.005)
    for number in ("0.00001", "0.001", "half a point"):
        assert number in guide
