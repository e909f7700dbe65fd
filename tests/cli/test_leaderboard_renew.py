"""`grapebench leaderboard renew`: rows of a board made again by their own commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import attribution, store

RUN = ["run", "--task", "wikipedia", "--rewriter", "identity", "--limit", "5"]


@pytest.fixture
def board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A board of one result that is current."""
    assert main([*RUN, "--json", "--out", str(tmp_path / "made")]) == 0
    told = json.loads(capsys.readouterr().out)
    made = store.folder_of(tmp_path / "made", "mini", "wikipedia", told["retriever"], "identity", told["id"])
    store.publish(made, tmp_path / "board", "Ada")
    return tmp_path / "board"


def outdated(board: Path) -> Path:
    """The board's row as older rules would have left it: other figures under another id."""
    (folder,) = board.glob("*/*/*/*/*")
    old = folder.with_name("0123456789abcdef")
    folder.rename(old)
    told = json.loads((old / "result.json").read_text(encoding="utf-8"))
    told |= {"schema_version": 1, "benchmark": "0.9", "id": old.name}
    (old / "result.json").write_text(json.dumps(told), encoding="utf-8")
    return old


def test_a_row_of_older_rules_is_made_again(board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (current,) = board.glob("*/*/*/*/*")
    whole = {path.name: path.read_bytes() for path in current.iterdir()}
    old = outdated(board)
    renew = ["leaderboard", "renew", "--results", str(board), "--out", str(tmp_path / "again")]
    assert main(renew) == 0
    assert capsys.readouterr().out == f"1/1 {current.relative_to(board)} is new\n"
    assert not old.exists()
    kept = {path.name for path in current.iterdir()}
    assert kept == set(whole)
    assert (current / "per_query.parquet").read_bytes() == whole["per_query.parquet"]
    assert attribution.read(current) == "Ada", "who sent the row in"
    assert main(renew) == 0
    assert capsys.readouterr().out == f"1/1 {current.relative_to(board)}\n", "and once only"


def test_only_the_rows_that_are_named(board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    renew = ["leaderboard", "renew", "--results", str(board), "--out", str(tmp_path / "again")]
    assert main([*renew, "--task", "cirr"]) == 0
    assert main([*renew, "--rewriter", "llm"]) == 0
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("grapebench run --task wikipedia --rewriter evil.py:Rewriter", "'evil.py:Rewriter' is not the name of a card"),
        ("grapebench run --task /etc/task.toml --rewriter identity", "'/etc/task.toml' is not the name of a card"),
        ("grapebench run --task wikipedia --rewriter identity --data DIR", "says --data, and only its author has"),
        ("grapebench run --task wikipedia --rewriter identity --out elsewhere", "says --out"),
        ("grapebench run --task wikipedia --rewriter", "cannot be run here"),
        ("grapebench export trec 0123", "was not made by `grapebench run`"),
        ("rm -rf board", "was not made by `grapebench run`"),
        ("'", "does not say the command"),
        (None, "does not say the command"),
    ],
)
def test_what_may_not_run_is_named_and_left(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str | None, reason: str
) -> None:
    old = outdated(board)
    told = json.loads((old / "result.json").read_text(encoding="utf-8"))
    (old / "result.json").write_text(json.dumps(told | {"command": command}), encoding="utf-8")
    before = (old / "result.json").read_bytes()
    assert main(["leaderboard", "renew", "--results", str(board), "--out", str(tmp_path / "again")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert f"warning: left as it is: {old / 'result.json'}: " in err
    assert reason in err
    assert (old / "result.json").read_bytes() == before


def test_a_row_that_fails_stays_and_the_others_go_on(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = outdated(board)
    broken = old.with_name("00000000000000aa")
    shutil.copytree(old, broken)
    told = json.loads((broken / "result.json").read_text(encoding="utf-8"))
    command = told["command"].replace("--limit 5", "--limit 5 --split nowhere").replace("--split test ", "")
    (broken / "result.json").write_text(json.dumps(told | {"command": command}), encoding="utf-8")
    assert main(["leaderboard", "renew", "--results", str(board), "--out", str(tmp_path / "again")]) == 1
    out, err = capsys.readouterr()
    assert f"warning: left as it is: {broken}" in err
    assert "nowhere" in err, "and why"
    assert out.startswith("2/2 ")
    assert broken.exists()
    assert not old.exists()
