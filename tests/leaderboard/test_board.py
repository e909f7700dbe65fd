from __future__ import annotations

import dataclasses
import itertools
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from grapebench.cards import SuiteCard, TaskCard
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import board, markdown, render, standings
from grapebench.leaderboard.building import Board
from grapebench.leaderboard.overall import overall
from grapebench.leaderboard.results import Seen

GOLDEN = Path(__file__).with_name("LEADERBOARD.golden.md")
GROUPS = {"1-panda": "Animals", "2-cow": "Animals", "12-milk": "Drinks"}


def card(name: str, **changes: Any) -> TaskCard:
    values = {
        "name": name, "title": f"The task {name}", "about": "", "family": "compose", "dataset": "cirr",
        "protocol": "composed", "languages": ("en",), "licence": "CC-BY-4.0", "source": "a paper", "citation": "",
        "mini": SuiteCard(default_split="test1" if name == "cirr" else "test", splits={}),
    }  # fmt: skip
    return TaskCard(**values | changes)


@pytest.fixture
def results(make_result: Any) -> list[Any]:
    by_language = {f"R@10/{tag}": value for tag, value in (("de", 0.6), ("zh", 0.2))}
    by_category = {
        "R@10/1-panda": 0.3,
        "R@10/12-milk": 0.5,
        "R@10/2-cow": 0.2,
        "R@10/Animals": 0.25,
        "R@10/Drinks": 0.5,
    }
    categories = {"task": "cvlue", "protocol": "categories", "split": "test", "groups": GROUPS}
    seen = Seen(images=900, gallery=990, sources=["cvlue train", "flickr30k_karpathy"])
    return [
        make_result("identity", 0.4, language_model=False),
        make_result("llm", 0.53, seed=0),
        make_result("llm", 0.55, seed=1),
        make_result("oracle", 0.9, oracle=True),
        make_result("odd|na<me>`", 0.41, command="grapebench run --rewriter 'odd`|'"),
        make_result("llm", 0.4, task="xm3600", protocol="multilingual", split="test", more=by_language),
        make_result("llm", 0.4, task="cirr", protocol="graded"),
        make_result("llm", 0.3, more=by_category, **categories),
        make_result("identity", 0.2, **categories),
        make_result("grape", 0.6, more=by_category, seen=seen, **categories),
        make_result("llm", 0.45, task="wikipedia", protocol="category-map", split="test"),
        make_result("identity", 0.5, task="wikipedia", protocol="category-map", split="test"),
        make_result("llm", 0.2, task="wikipedia", protocol="retrieval", split="test"),
        make_result("llm", suite="full", split="test1", labelled=False),
        make_result("llm", 0.31, suite="full", split="val"),
        make_result("identity", 0.3, suite="full", split="val", limit=100),
    ]


@pytest.fixture
def cards() -> dict[str, TaskCard]:
    published = {"source": "A paper, Table 2", "method": "Method", "metrics": {"R@1": 35.7, "R@10": 70.0}}
    protocols = {"xm3600": "multilingual", "cvlue": "categories", "wikipedia": "retrieval"}
    others = {name: card(name, protocol=protocol) for name, protocol in protocols.items()}
    return {"cirr": card("cirr", published=(published,)), **others}


def page_of(
    tables: list[board.Table], cards: dict[str, TaskCard], links: dict[str, str], guide: str | None = None
) -> str:
    return markdown.page(Board(tuple(tables), tuple(overall(tables, cards)), cards, (), ()), links, guide)


def test_markdown_is_the_golden_file(
    results: list[Any], cards: dict[str, TaskCard], tmp_path: Path, write_ranks: Any
) -> None:
    """To accept a change: print `page` into the golden file and read the difference."""
    links = {result.id: f"results/{result.id}" for result in results if result.suite == "mini"}
    folders = {result.id: tmp_path / result.id for result in results}
    for seed, result in enumerate(results[:4]):  # the fifth, beside them, came without ranks
        write_ranks(folders[result.id], result.metrics["R@10"], seed=seed)
    tables, problems = standings.stand(board.tables(results), folders, {"llm"})
    page = page_of(tables, cards, links, "../docs/reading.md")
    assert not problems
    assert page == GOLDEN.read_text(encoding="utf-8")


def test_the_order_of_the_results_does_not_matter(results: list[Any], cards: dict[str, TaskCard]) -> None:
    expected = page_of(board.tables(results), cards, {})
    for seed in range(5):
        shuffled = random.Random(seed).sample(results, len(results))
        assert page_of(board.tables(shuffled), cards, {}) == expected


