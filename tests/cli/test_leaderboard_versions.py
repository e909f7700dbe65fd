"""`grapebench leaderboard release` and `diff`, on a board of two results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import store

Arguments = Callable[..., list[str]]
Read = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Read:
    """What a command prints; with `code` what it says on stderr, for one that fails and prints nothing."""

    def read(*arguments: str, code: int = 0) -> str:
        assert main([*arguments]) == code
        out, err = capsys.readouterr()
        assert not code or not out
        return err if code else out

    return read


@pytest.fixture
def board(place: Path, arguments: Arguments, said: Read) -> list[str]:
    """The arguments that name a board of two results, whose page is current."""
    ids = [json.loads(said(*arguments("--json", rewriter=name)))["id"] for name in ("Raw", "StripPrefix")]
    options = ["--results", str(place / "board" / "results")]
    said("leaderboard", "publish", *ids, "--into", options[1])
    said("leaderboard", "build", *options)
    return options


def test_a_release_is_the_board_and_its_page(place: Path, board: list[str], said: Read) -> None:
    frozen = said("leaderboard", "release", "1.0", "--json", *board)
    path = place / "board" / "versions" / "1.0.json"
    assert path.read_text(encoding="utf-8") == frozen
    (table,) = json.loads(frozen)["tables"]
    assert [row["rewriter"] for row in table["rows"]] == ["strip-prefix", "raw"]
    assert [row["rank"] for row in table["rows"]] == [1, 2]
    page = (place / "board" / "versions" / "1.0.md").read_text(encoding="utf-8")
    assert page.startswith("# Leaderboard, release 1.0\n\nAs it stood on 20")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page) if "results" in link]
    assert len(links) >= 2
    assert all((path.parent / link).exists() for link in links), "links lead from the page's own folder"
    current = (place / "board" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert page.replace("../results", "results").partition("##")[2] == current.partition("##")[2], "the page as it was"


def test_a_release_that_would_mislead_is_refused(place: Path, board: list[str], said: Read) -> None:
    release = ("leaderboard", "release")
    versions = place / "board" / "versions"
    page = place / "board" / "LEADERBOARD.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("# Leaderboard", "# Board"), encoding="utf-8")
    assert "the page is not current: line 1 is not what the results come to" in said(*release, "1.0", *board, code=2)
    page.unlink()
    assert "the page is not current: " in said(*release, "1.0", *board, code=2)
    page.write_text(text, encoding="utf-8")
    (found, _), _ = store.find([place / "board" / "results"])
    result = found.folder / "result.json"
    whole = result.read_text(encoding="utf-8")
    result.write_text("{", encoding="utf-8")
    assert "the board has broken results: left out: " in said(*release, "1.0", *board, code=2)
    result.write_text(whole, encoding="utf-8")
    assert "'1' is no version of a board" in said(*release, "1", *board, code=2)
    assert not versions.exists(), "nothing half written"
    assert said(*release, "1.0", *board).split() == [str(versions / f"1.0.{end}") for end in ("json", "md")]
    assert "the release 1.0 exists; the next one is 1.1" in said(*release, "1.0", *board, code=2)
    assert "0.9 is not newer than 1.0" in said(*release, "0.9", *board, code=2)


def test_what_moved_since_a_release(
    place: Path, board: list[str], arguments: Arguments, said: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said("leaderboard", "release", "1.0", *board)
    assert said("leaderboard", "diff", "1.0", *board).splitlines()[1:] == ["Nothing moved."]
    assert json.loads(said("leaderboard", "diff", "1.0", "--json", *board))["moves"] == []

    code = place / "rewriters.py"
    code.write_text(
        code.read_text().replace('fingerprint = "strip"', 'fingerprint = "other"').replace('"x", ""', '"x", "y"')
    )
    (old,) = (one for one in store.find([place / "board" / "results"])[0] if one.result.rewriter.name == "strip-prefix")
    for path in sorted(old.folder.rglob("*"), reverse=True):
        path.unlink()
    old.folder.rmdir()
    new = json.loads(said(*arguments("--json")))["id"]
    said("leaderboard", "publish", new, "--into", board[1])
    text = said("leaderboard", "diff", "1.0", *board)
    assert "words · suite full · test · retrieval · words" in text.replace("Words", "words")
    (line,) = (line for line in text.splitlines() if line.startswith("  changed"))
    assert re.search(r"strip-prefix  (rank .*, )?R@1 100\.0 → \d", line)
    assert "  rank            raw  rank 2 → 1\n" + " " * 18 + "changed: strip-prefix\n" in text
    assert re.search(r"^ +the rewriter: .*\w", text, re.MULTILINE)

    said("leaderboard", "build", *board)
    said("leaderboard", "release", "1.1", *board)
    found = json.loads(said("leaderboard", "diff", "1.0", "1.1", "--json", *board))
    assert (found["old"]["version"], found["new"]["version"]) == ("1.0", "1.1")
    (move,) = (move for move in found["moves"] if move["kind"] == "changed")
    assert (move["task"], move["label"]) == ("words", "strip-prefix")
    assert move["old"]["results"] == [old.result.id] and move["new"]["results"] == [new]
    assert move["old"]["figures"]["R@10"]["value"] == 1 > move["new"]["figures"]["R@10"]["value"]
    assert [reason for reason in move["reasons"] if reason.startswith("the rewriter: ")]


def test_bad_input(place: Path, board: list[str], said: Read) -> None:
    assert "there is no release 1.0; there is: none yet" in said("leaderboard", "diff", "1.0", *board, code=2)
    assert "'latest' is no version of a board" in said("leaderboard", "diff", "latest", *board, code=2)
    said("leaderboard", "release", "1.0", *board)
    assert "there is no release 1.1; there is: 1.0" in said("leaderboard", "diff", "1.0", "1.1", *board, code=2)
    (place / "board" / "versions" / "1.0.json").write_text("{")
    assert "1.0.json: not a release" in said("leaderboard", "diff", "1.0", *board, code=2)
    assert "no such folder of results" in said("leaderboard", "release", "1.0", "--results", "nowhere", code=2)
