from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from grapebench import catalog
from grapebench.errors import UserError

CARD = """\
name = "demo"
title = "Demo"
about = "A demonstration."
family = "translate"
dataset = "xm3600"
protocol = "single"
languages = ["de"]
licence = "CC0"
source = "here"
citation = "none"

[full]
default_split = "test"

[full.splits.test]
queries = 3
images = 2

[[published]]
source = "A"
method = "m"
metrics = { "R@1" = 1.0 }

[[published]]
source = "B"
method = "m"
metrics = { "R@1" = 1.0 }
"""


def card(folder: Path, old: str = "", new: str = "", name: str = "demo.toml") -> Path:
    assert old in CARD
    path = folder / name
    path.write_text(CARD.replace(old, new, 1) if old else CARD, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("names", "load"),
    [
        (catalog.task_names, catalog.task_card),
        (catalog.rewriter_names, catalog.rewriter_card),
        (catalog.retriever_names, catalog.retriever_card),
        (catalog.captioner_names, catalog.captioner_card),
    ],
)
def test_every_card_of_ours_is_valid(names, load) -> None:
    assert names()
    for name in names():
        loaded = load(name)
        assert loaded.card.name == name
        assert loaded.path.is_relative_to(catalog.folder())
        assert loaded.sha256 == hashlib.sha256(loaded.path.read_bytes()).hexdigest()


def test_the_five_tasks_are_there_in_both_suites() -> None:
    assert {"cirr", "cvlue", "flickr30k-cn", "wikipedia", "xm3600"} <= set(catalog.task_names())
    for name in catalog.task_names():
        task = catalog.task_card(name).card
        for suite in filter(None, (task.mini, task.full)):
            assert suite.default_split in suite.splits, f"{name}: default split without a size"


def test_one_default_retriever_a_suite() -> None:
    cards = [catalog.retriever_card(name).card for name in catalog.retriever_names()]
    for suite in ("mini", "full"):
        assert sum(suite in card.default_for for card in cards) == 1, suite


def test_prompt_files_of_our_cards_exist() -> None:
    rewriters = map(catalog.rewriter_card, catalog.rewriter_names())
    captioners = map(catalog.captioner_card, catalog.captioner_names())
    for loaded in (*rewriters, *captioners):
        name = loaded.card.name
        for prompt in loaded.card.prompts.values():
            assert (loaded.path.parent / prompt).is_file(), f"{name}: {prompt}"


def test_card_by_path(tmp_path: Path) -> None:
    loaded = catalog.task_card(str(card(tmp_path)))
    assert loaded.card.full is not None
    assert loaded.card.full.splits["test"].images == 2
    assert loaded.path == tmp_path / "demo.toml"


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("licence =", "license =", 8, "unknown key 'license'; did you mean 'licence'? there is: about, citation"),
        ("queries = 3", "qeries = 3", 16, "in [full.splits.test]: unknown key 'qeries'; did you mean 'queries'?"),
        (
            "default_split",
            "defaults",
            13,
            "in [full]: unknown key 'defaults'; did you mean 'default_split'? there is: ",
        ),
        ('source = "A"\nmethod = "m"', 'source = "A"', 19, "the key 'published.0.method' is missing"),
        ('family = "translate"', 'family = "guess"', 4, "'family' is 'guess'; it should be 'translate', 'condense' or"),
        ("queries = 3", 'queries = "many"', 16, "'full.splits.test.queries' is 'many'; it should be a valid integer"),
        ('source = "B"', "source = 2", 25, "'published.1.source' is 2; it should be a valid string"),
        ('title = "Demo"\n', "", None, "the key 'title' is missing"),
        ('name = "demo"', 'name = "other"', 1, "'name' is 'other' but the file is called 'demo.toml'; a card bears"),
        ('title = "Demo"', 'title = "Demo', 2, "is not valid TOML: illegal character '\\n'"),
        ('title = "Demo"', "title", 2, "is not valid TOML: expected '=' after a key"),
    ],
)
def test_a_wrong_card_is_told_in_one_sentence(tmp_path: Path, old: str, new: str, line: int | None, what: str) -> None:
    path = card(tmp_path, old, new)
    with pytest.raises(UserError) as caught:
        catalog.task_card(str(path))
    assert (caught.value.file, caught.value.line) == (path, line)
    place = f"{path}:{line}: " if line else f"{path}: "
    assert str(caught.value).startswith(place)
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_faults_are_counted(tmp_path: Path) -> None:
    path = card(tmp_path, 'title = "Demo"\nabout = "A demonstration."\n', "titel = 1\n")
    with pytest.raises(UserError, match=r"\(and 2 more\)"):
        catalog.task_card(str(path))


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(CARD[: CARD.index("[full]") + 4])
    with pytest.raises(UserError, match=r"demo\.toml:12: is not valid TOML") as caught:
        catalog.task_card(str(path))
    assert caught.value.line == 12


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_bytes(CARD.replace("A demonstration", "Für Übungen").encode("latin-1"))
    with pytest.raises(UserError, match=r"demo\.toml:3: not UTF-8"):
        catalog.task_card(str(path))


def test_a_card_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.toml: no such file or directory"):
        catalog.rewriter_card(str(tmp_path / "gone.toml"))


@pytest.mark.parametrize(
    ("load", "noun", "name", "meant"),
    [
        (catalog.task_card, "task", "flickr30k_cn", "flickr30k-cn"),
        (catalog.rewriter_card, "rewriter", "identty", "identity"),
        (catalog.retriever_card, "retriever", "mini-clp", "mini-clip"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(load, noun: str, name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"unknown {noun} '{name}'; did you mean '{meant}'"):
        load(name)


def test_a_mark_before_a_card_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_bytes(b"\xef\xbb\xbf" + CARD.encode())
    assert catalog.task_card(str(path)).card.name == "demo"
    path.write_bytes(CARD.encode("utf-16"))
    with pytest.raises(UserError, match=r"demo\.toml: is UTF-16, not UTF-8"):
        catalog.task_card(str(path))