def test_a_new_result_is_a_small_difference(results: list[Any], cards: dict[str, TaskCard], make_result: Any) -> None:
    before = page_of(board.tables(results), cards, {}).splitlines()
    after = page_of(board.tables([*results, make_result("grape", 0.7)]), cards, {}).splitlines()
    assert set(before) <= set(after)
    assert len(after) == len(before) + 5, "its row here and over all tasks, intervals, similarities and command"


def test_a_new_seed_changes_the_lines_of_its_row(
    results: list[Any], cards: dict[str, TaskCard], make_result: Any
) -> None:
    before = page_of(board.tables(results), cards, {}).splitlines()
    after = page_of(board.tables([*results, make_result("llm", 0.57, seed=2)]), cards, {}).splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(changed) == 4 and all("llm" in line for line, _ in changed)


def test_a_new_result_with_ranks_shifts_few_cells(
    make_result: Any, write_ranks: Any, cards: dict[str, TaskCard], tmp_path: Path
) -> None:
    """Other rows change in their rank and in their p alone."""

    def page(names: dict[str, float]) -> dict[str, list[list[str]]]:
        made = [make_result(name, value) for name, value in names.items()]
        folders = {one.id: tmp_path / one.id for one in made}
        for result in made:
            if not folders[result.id].exists():
                write_ranks(folders[result.id], result.metrics["R@10"], seed=len(result.rewriter.name))
        tables, _ = standings.stand(board.tables(made), folders, {"llm"})
        cells = [line.split(" | ") for line in page_of(tables, cards, {}).splitlines() if line.startswith("| ")]
        return {name: [one for one in cells if name in (one[0].removeprefix("| "), one[1])] for name in names}

    names = {"identity": 0.2, "llm": 0.45, "hyde": 0.47, "grape": 0.99}
    before, after = page(names), page(names | {"another": 0.8})
    for name in names:
        assert len(before[name]) == len(after[name]) == 3
        pairs = zip(*(itertools.chain(*found[name]) for found in (before, after)), strict=True)
        for old, new in (pair for pair in pairs if pair[0] != pair[1]):
            assert {len(old), len(new)} <= {3, 5, 6, 7}, f"a rank or a p: {old} -> {new}"
    ranks = [[found[name][0][0] for name in names] for found in (before, after)]
    assert ranks == [["| 4", "| 2", "| 2", "| 1"], ["| 5", "| 3", "| 3", "| 1"]]


def test_strangers_text_stays_text(make_result: Any, cards: dict[str, TaskCard]) -> None:
    """Names, commands and hashes come from result files that anybody may send."""
    name = "<img src=x onerror=alert(1)>|[a](javascript:b) **c** ~~d~~ $e$\u202e\n# f"
    result = make_result(name, command="``` `x` <script>", fingerprint="9" * 64)
    environment = result.environment.model_copy(update={"commit": "`](http://x)"})
    result = result.model_copy(update={"environment": environment})
    page = page_of(board.tables([result]), cards, {result.id: "results/a b)[c](d)"})
    shown = "&lt;img src=x onerror=alert(1)&gt;\\|\\[a\\](javascript:b) \\*\\*c\\*\\* \\~\\~d\\~\\~ \\$e\\$ # f"
    lines = [line for line in page.splitlines() if "img" in line]
    assert len(lines) == 4 and all(shown in line for line in lines)
    assert "<img" not in page and "\u202e" not in page
    assert not re.search(r"(?<!\\)\]\((http|javascript)", page)
    assert "(results/a%20b%29%5Bc%5D%28d%29)" in page
    assert "````` ``` `x` <script> `````" not in page and "```` ``` `x` <script> ````" in page


def test_seeds_of_one_command_are_one_line(make_result: Any, cards: dict[str, TaskCard]) -> None:
    made = [make_result("llm", 0.5, seed=seed) for seed in (0, 1, 12)]
    (line,) = [line for line in page_of(board.tables(made), cards, {}).splitlines() if line.startswith("- llm")]
    assert "`grapebench run --task cirr --rewriter llm --suite mini --seed 0 --seed 1 --seed 12`" in line
    assert line.endswith("; " + " ".join(result.id for result in made)) and "at 0123456789" in line
    odd = [make_result("llm", seed=1), make_result("llm", seed=2, command="grapebench run --seed 2 --task other")]
    odd.append(make_result("llm", seed=3, command="grapebench run --rewriter 'a --seed 3' --seed 3"))
    found = page_of(board.tables(odd), cards, {})
    assert [line.split("`")[1] for line in found.splitlines() if line.startswith("- llm")] == [r.command for r in odd]


