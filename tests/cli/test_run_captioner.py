"""`grapebench run --captioner`."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import store
from grapebench.rewriters import open_rewriter
from grapebench.rewriters.captioners import open_captioner
from grapebench.rewriters.setup import Setup

SAYS = """
class Says:
    def describe(self, pictures):
        from grapebench.records import Rewrite
        for picture in pictures:
            yield Rewrite(picture.id, texts=("{word}",))
"""
REPEAT = """
from grapebench.records import Rewrite


class Repeat:
    def rewrite(self, queries):
        for query in queries:
            yield Rewrite(query.id, texts=(query.reference_caption or "nothing",))
"""


@pytest.fixture
def here(fresh_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "says.py").write_text(SAYS.format(word="a fish"))
    (tmp_path / "cards" / "repeat.py").write_text(REPEAT)
    (tmp_path / "cards" / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nabout = "A test."\nmechanism = "repeat.py:Repeat"\nfamilies = ["compose"]\n'
        'captioner = "says.py:Says"\n'
    )
    (tmp_path / "other.py").write_text(SAYS.format(word="a kite"))
    return tmp_path


def test_it_takes_the_place_of_the_cards_and_is_in_the_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "--task", "cirr", "--rewriter", "cards/mine.toml", "--limit", "5", "--out", "out", "--json"]
    assert main(asked) == 0
    assert main([*asked, "--captioner", "other.py:Says"]) == 0
    capsys.readouterr()
    found, broken = store.find([here / "out"])
    assert not broken
    by_command = {"--captioner other.py:Says" in one.result.command: one for one in found}
    assert len(found) == len(by_command) == 2, "another captioner is another result"
    for replaced, text in [(False, "a fish"), (True, "a kite")]:
        one = by_command[replaced]
        rewrites = (one.folder / "rewrites.jsonl.gz").read_bytes()
        assert gzip.decompress(rewrites).decode().count(text) == 5
        assert one.result.rewriter.captioner == "Says", "the user's folders are no part of a result"
        assert one.result.cost.captions is not None and one.result.cost.captions.images > 0


def test_a_run_that_reads_no_captions_refuses_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["run", "--task", "cirr", "--limit", "5", "--rewriter"]
    assert main([*asked, "identity", "--captioner", "bank"]) == 2
    assert "error: --captioner: nothing here reads captions" in capsys.readouterr().err
    assert main([*asked, "cards/mine.toml", "--captioner", "banc"]) == 2
    assert "unknown captioner 'banc'; did you mean 'bank'?" in capsys.readouterr().err


def test_a_cards_captioner_lies_beside_the_card(here: Path) -> None:
    setup = Setup("mini", "compose", 0, here)
    loaded = open_rewriter("cards/mine.toml", setup)
    assert loaded.captioner is not None
    assert open_captioner(loaded.captioner, setup).name == "Says"
