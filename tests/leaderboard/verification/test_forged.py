"""Whatever is changed in the fields, tables and lists of a result is found, and named."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.leaderboard import artifacts, store
from grapebench.records import Task
from tests.leaderboard.verification.conftest import DEPTH, TEXTS, Made
from tests.leaderboard.verification.forging import copied, edit, lines, published, put, table, told, verify


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
        (["cut"], {"output": 1}, "cut has 'output'"),
        (["partial"], {"refusal": 1}, "partial has 'refusal'"),
        (["uncaptioned"], {"refusal": -1}, "uncaptioned['refusal'] is less than there can be"),
        (["unanswered"], {"timeout": 2}, "unanswered['timeout'] is 2"),
        (["inflation", "before", "margin"], 0.25, "inflation.before['margin'] is 0.25"),
        (["inflation", "after", "positive"], None, "inflation.after['positive'] is None"),
        (["inflation"], None, "inflation is null"),
        (["cost", "money"], 1.0, "cost.money is 1.0"),
        (["cost", "completion_tokens"], -5, "cost.completion_tokens is less"),
        (["cost", "rewritten"], 999, "cost.rewritten is 999"),
        (["queries"], 59, "queries is 59"),
        (["gallery"], 1000, "gallery is 1000"),
        (["clusters"], 61, "clusters is 61, and the data here give 60"),
        (["largest_cluster"], None, "largest_cluster is None"),
        (["data", "sources"], "0" * 64, "data.sources is '000"),
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
        (PER_QUERY, set_at("positive", "i9"), "positive is not that of the query: 'q3'"),
        (PER_QUERY, set_at("cluster", "i9"), "clusters is 60, and the files beside it give 59"),
        (PER_QUERY, set_at("cluster", "more"), "cluster is not that of the query: 'q3'"),
        ("per_image.parquet", set_at("cluster", "more"), "cluster is not that of the image: 'i3'"),
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
        beside.sheets(
            protocol,
            queries,
            {},
            place,
            read_image_places(images, end),
            columns["cluster"],
            images["cluster"],  # type: ignore[arg-type]
        )
        for place, end in zip(places, ends, strict=True)
    )
    fields = beside.figure_fields(protocol, sheets, places)  # type: ignore[arg-type]
    fields |= {key: {name: one.model_dump() for name, one in fields[key].items()} for key in ("intervals", "deltas")}
    edit(folder, lambda told: told.update(fields))


def test_clusters_taken_apart_are_found(results: Made, tmp_path: Path) -> None:
    """Look-alikes that are counted as independent, in all files alike: narrower intervals, and claims by chance."""
    task, folder = results["composed"]
    found = copied(folder, tmp_path)
    names = artifacts.read_table(found / PER_QUERY)["query_id"]
    result = store.load(found)
    assert (result.clusters, result.largest_cluster) == (9, 2)
    table(found, PER_QUERY, lambda columns: columns.update(cluster=list(names)))
    edit(found, lambda values: values.update(clusters=len(names), largest_cluster=1))
    said = told(verify(found, task))
    assert f"clusters is {len(names)}, and the data here give" in said
    assert "cluster is not that of the query: 'q0' and" in said


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
