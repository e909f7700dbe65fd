"""Whole results are verified; whatever is changed in one is found, and named."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grapebench.leaderboard import artifacts
from grapebench.leaderboard.verification import Findings, again
from grapebench.records import Query, Task
from tests.evaluation.world import (
    CAPTIONS,
    Strip,
    Words,
    by_shape,
    foreign,
    go,
    graded,
    loaded,
    task_of,
    unlabelled,
)
from tests.leaderboard.verification.forging import (
    Noisy,
    Several,
    Small,
    copied,
    edit,
    lines,
    published,
    put,
    rehash,
    renamed,
    table,
    verify,
)

DEPTH, TEXTS = 7, 3
Made = dict[str, tuple[Task, Path]]
"""Tasks and results by what they show."""


def plain_task(root: Path, protocol: str = "retrieval") -> Task:
    queries = [
        Query(f"q{n}", foreign(text), (f"i{n}",), language=("de", "zh")[n % 2]) for n, text in enumerate(CAPTIONS)
    ]
    return task_of(root, queries, protocol, "translate")


def composed_task(root: Path) -> Task:
    queries = [
        Query(f"q{n}", "snow instead", (f"i{n + 2}",), reference=f"i{n}", excluded=(f"i{n}",),
              subset=tuple(f"i{m}" for m in range(n + 1, n + 6)))
        for n in range(0, 54, 3)
    ]  # fmt: skip
    return task_of(root, queries, "composed", "compose")


TASKS: dict[str, Callable[[Path], Task]] = {
    "retrieval": plain_task,
    "multilingual": lambda root: plain_task(root, "multilingual"),
    "composed": composed_task,
    "graded": lambda root: graded(composed_task(root)),
    "categories": lambda root: by_shape(root, "categories"),
    "category-map": lambda root: by_shape(root, "category-map"),
    "unlabelled": lambda root: unlabelled(plain_task(root), len(CAPTIONS)),
}


@pytest.fixture(scope="module", autouse=True)
def short_lists() -> Any:
    """The made-up gallery is small: shorter lists leave something that they do not tell."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("grapebench.evaluation.search", "grapebench.leaderboard.verification.recount"):
            patch.setattr(f"{module}.RUN_DEPTH", DEPTH)
            patch.setattr(f"{module}.TEXTS", TEXTS)
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, short_lists: None) -> Made:
    """A result of each protocol, and of each way to fuse several texts."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, make in TASKS.items():
            root = tmp_path_factory.mktemp(name) / "data"
            root.mkdir()
            (root / "captions.json").write_text("{}")
            patch.setenv("GRAPEBENCH_HOME", str(root.parent / "home"))
            task = make(root)
            found[name] = task, go(task)
            for fusion in ("mean", "max", "rrf", "best") if name != "unlabelled" else ("rrf",):
                rewriter = loaded(Several(fusion), fusion, oracle=fusion == "best")
                found[f"{name} {fusion}"] = task, go(task, rewriter)
    return found


@pytest.fixture
def plain(results: Made, tmp_path: Path) -> tuple[Task, Path]:
    task, folder = results["retrieval"]
    return task, copied(folder, tmp_path)


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


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["metrics", "R@1"], 0.99, "metrics['R@1'] is 0.99"),
        (["metrics", "i2t_R@5"], 0.99, "metrics['i2t_R@5'] is 0.99"),
        (["metrics", "median_rank"], 1.5, "metrics['median_rank'] is 1.5"),
        (["metrics", "R@7"], 0.99, "metrics has 'R@7'"),
        (["metrics_before", "MRR"], 0.001, "metrics_before['MRR'] is 0.001"),
        (["intervals", "R@10", "low"], 0.5, "intervals['R@10'] is {'low': 0.5"),
        (["intervals", "R@10"], {"low": 0.1, "high": 0.2}, "intervals['R@10']"),
        (["deltas", "R@5", "value"], 0.7, "deltas['R@5'] is {'value': 0.7"),
        (["deltas", "i2t_R@1", "high"], 0.123, "deltas['i2t_R@1']"),
        (["ties"], 0.5, "ties is 0.5"),
        (["ties"], -0.5, "ties is less than there can be"),
        (["duplicates"], 3, "duplicates is 3, and the images here give 0"),
        (["fallbacks"], {}, "fallbacks lacks 'no words'"),
        (["undetected"], {"no list": 1}, "undetected has 'no list'"),
        (["unanswered"], {"timeout": 2}, "unanswered['timeout'] is 2"),
        (["inflation", "before", "margin"], 0.25, "inflation.before['margin'] is 0.25"),
        (["inflation", "after", "positive"], None, "inflation.after['positive'] is None"),
        (["inflation"], None, "inflation is null"),
        (["cost", "money"], 1.0, "cost.money is 1.0"),
        (["cost", "completion_tokens"], -5, "cost.completion_tokens is less"),
        (["cost", "rewritten"], 999, "cost.rewritten is 999"),
        (["queries"], 59, "queries is 59"),
        (["gallery"], 1000, "gallery is 1000"),
        (["groups"], {"circle": "round"}, "groups is {'circle': 'round'}"),
        (["task"], "flickr30k", "determinants['task'] is 'words'"),
        (["revision"], 2, "determinants['revision'] is 1"),
        (["benchmark"], "9.9", "benchmark is '9.9'"),
        (["seed"], 4, "determinants['seed'] is 0"),
        (["limit"], 60, "determinants['limit'] is None"),
        (["data", "dataset"], "0" * 64, "data.dataset is '000"),
        (["data", "images"], "0" * 64, "data.images is '000"),
        (["retriever", "fingerprint"], "other", "determinants['retriever']"),
        (["rewriter", "name"], "other", "the result belongs into mini/words/words/other"),
        (["rewriter", "captioner"], "bank", "rewriter.captioner is 'bank'"),
        (["seen"], {"images": 1, "gallery": 60, "sources": []}, "determinants lacks 'seen'"),
        (["environment", "grapebench"], "99.0", "newer than this one"),
        (["environment", "python"], "three", "environment.python is 'three'"),
        (["environment", "commit"], "--all", "no commit's name"),
        (["created"], "2999-01-01T00:00:00+00:00", "in the future"),
        (["created"], "yesterday", "no time with its zone"),
        (["files", "more.bin"], "0" * 64, "more.bin: a file of the result is missing"),
        (["more"], 1, "not a result: more"),
        (["labelled"], False, "labelled is false"),
    ],
)
def test_a_changed_field_is_found(plain: tuple[Task, Path], keys: list[str], value: Any, said: str) -> None:
    task, folder = plain
    put(folder, keys, value)
    assert said in told(verify(folder, task))


def told(found: Findings) -> str:
    """All problems; each begins with a file and holds a sentence."""
    assert all(": " in problem for problem in found.problems)
    return "\n".join(found.problems)


def test_every_figure_of_every_kind_is_checked(results: Made, tmp_path: Path) -> None:
    for name, (task, folder) in results.items():
        goal = copied(folder, tmp_path / name)
        figures = json.loads((goal / "result.json").read_text())
        for field in ("metrics", "metrics_before"):
            put(goal, [field], {key: value + 0.001 for key, value in figures[field].items()})
        for field in ("intervals", "deltas"):
            put(goal, [field], {key: bounds | {"low": bounds["low"] - 0.001} for key, bounds in figures[field].items()})
        said = told(verify(goal, task, search="never"))
        for field in ("metrics", "metrics_before", "intervals", "deltas"):
            for key in figures[field]:
                assert f"{field}[{key!r}]" in said, (name, field, key)


def swap_rows(columns: dict[str, list[Any]]) -> None:
    for values in columns.values():
        values[0], values[1] = values[1], values[0]


def set_at(column: str, value: Any, row: int = 3) -> Callable[[dict[str, list[Any]]], None]:
    def change(columns: dict[str, list[Any]]) -> None:
        columns[column][row] = value

    return change


def better(columns: dict[str, list[Any]]) -> None:
    """The worst query becomes the best."""
    row = max(range(len(columns["rank"])), key=columns["rank"].__getitem__)
    columns["rank"][row], columns["above"][row], columns["equal"][row] = 1, 0, 0


def without(row: int) -> Callable[[dict[str, list[Any]]], None]:
    def change(columns: dict[str, list[Any]]) -> None:
        for values in columns.values():
            del values[row]

    return change


def twice(columns: dict[str, list[Any]]) -> None:
    for values in columns.values():
        values[1] = values[0]


PER_QUERY = "per_query.parquet"
COSINES = "similarities.parquet"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (PER_QUERY, better, "rank is not what the run file tells"),
        (PER_QUERY, set_at("rank", 2), "rank is not 1 + above + equal: 'q3'"),
        (PER_QUERY, set_at("rank", 0), "rank of row 4 is 0, which is not a rank"),
        (PER_QUERY, set_at("rank_before", 1, 4), "the margin before rewriting does not fit"),
        (PER_QUERY, set_at("candidates", 59), "candidates is not the gallery"),
        (PER_QUERY, set_at("candidates", 61), "more candidates than images"),
        (PER_QUERY, set_at("language", "fr"), "language is not that of the query: 'q3'"),
        (PER_QUERY, set_at("cluster", "i9"), "cluster is not that of the query: 'q3'"),
        (PER_QUERY, set_at("fallback", "lost"), "the fallback is not that of per_query.parquet: 'q3'"),
        (PER_QUERY, set_at("query_id", "q99"), "similarities.parquet: the queries are not those of per_query"),
        (PER_QUERY, swap_rows, "similarities.parquet: the queries are not those of per_query"),
        (PER_QUERY, twice, "query 'q0' has two rows"),
        (PER_QUERY, without(5), "queries is 60, and the rows of per_query.parquet are 59"),
        (PER_QUERY, lambda columns: columns.pop("above"), "the column 'above' is missing"),
        (PER_QUERY, lambda columns: columns.update(more=columns["rank"]), "the column 'more' is none"),
        (PER_QUERY, lambda columns: columns.update(rank=[float(v) for v in columns["rank"]]), "rank of row 1 is"),
        (PER_QUERY, lambda columns: columns.update(rank=["1"] * 60), "rank of row 1 is '1'"),
        (COSINES, set_at("similarity_margin", float("nan")), "similarity_margin of row 4 is nan"),
        (COSINES, set_at("similarity_positive", float("inf")), "similarity_positive of row 4 is inf"),
        (COSINES, set_at("similarity_others", 1.5), "similarity_others of row 4 is 1.5"),
        (
            COSINES,
            set_at("similarity_others", 0.3),
            "which is not a finite cosine on",
        ),
        (COSINES, swap_rows, "the queries are not those of per_query.parquet"),
        ("per_image.parquet", swap_rows, "the rows are not the images that have texts"),
        ("per_image.parquet", twice, "image ('', 'i0') has two rows"),
        ("per_image.parquet", set_at("rank", 55), "rank is not what the run file tells"),
        ("per_image.parquet", set_at("rank", 61), "rank is higher than there are queries"),
    ],
)
def test_a_changed_table_is_found(plain: tuple[Task, Path], name: str, change: Any, said: str) -> None:
    task, folder = plain
    table(folder, name, change)
    assert said in told(verify(folder, task))


@pytest.mark.parametrize(
    ("rows", "packed", "said"),
    [
        (swap_rows, lambda found: [found[1], found[0], *found[2:]], "query 'q1' stands where 'q0' is asked (row 1)"),
        (without(5), lambda found: found[:5] + found[6:], "queries is 59, and the data here have 60"),
    ],
)
def test_queries_changed_in_all_files_alike_are_found(
    plain: tuple[Task, Path], rows: Any, packed: Any, said: str
) -> None:
    task, folder = plain
    for name in (PER_QUERY, COSINES):
        table(folder, name, rows)
    for name in ("queries.jsonl.gz", "rewrites.jsonl.gz"):
        lines(folder, name, packed)
    put(folder, ["queries"], len(artifacts.read_table(folder / PER_QUERY)["rank"]))
    assert said in told(verify(folder, task))


def better_everywhere(folder: Path) -> None:
    """A forger who computes all figures from the ranks that he made up."""
    from grapebench.evaluation import beside
    from grapebench.evaluation.compare import read_image_places, read_places, read_rows
    from grapebench.evaluation.protocols import PROTOCOLS

    table(folder, PER_QUERY, better)
    columns, images = artifacts.read_table(folder / PER_QUERY), artifacts.read_table(folder / "per_image.parquet")
    protocol, queries, ends = PROTOCOLS["retrieval"], read_rows(columns), ("_before", "")
    places = tuple(read_places(columns, end) for end in ends)  # type: ignore[arg-type]
    sheets = tuple(
        beside.sheets(protocol, queries, {}, place, read_image_places(images, end))  # type: ignore[arg-type]
        for place, end in zip(places, ends, strict=True)
    )
    fields = beside.figure_fields(protocol, sheets, places)  # type: ignore[arg-type]
    fields |= {key: {name: one.model_dump() for name, one in fields[key].items()} for key in ("intervals", "deltas")}
    edit(folder, lambda told: told.update(fields))


def test_consistent_figures_of_made_up_ranks_are_found(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    whole, small = copied(folder, tmp_path / "whole"), published(folder, tmp_path / "published")
    for goal, said in (
        (whole, "rank is not what the run file tells"),
        (small, "rank is not what searching again gives"),
    ):
        better_everywhere(goal)
        (problem,) = verify(goal, task).problems
        assert problem.startswith(f"per_query.parquet: {said}")


def first_line(change: Callable[[list[str]], object]) -> Callable[[list[str]], list[str]]:
    def changed(found: list[str]) -> list[str]:
        columns = found[0].split(" ")
        change(columns)
        return [" ".join(columns), *found[1:]]

    return changed


@pytest.mark.parametrize(
    ("kind", "name", "change", "said"),
    [
        ("retrieval", "run.trec.gz", lambda found: found[DEPTH:], "has query 'q1' where query 'q0' comes next"),
        ("retrieval", "run.trec.gz", lambda found: found[:-DEPTH], "ends where query 'q59' comes next"),
        ("retrieval", "run.trec.gz", lambda found: found + found[:DEPTH], "query 'q0' comes a second time"),
        ("retrieval", "run.trec.gz", lambda found: found[1:], "run.trec.gz:1: the rank is '2' where 1 comes next"),
        (
            "retrieval",
            "run.trec.gz",
            lambda found: found[DEPTH : 2 * DEPTH] + found[:DEPTH] + found[2 * DEPTH :],
            "'q1'",
        ),
        ("retrieval", "run.trec.gz", lambda found: found[: DEPTH - 1] + found[DEPTH:], "lists another number"),
        ("retrieval", "run.trec.gz", first_line(lambda c: c.__setitem__(4, "nan")), "the score is 'nan'"),
        ("retrieval", "run.trec.gz", first_line(lambda c: c.__setitem__(4, "inf")), "the score is 'inf'"),
        ("retrieval", "run.trec.gz", first_line(lambda c: c.__setitem__(4, "1_0")), "the score is '1_0'"),
        (
            "retrieval",
            "run.trec.gz",
            first_line(lambda c: c.__setitem__(4, "-9")),
            "gz:2: the score is higher",
        ),
        ("retrieval", "run.trec.gz", first_line(lambda c: c.__setitem__(2, "i99")), "names what is not searched: 'q0'"),
        ("retrieval", "run.trec.gz", first_line(lambda c: c.pop()), "expected six columns"),
        (
            "retrieval",
            "run.trec.gz",
            lambda found: [found[0], found[0].replace(" 1 ", " 2 "), *found[2:]],
            "second time",
        ),
        ("composed", "run.trec.gz", first_line(lambda c: c.__setitem__(2, "i0")), "names an excluded image: 'q0'"),
        ("composed", "subset.trec.gz", first_line(lambda c: c.__setitem__(2, "i0")), "does not list the look-alikes"),
        (
            "composed",
            "subset.trec.gz",
            first_line(lambda c: c.__setitem__(4, "0.99")),
            "another score than run",
        ),
        ("retrieval", "image_to_text.trec.gz", lambda found: found[TEXTS:], "has image 'i1' where image 'i0'"),
        (
            "retrieval",
            "image_to_text.trec.gz",
            first_line(lambda c: c.__setitem__(2, "q99")),
            "not searched: 'i0'",
        ),
        ("retrieval", "rewrites.jsonl.gz", lambda found: found[1:], "where 'q0' comes next"),
        ("retrieval", "rewrites.jsonl.gz", lambda found: found + found[:1], "more rewrites than queries"),
        ("retrieval", "rewrites.jsonl.gz", lambda found: [found[1], found[0], *found[2:]], "where 'q0' comes next"),
        ("retrieval", "rewrites.jsonl.gz", lambda found: ["[1]\n", *found[1:]], "rewrites.jsonl.gz:1: "),
        ("retrieval", "rewrites.jsonl.gz", lambda found: ['{"query_id": "q0", "x": 1}\n', *found[1:]], "no rewrite: x"),
        (
            "retrieval",
            "queries.jsonl.gz",
            lambda found: [found[1], found[0], *found[2:]],
            "gz: the queries",
        ),
    ],
)
def test_a_changed_list_is_found(results: Made, tmp_path: Path, kind: str, name: str, change: Any, said: str) -> None:
    task, folder = results[kind]
    goal = copied(folder, tmp_path)
    lines(goal, name, change)
    assert said in told(verify(goal, task))


def test_a_run_that_disagrees_with_the_ranks_is_found(results: Made, tmp_path: Path) -> None:
    """Two images change places in the lists of all queries, with all hashes made right."""
    for kind in ("retrieval", "composed", "graded", "category-map"):
        task, folder = results[kind]
        goal = copied(folder, tmp_path / kind)

        def swapped(found: list[str]) -> list[str]:
            rows = [line.split(" ") for line in found]
            for one, other in itertools.pairwise(rows):
                if one[0] == other[0] and one[3] == "1":
                    one[2], other[2] = other[2], one[2]
            return [" ".join(row) for row in rows]

        lines(goal, "run.trec.gz", swapped)
        assert "is not what the run file tells" in told(verify(goal, task)), kind


def test_changed_rewrites_are_found_by_searching_again(results: Made, tmp_path: Path) -> None:
    task, folder = results["retrieval"]
    goal = published(folder, tmp_path)
    lines(goal, "rewrites.jsonl.gz", lambda found: [line.replace("red circle", "blue star") for line in found])
    assert "rank is not what searching again gives: query 'q" in told(verify(goal, task))


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
    changes = {"revision": 2, "benchmark": "1.1", "split": "val", "more": 1, "dataset": "0" * 64}
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
        for name in (kind, *(f"{kind} {fusion}" for fusion in ("mean", "max", "rrf", "best"))):
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