def test_no_table_mixes_what_cannot_be_compared(make_result: Any) -> None:
    same = [make_result("identity", 0.4), make_result("llm", 0.5)]
    others = [
        make_result("a", suite="full"),
        make_result("b", task="cvlue"),
        make_result("c", split="val"),
        make_result("d", limit=10),
        make_result("e", revision=2),
        make_result("i", benchmark="9.9"),
        make_result("f", weights="b" * 64),
        make_result("g", data={"dataset": "other", "images": "e" * 64}),
        make_result("h", protocol="graded"),
    ]
    tables = board.tables([*same, *others])
    assert sorted(len(table.rows) for table in tables) == [1] * len(others) + [2]


def table_of(results: list[Any], task: str, protocol: str) -> board.Table:
    found = [
        t for t in board.tables(results) if (t.first.suite, t.first.task, t.first.protocol) == ("mini", task, protocol)
    ]
    (table,) = found
    return table


def test_oracle_rows_stand_apart_and_are_not_ranked(results: list[Any]) -> None:
    table = table_of(results, "cirr", "composed")
    assert [row.label for row in table.ranked] == ["llm", "odd|na<me>`", "identity"]
    assert [row.label for row in table.oracles] == ["oracle"]


def test_what_was_trained_on_its_images_stands_apart_however_good(results: list[Any]) -> None:
    table = table_of(results, "cvlue", "categories")
    assert [row.label for row in table.ranked] == ["llm", "identity"]
    assert [row.label for row in table.seen] == ["grape"]
    assert [render.row_name(row) for row in table.rows] == ["llm", "identity", "grape †"]


def test_a_rewriter_is_not_averaged_over_seen_and_unseen_images(make_result: Any) -> None:
    seen = Seen(images=1, gallery=990, sources=["cirr train"])
    (table,) = board.tables([make_result("grape", 0.9, seed=1, seen=seen), make_result("grape", 0.5)])
    assert [len(row.results) for row in table.rows] == [1, 1]
    assert table.ranked[0].figures["R@10"].value == 0.5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_shows_figures_that_it_has(protocol: str, make_result: Any) -> None:
    assert board.main_figure(protocol) in board.shown(protocol)
    assert set(board.shown(protocol)) <= set(PROTOCOLS[protocol].keys)
    (table,) = board.tables([make_result(protocol=protocol)])
    assert table.keys == board.shown(protocol)
    assert table.rows[0].delta is not None, "the difference is of the main figure"


def test_what_each_kind_of_protocol_shows() -> None:
    assert board.shown("retrieval") == ("R@1", "R@5", "R@10", "i2t_R@1")
    assert board.shown("graded") == ("R@1", "R@5", "R@10", "R@50", "R_subset@1")
    assert board.shown("category-map") == ("mAP", "i2t_mAP")
    assert [render.figure_name(key) for key in ("R_subset@1", "i2t_R@1", "i2t_mAP")] == [
        "R_subset@1", "image→text R@1", "image→text mAP",
    ]  # fmt: skip


def test_the_main_figure_ranks(results: list[Any]) -> None:
    table = table_of(results, "wikipedia", "category-map")
    assert [row.label for row in table.ranked] == ["identity", "llm"]
    assert table.main == "mAP"


def test_without_labels_there_is_no_table(make_result: Any) -> None:
    assert board.tables([make_result(labelled=False)]) == []


def test_groups_of_categories_are_reported_and_not_each_category(results: list[Any]) -> None:
    table = table_of(results, "cvlue", "categories")
    assert (table.parts, table.parted_by) == (("Animals", "Drinks"), "group")
    assert render.parts_lines(table) == [
        ["Group", "llm", "identity", "grape †"],
        ["Animals", "25.0", "–", "25.0"],
        ["Drinks", "50.0", "–", "50.0"],
        ["all", "30.0", "20.0", "60.0"],
    ]


def test_categories_without_groups_come_in_the_order_of_their_numbers(make_result: Any) -> None:
    more = {f"R@10/{name}": 0.5 for name in ("10-x", "2-y", "1-z", "art")}
    (table,) = board.tables([make_result(protocol="categories", more=more)])
    assert (table.parts, table.parted_by) == (("art", "1-z", "2-y", "10-x"), "category")


