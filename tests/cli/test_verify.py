from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.cli.verify import printable
from grapebench.leaderboard import attribution, results, store

Arguments = Callable[..., list[str]]


@pytest.fixture
def made(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a result in the user's store."""
    assert main(arguments("--json", rewriter="StripPrefix")) == 0
    identity = json.loads(capsys.readouterr().out)["id"]
    return store.resolve(identity, [place / "home" / "data" / "results"])


def forge(folder: Path) -> None:
    path = folder / "result.json"
    told = json.loads(path.read_text())
    told["metrics"]["R@1"] += 0.01
    path.write_text(json.dumps(told))


def test_one_line_a_result(place: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", made.name]) == 0
    told = capsys.readouterr()
    name = made.relative_to(place / "home" / "data" / "results").as_posix()
    assert told.out.startswith(f"✓ {name}") and told.out.count("\n") == 1
    assert "not checked: ranks against the labels: there is no card" in told.out
    assert told.err.startswith("1 of 1 results verified; tokens, times and hardware are what was said")
    forge(made)
    assert main(["verify", str(made)]) == 1
    told = capsys.readouterr()
    first, *problems = told.out.splitlines()
    assert first.startswith(f"✗ {name}")
    assert problems[0].startswith("    result.json: metrics['R@1'] is ") and "0 of 1" in told.err


def test_all_of_a_folder_as_json(place: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = place / "home" / "data" / "results"
    broken = store.publish(made, place / "board")
    shutil.copytree(place / "board", folder, dirs_exist_ok=True)
    other = made.with_name("0" * 16)
    shutil.copytree(broken, other)
    (other / "result.json").unlink()
    assert main(["verify", "--all", "--results", str(folder), "--json"]) == 1
    told = capsys.readouterr()
    lines = {line["folder"]: line for line in map(json.loads, told.out.splitlines())}
    assert set(lines) == {str(made), str(other)} and not told.err
    assert lines[str(made)]["verified"] and lines[str(made)]["problems"] == [] and lines[str(made)]["seconds"] > 0
    assert lines[str(other)]["id"] is None and "the file is missing" in lines[str(other)]["problems"][0]


def test_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        ([], "what to verify?"),
        (["--all", "3f1c"], "what to verify?"),
        (["--all", "--results", "nowhere"], "no such folder of results"),
        (["0123456789abcdef"], "no result has an id"),
    ):
        assert main(["verify", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_texts_of_strangers_are_shown_as_they_are() -> None:
    assert printable("R@1\x1b[2J\n✓ \u202egood") == "R@1\\x1b[2J\\n✓ \\u202egood"


def test_add_puts_a_verified_result_on_a_board(place: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = place / "elsewhere"
    shutil.copytree(made, elsewhere)
    before = (elsewhere / "result.json").read_bytes()
    assert main(["leaderboard", "add", str(elsewhere), "--by", "Ada & Søn", "--into", "board"]) == 0
    told = capsys.readouterr()
    goal = Path(told.out.strip())
    assert (goal / "result.json").read_bytes() == before and not (goal / "run.trec.gz").exists()
    assert attribution.read(goal) == "Ada & Søn"
    (found,), broken = store.find([place / "board"])
    assert found.by == "Ada & Søn" and not broken
    assert "not checked: ranks against the labels" in told.err
    assert main(["leaderboard", "build", "--results", "board"]) == 0
    assert "; by Ada &amp; Søn; " in (place / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert main(["leaderboard", "site", "--results", "board", "--out", "site"]) == 0
    (page,) = (path for path in (place / "site").rglob("*.html") if "Ada &amp; Søn" in path.read_text(encoding="utf-8"))
    assert found.result.id in page.as_posix()
    (goal / attribution.FILE).write_text("{}")
    assert store.find([place / "board"])[0] == []
    (goal / attribution.FILE).write_text(attribution.text("Ada & Søn"))
    assert main(["verify", str(goal)]) == 0
    again = store.publish(goal, place / "another")
    assert attribution.read(again) == "Ada & Søn", "a copy says so too"
    assert main(["leaderboard", "add", str(elsewhere), "--into", "board"]) == 2
    assert "stands there already" in capsys.readouterr().err


def test_add_writes_nothing_of_what_is_wrong(place: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forge(made)
    assert main(["leaderboard", "add", str(made), "--into", "board"]) == 1
    told = capsys.readouterr()
    assert "error: result.json: metrics['R@1'] is " in told.err and "nothing was added" in told.err
    assert not told.out and not (place / "board").exists()
    for arguments, said in (([str(place)], "the file is missing"), ([str(made), "--by", "a\nb"], "not a name")):
        assert main(["leaderboard", "add", *arguments, "--into", "board"]) == 2
        assert said in capsys.readouterr().err


def test_who_submitted_has_to_be_a_name(tmp_path: Path, place: Path, made: Path) -> None:
    for content in ('{"by": ""}', '{"by": " "}', '{"by": "a\\nb"}', '{"by": "x", "more": 1}', "{", '{"by": 1}'):
        (made / attribution.FILE).write_text(content)
        assert main(["verify", str(made)]) == 1, content
    (made / attribution.FILE).write_text(attribution.text("x" * 100))
    assert main(["verify", str(made)]) == 0


def test_the_schema_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "result.schema.json"
    assert main(["leaderboard", "schema", "--out", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text(encoding="utf-8") == results.schema_text()
    assert json.loads(path.read_text())["properties"]["metrics"]["type"] == "object"
