from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from grapebench.cards import SuiteCard, TaskCard
from grapebench.leaderboard import board
from grapebench.leaderboard.board import Figure, Overall, Versus
from grapebench.leaderboard.overall import overall
from grapebench.leaderboard.results import Seen
from grapebench.leaderboard.site import grids


def card(name: str, protocol: str = "retrieval", **changes: Any) -> TaskCard:
    values = {
        "name": name, "title": name, "about": "", "family": "translate", "dataset": "cvlue", "protocol": protocol,
        "languages": ("en",), "licence": "", "source": "", "citation": "", "mini": SuiteCard(splits={}),
    }  # fmt: skip
    return TaskCard(**values | changes)


CARDS = {name: card(name) for name in ("one", "two", "three")}


def made(make_result: Any, rewriter: str, task: str, r10: float, **more: Any) -> Any:
    return make_result(rewriter, r10, **{"task": task, "protocol": "retrieval", "split": "test"} | more)


def over(results: list[Any], cards: dict[str, TaskCard] = CARDS) -> Overall:
    (found,) = overall(board.tables(results), cards)
    return found


def test_each_task_counts_the_same(make_result: Any) -> None:
    found = over(
        [
            made(make_result, "llm", "one", 0.4, queries=10),
            made(make_result, "llm", "one", 0.5, seed=1),
            made(make_result, "llm", "two", 0.9),
            made(make_result, "raw", "one", 0.8),
            made(make_result, "raw", "two", 0.6),
        ]
    )
    assert found.tasks == ("one", "two")
    assert [(one.label, round(one.figure, 6)) for one in found.ranked] == [("raw", 0.7), ("llm", 0.675)]
    assert found.ranked[1].delta == pytest.approx((0.05 + 0.5) / 2)
    assert found.ranked[0].rank is None, "without ranks of queries"
    assert found.ranked[0].spent.ms == 2.0 and found.ranked[0].spent.read == pytest.approx(0.1)


def test_the_fair_gain_is_a_mean_over_each_tasks_own_reference(make_result: Any) -> None:
    one, two = board.tables(
        [
            made(make_result, "llm", "one", 0.5),
            made(make_result, "llm", "two", 0.9),
            made(make_result, "sum", "one", 0.4, language_model=False),
            made(make_result, "sum", "two", 0.6, language_model=False),
        ]
    )
    assert overall([one, two], CARDS)[0].ranked[0].fair is None, "not known without ranks"
    ahead, behind = Versus(Figure(0.1)), (None,)
    rows = {"llm": (ahead,), "sum": behind}
    one = replace(
        one, fair="sum", references=("sum",), ranked=tuple(replace(r, against=rows[r.label]) for r in one.ranked)
    )
    two = replace(two, fair="")
    (found,) = overall([one, two], CARDS)
    assert {total.label: total.fair for total in found.ranked} == {
        "llm": pytest.approx((0.1 + 0.5) / 2),
        "sum": pytest.approx((0.0 + 0.2) / 2),
    }, "on two the raw text is the reference, and Δ to it what the results say"


def test_who_lacks_a_task_is_not_ranked_and_says_so(make_result: Any) -> None:
    seen = Seen(images=3, gallery=990, sources=["one train"])
    found = over(
        [
            *(made(make_result, "llm", task, 0.4) for task in CARDS),
            *(made(make_result, "some", task, 0.9) for task in ("one", "three")),
            made(make_result, "grape", "one", 0.9, seen=seen),
            made(make_result, "grape", "two", 0.9),
            *(made(make_result, "oracle", task, 1.0, oracle=True) for task in CARDS),
        ]
    )
    assert [one.label for one in found.ranked] == ["llm"] and [one.label for one in found.oracles] == ["oracle"]
    # A row that had seen its images counts as no row of that task.
    assert {one.label: one.missing for one in found.partial} == {"grape": ("one", "three"), "some": ("two",)}
    grid = grids.overall_grid(found)
    shown = {line.label: [cell.text for cell in line.cells] for group in grid.groups for line in group.lines}
    assert shown["llm"][0] == "40.0" and shown["oracle"][0] == "100.0"
    assert shown["some"] == ["–", "–", "–", "–", "90.0", "90.0", "–", "2 of 3", "–", "–"], (
        "a mean over some would mislead"
    )


def test_only_what_the_card_asks_for_takes_part(make_result: Any) -> None:
    cards = CARDS | {"three": card("three", overall=False), "four": card("four", mini=None)}
    usual = [made(make_result, "llm", task, 0.4) for task in ("one", "two", "three", "four")]
    others = [
        made(make_result, "llm", "one", 0.9, protocol="category-map"),
        made(make_result, "llm", "one", 0.9, split="val"),
        made(make_result, "llm", "one", 0.9, limit=10),
        made(make_result, "llm", "one", 0.9, revision=2),
        made(make_result, "llm", "unknown", 0.9),
        made(make_result, "llm", "one", 0.9, data={"dataset": "a part", "images": "e" * 64}, queries=999),
    ]
    found = over([*others, *usual], cards)
    assert found.tasks == ("one", "two") and found.ranked[0].figure == pytest.approx(0.4)


def test_suites_versions_and_retrievers_are_apart(make_result: Any) -> None:
    cards = {name: card(name, full=SuiteCard(splits={})) for name in CARDS}
    apart = ({}, {"suite": "full"}, {"benchmark": "9.9"}, {"weights": "b" * 64})
    results = [made(make_result, "llm", task, 0.5, **more) for more in apart for task in ("one", "two")]
    found = overall(board.tables(results), cards)
    assert [len(one.ranked) for one in found] == [1] * 4
    firsts = [one.tables[0].first for one in found]
    assert len({(one.suite, one.benchmark, one.retriever.fingerprint) for one in firsts}) == 4


def test_one_task_is_no_mean(make_result: Any) -> None:
    assert overall(board.tables([made(make_result, "llm", "one", 0.5)]), CARDS) == []


def test_where_the_main_figure_is_another_there_is_no_mean(make_result: Any) -> None:
    cards = {name: card(name, protocol="category-map") for name in CARDS}
    results = [made(make_result, "llm", task, 0.5, protocol="category-map") for task in CARDS]
    assert overall(board.tables(results), cards) == []