def test_36_languages_are_36_lines(make_result: Any) -> None:
    more = {
        f"{key}@1{k}/{chr(97 + n // 6)}{chr(97 + n % 6)}": 0.5 for n in range(36) for key in ("R", "i2t_R") for k in "0"
    }
    (table,) = board.tables([make_result(protocol="multilingual", more=more)])
    assert len(table.parts) == 36 and table.parted_by == "language"
    head, *lines = render.parts_lines(table)
    assert head == ["Language", "llm"] and len(lines) == 37 and lines[-1] == ["mean", "50.0"]


def test_a_figure_that_an_earlier_version_did_not_know_is_left_open(make_result: Any) -> None:
    old = make_result("old", 0.6, protocol="retrieval")
    old = old.model_copy(update={"metrics": {k: v for k, v in old.metrics.items() if not k.startswith("i2t")}})
    (table,) = board.tables([old, make_result("new", 0.5, protocol="retrieval")])
    assert table.keys == ("R@1", "R@5", "R@10", "i2t_R@1")
    assert [render.percent_or_none(row, "i2t_R@1", bounds=False) for row in table.rows] == ["–", "16.7"]


def test_other_protocols_come_after_the_tasks_own_and_have_a_title(results: list[Any], cards: Any) -> None:
    page = page_of(board.tables(results), cards, {})
    section = page[page.index("### wikipedia") :]
    assert section.index("protocol retrieval") < section.index("#### Protocol category-map")
    assert "#### Protocol retrieval" not in page, "the card's own protocol needs no title"


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


def captioned(make_result: Any, r10: float, captioner: str | None, **more: Any) -> Any:
    """A result of `llm` with the captioner's name in its record and its hash among the determinants."""
    result = make_result("llm", r10, **more)
    rewriter = result.rewriter.model_copy(update={"captioner": captioner})
    told = {"name": captioner, "fingerprint": str(r10)} if captioner else None
    return result.model_copy(update={"rewriter": rewriter, "determinants": result.determinants | {"captioner": told}})


def test_two_captioners_of_one_rewriter_are_told_apart(make_result: Any) -> None:
    (table,) = board.tables([captioned(make_result, 0.5, "bank"), captioned(make_result, 0.4, "blip")])
    assert [row.label for row in table.rows] == ["llm (bank)", "llm (blip)"]
    other = captioned(make_result, 0.3, "bank", fingerprint="1" * 64)
    (table,) = board.tables([captioned(make_result, 0.5, "bank"), captioned(make_result, 0.4, "blip"), other])
    assert [row.label.split(",")[0] for row in table.rows] == ["llm (bank", "llm (blip", "llm (bank"]
    assert len({row.label for row in table.rows}) == 3
    (table,) = board.tables([captioned(make_result, 0.5, "bank"), captioned(make_result, 0.4, "bank")])
    labels = [row.label for row in table.rows]
    assert len(set(labels)) == 2 and all(label.startswith("llm (captions ") for label in labels)
    (table,) = board.tables([captioned(make_result, 0.5, "bank"), make_result("identity", 0.4)])
    assert [row.label for row in table.rows] == ["llm", "identity"]


def test_cost_says_what_is_known(make_result: Any) -> None:
    def spent(**changes: Any) -> None:
        result = make_result("llm", seed=len(made))
        made.append(result.model_copy(update={"cost": result.cost.model_copy(update=changes)}))

    made: list[Any] = []
    spent(prompt_tokens=30_000, completion_tokens=12_000, ms_per_query=4.0, money=0.5)
    spent(prompt_tokens=40_000, completion_tokens=12_000, ms_per_query=None, money=0.25)
    (table,) = board.tables(made)
    assert render.cost(table.rows[0]) == "35 + 12 tokens, 4.0 ms, 0.375 paid"
    made = []
    spent(prompt_tokens=0, completion_tokens=0, ms_per_query=None)
    assert render.cost(board.tables(made)[0].rows[0]) == "–"


@pytest.mark.parametrize(("value", "shown"), [(0.04, "+4.0"), (-0.0004, "+0.0"), (-0.04, "-4.0"), (0.0, "+0.0")])
def test_differences_have_a_sign(value: float, shown: str) -> None:
    assert render.difference(board.Figure(value)) == shown


