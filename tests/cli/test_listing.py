from __future__ import annotations

import json

import pytest

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.datasets import load_task

NAMES = {
    "tasks": catalog.task_names,
    "rewriters": catalog.rewriter_names,
    "retrievers": catalog.retriever_names,
    "captioners": catalog.captioner_names,
}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", NAMES)
def test_table_shows_every_name_whole_and_fits(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main([command]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "…" not in out, "something was cut off"
    assert max(map(len, out.splitlines())) <= width
    first_words = [line.split()[0] for line in out.splitlines() if line.split()]
    assert [word for word in first_words if word in NAMES[command]()] == NAMES[command]()


@pytest.mark.parametrize("command", NAMES)
def test_json_has_one_card_a_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    cards = [json.loads(line) for line in out.splitlines()]
    assert [card["name"] for card in cards] == NAMES[command]()
    assert all(card["title"] for card in cards)


def test_json_of_a_task_holds_its_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["tasks", "--json"])
    cirr = next(card for line in capsys.readouterr().out.splitlines() if (card := json.loads(line))["name"] == "cirr")
    assert cirr["mini"]["splits"][cirr["mini"]["default_split"]]["images"] > 0


def test_rewriters_for_some_tasks_and_languages_of_the_miniature_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["rewriters"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.split()}
    for name in ("grape", "raqo"):
        assert "5 tasks" in lines[name] and " all " not in lines[name]
    assert " all " in lines["llm"]
    assert main(["tasks"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("xm3600 ")]
    assert "36 (mini: 11)" in line


def test_the_languages_of_the_miniature_are_those_of_its_queries() -> None:
    card = catalog.task_card("xm3600").card
    assert card.mini is not None
    assert set(card.mini.languages) == {query.language for query in load_task(card, "mini", None, None).queries}
    for name in catalog.task_names():
        other = catalog.task_card(name).card
        if other.mini is not None and not other.mini.languages:
            found = {query.language for query in load_task(other, "mini", None, None).queries}
            assert found == set(other.languages), name
