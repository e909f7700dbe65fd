from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from grapebench.cards import TaskCard
from grapebench.leaderboard import board, render

GOLDEN = Path(__file__).with_name("LEADERBOARD.golden.md")


def card(name: str, **changes: Any) -> TaskCard:
    values = {
        "name": name, "title": f"The task {name}", "about": "", "family": "compose", "dataset": "cirr",
        "protocol": "composed", "languages": ("en",), "licence": "CC-BY-4.0", "source": "a paper", "citation": "",
    }  # fmt: skip
    return TaskCard(**values | changes)


@pytest.fixture
def results(make_result: Any) -> list[Any]:
    by_language = {f"R@10/{tag}": value for tag, value in (("de", 0.6), ("zh", 0.2))}
    return [
        make_result("identity", 0.4),
        make_result("llm", 0.53, seed=0),
        make_result("llm", 0.55, seed=1),
        make_result("oracle", 0.9, oracle=True),
        make_result("odd|na<me>`", 0.41, command="grapebench run --rewriter 'odd`|'"),
        make_result("llm", 0.4, task="xm3600", protocol="multilingual", split="test", more=by_language),
        make_result("llm", 0.31, suite="full", split="val"),
        make_result("identity", 0.3, suite="full", split="val", limit=100),
    ]


@pytest.fixture
def cards() -> dict[str, TaskCard]:
    published = {"source": "A paper, Table 2", "method": "Method", "metrics": {"R@1": 35.7, "R@10": 70.0}}
    return {"cirr": card("cirr", published=(published,)), "xm3600": card("xm3600", protocol="multilingual")}


def test_markdown_is_the_golden_file(results: list[Any], cards: dict[str, TaskCard]) -> None:
    """To accept a change: print `page` into the golden file and read the difference."""
    links = {result.id: f"results/{result.id}" for result in results if result.suite == "mini"}
    page = render.markdown(board.tables(results), cards, links)
    assert page == GOLDEN.read_text(encoding="utf-8")


def test_the_order_of_the_results_does_not_matter(results: list[Any], cards: dict[str, TaskCard]) -> None:
    expected = render.markdown(board.tables(results), cards, {})
    for seed in range(5):
        shuffled = random.Random(seed).sample(results, len(results))
        assert render.markdown(board.tables(shuffled), cards, {}) == expected


def test_a_new_result_is_a_small_difference(results: list[Any], cards: dict[str, TaskCard], make_result: Any) -> None:
    before = render.markdown(board.tables(results), cards, {}).splitlines()
    after = render.markdown(board.tables([*results, make_result("grape", 0.7)]), cards, {}).splitlines()
    assert set(before) <= set(after)
    assert len(after) == len(before) + 2, "its row and its command"


def test_no_table_mixes_what_cannot_be_compared(make_result: Any) -> None:
    same = [make_result("identity", 0.4), make_result("llm", 0.5)]
    others = [
        make_result("a", suite="full"),
        make_result("b", task="cvlue"),
        make_result("c", split="val"),
        make_result("d", limit=10),
        make_result("e", revision=2),
        make_result("f", weights="b" * 64),
        make_result("g", data={"dataset": "other", "images": "e" * 64}),
    ]
    tables = board.tables([*same, *others])
    assert sorted(len(table.rows) for table in tables) == [1] * len(others) + [2]


def test_oracle_rows_stand_apart_and_are_not_ranked(results: list[Any]) -> None:
    table = next(t for t in board.tables(results) if t.first.suite == "mini" and t.first.task == "cirr")
    assert [row.label for row in table.ranked] == ["llm", "odd|na<me>`", "identity"]
    assert [row.label for row in table.oracles] == ["oracle"]


def test_seeds_become_mean_and_spread(make_result: Any) -> None:
    (table,) = board.tables([make_result("llm", value, seed=seed) for seed, value in enumerate((0.4, 0.5, 0.6))])
    (row,) = table.rows
    figure = row.figures["R@10"]
    assert row.seeds == (0, 1, 2)
    assert dataclasses.astuple(figure) == pytest.approx((0.5, 0.48, 0.52, 0.1))
    assert row.delta is not None and row.delta.value == pytest.approx(0.1)
    assert render.percent(figure) == "50.0 ± 10.0 [48.0, 52.0]"


def test_two_rewriters_of_one_name_are_told_apart(make_result: Any) -> None:
    (table,) = board.tables([make_result("llm", int(n) / 10, fingerprint=n * 64) for n in "12"])
    assert [row.label for row in table.rows] == ["llm (22222222)", "llm (11111111)"]


@pytest.mark.parametrize(("value", "shown"), [(0.04, "+4.0"), (-0.0004, "+0.0"), (-0.04, "-4.0"), (0.0, "+0.0")])
def test_differences_have_a_sign(value: float, shown: str) -> None:
    assert render.difference(board.Figure(value)) == shown


@pytest.mark.parametrize("width", [80, 160])
def test_terminal_tables_hold_the_same_figures(results: list[Any], width: int) -> None:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in board.tables(results):
        console.print(render.results(table.rows[0].results))
        console.print(render.terminal(table))
        if table.languages:
            console.print(render.languages(table))
    text = console.export_text()
    for wanted in ("54.0", "± 1.4", "oracle", "odd|na<me>`", "+14.0", "20.0"):
        assert wanted in text