def printed(*shown: Any, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for one in shown:
        console.print(one)
    return console.export_text()


@pytest.mark.parametrize("width", [80, 160])
def test_terminal_tables_hold_the_same_figures(results: list[Any], width: int) -> None:
    text = ""
    for table in board.tables(results):
        text += printed(render.results(table.rows[0].results), render.terminal(table), width=width)
        if table.parts:
            text += printed(render.parts(table), width=width)
    for wanted in ("54.0", "± 1.4", "oracle *", "odd|na<me>`", "+14.0", "20.0", "grape †", "Δ mAP", "Animals", "zh"):
        assert wanted in text
    assert max(map(len, text.splitlines())) <= width


def test_the_terminal_shows_ranks_where_there_are_some(results: list[Any], tmp_path: Path, write_ranks: Any) -> None:
    folders = {result.id: tmp_path / result.id for result in results}
    for seed, result in enumerate(results[:4]):
        write_ranks(folders[result.id], result.metrics["R@10"], seed=seed)
    tables, _ = standings.stand(board.tables(results), folders, ())
    text = printed(render.terminal(next(table for table in tables if table.oracles)))
    starts = [line.split()[:2] for line in text.splitlines() if len(line.split()) > 6]
    assert [one for one in starts if one[0] in "12–*"] == [
        ["1", "llm"], ["–", "odd|na<me>`"], ["2", "identity"], ["*", "oracle"],
    ]  # fmt: skip
    assert "shares" in text and "#" not in printed(render.terminal(table_of(results, "cirr", "composed")))


def test_no_figure_of_the_widest_table_is_broken_at_80_characters(make_result: Any) -> None:
    """With ranks, five figures and several seeds: the table that the first command of a new user ends with."""
    made = [make_result("multi-query-mean", 0.5 + seed / 50, protocol="composed", seed=seed) for seed in range(3)]
    (table,) = board.tables(made)
    ranked = replace(table, ranked=tuple(replace(row, rank=1) for row in table.ranked))
    lines = printed(render.terminal(ranked), width=80).splitlines()
    (head,) = (line.split() for line in lines if "Rewriter" in line)
    assert head == ["#", "Rewriter", "R@1", "R@5", "R@10", "R@50", "R_subset@1", "Δ", "R@10"]
    place = next(number for number, line in enumerate(lines) if "multi-query-mean" in line)
    assert re.search(r"\+\d+\.\d ± \d\.\d$", lines[place].rstrip())
    assert re.search(r"\[\+\d+\.\d, \+\d+\.\d\]$", lines[place + 1].rstrip())


def test_names_are_whole_however_many_there_are(make_result: Any) -> None:
    names = [f"rewriter-{number}" for number in range(9)]
    (table,) = board.tables([make_result(name, protocol="multilingual", more={"R@10/de": 0.5}) for name in names])
    head = printed(render.parts(table)).split("─")[0].partition("by language")[2]
    assert "…" not in head and sorted(filter(str.isdigit, head)) == list("012345678")


def test_notes_explain_the_marks_that_occur(results: list[Any]) -> None:
    seen, composed = (table_of(results, *of) for of in (("cvlue", "categories"), ("cirr", "composed")))
    note = "searched images that it had seen before"
    assert note in " ".join(printed(render.terminal(seen), width=160).split())
    assert note not in " ".join(printed(render.terminal(composed), width=160).split())


def test_results_without_labels_are_listed_with_the_reason(make_result: Any) -> None:
    text = printed(render.results([make_result(labelled=False)]))
    assert "llm" in text and "labels of this split are not public" in text and "R@10" not in text


def by_seed(make_result: Any, r10: float, seed: int, weights: str) -> Any:
    result = make_result("grape", r10, seed=seed, fingerprint=weights * 64)
    return result.model_copy(update={"rewriter": result.rewriter.model_copy(update={"across_seeds": "a" * 64})})


def test_seeds_that_have_weights_of_their_own_are_one_row(make_result: Any) -> None:
    trained = [by_seed(make_result, r10, seed, weights) for seed, (r10, weights) in enumerate([(0.6, "0"), (0.8, "1")])]
    (table,) = board.tables([*trained, make_result("llm", 0.5)])
    assert [(row.label, row.seeds) for row in table.ranked] == [("grape", (0, 1)), ("llm", (0,))]
    assert table.ranked[0].figures["R@10"].value == pytest.approx(0.7)
    assert table.ranked[0].figures["R@10"].spread == pytest.approx(0.2 / 2**0.5)


def test_two_trainings_with_one_seed_are_never_one_row(make_result: Any) -> None:
    trained = [by_seed(make_result, 0.6, 0, "0"), by_seed(make_result, 0.7, 1, "1"), by_seed(make_result, 0.8, 1, "2")]
    (table,) = board.tables(trained)
    assert [(row.label, row.seeds) for row in table.ranked] == [
        ("grape (22222222)", (1,)),
        ("grape (11111111)", (1,)),
        ("grape (00000000)", (0,)),
    ]
