"""The main job from the command line, on the made-up benchmark of `conftest.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.cli.run import _retriever_name

Arguments = Callable[..., list[str]]


def test_json_lines(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--rewriter", "rewriters.py:Raw", "--seed", "3", "--seed", "4", "--json")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["rewriter"], line["seed"]) for line in lines] == [
        ("strip-prefix", 3), ("strip-prefix", 4), ("raw", 3), ("raw", 4),
    ]  # fmt: skip
    for line in lines:
        assert line["schema_version"] == 1 and line["suite"] == "full" and line["split"] == "test"
        assert (line["task"], line["retriever"], line["queries"], line["gallery"]) == ("words", "Words", 24, 24)
        assert all(0 <= line["metrics"][key] <= 1 for key in ("R@1", "R@5", "R@10"))
    assert lines[0]["metrics"]["R@1"] == 1 > lines[2]["metrics"]["R@1"]


def test_tables(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(rewriter="Raw")) == 0
    first = capsys.readouterr()
    assert main(arguments()) == 0
    second = capsys.readouterr()
    assert "Results: words" in first.out and "Leaderboard: words" in first.out
    assert "strip-prefix" not in first.out
    board = second.out.split("Leaderboard")[1]
    assert board.index("strip-prefix") < board.index("raw"), "the earlier result stands in the same leaderboard"
    assert "100.0" in board and "+" in board
    assert "suite full" in board


def test_the_same_call_again_reuses_the_result(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("--json")) == 0
    first = capsys.readouterr()
    folder = Path(first.err.strip().splitlines()[-1].split(": ", 1)[1])
    stamp = (folder / "result.json").stat().st_mtime_ns
    assert main(arguments("--json")) == 0
    assert capsys.readouterr().out == first.out
    assert (folder / "result.json").stat().st_mtime_ns == stamp


def test_out_decides_where(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("--out", "elsewhere", "--limit", "5")) == 0
    assert "5" in capsys.readouterr().out
    (result,) = (place / "elsewhere").rglob("result.json")
    assert json.loads(result.read_text())["limit"] == 5
    assert not (place / "home" / "data" / "results").exists()


def test_the_command_in_the_result_makes_it_again(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments("--out", "results", "--seed", "7"))
    (path,) = (place / "results").rglob("result.json")
    command = json.loads(path.read_text())["command"]
    assert command == (
        "grapebench run --task words.toml --rewriter rewriters.py:StripPrefix --suite full "
        "--retriever retriever.py:Words --split test --seed 7 --data DIR"
    )
    again = command.replace("DIR", "data").split()[1:]
    capsys.readouterr()
    assert main([*again, "--out", "results"]) == 0
    assert [path] == list((place / "results").rglob("result.json"))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("mini-clip", "mini-clip"),
        ("ViT-B-32@openai", "ViT-B-32@openai"),
        ("hf-hub:owner/model", "hf-hub:owner/model"),
        ("/home/me/cards/mine.toml", "mine"),
        ("/home/me/retriever.py:Words", "Words"),
        ("data/../data", "data"),
    ],
)
def test_a_retriever_is_called_without_the_users_folders(place: Path, spec: str, name: str) -> None:
    assert _retriever_name(spec) == name


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--suite", "tiny"], "unknown suite 'tiny'"),
        (["--split", "hidden"], "labels of words hidden are not public"),
        (["--split", "nowhere"], "no split 'nowhere'"),
        (["--rewriter", "rewriters.py:Nobody"], "Nobody"),
        (["--rewriter", "identiy"], "did you mean 'identity'"),
    ],
)
def test_bad_input_is_one_sentence(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    assert main(arguments(*more)) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and out == ""
    assert not (place / "home" / "data" / "results").exists(), "nothing was begun"


def test_a_broken_result_in_the_store_is_named(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments(rewriter="Raw"))
    (broken,) = (place / "home" / "data" / "results").rglob("result.json")
    broken.write_text("{")
    capsys.readouterr()
    assert main(arguments()) == 0
    out, err = capsys.readouterr()
    assert f"warning: left out: {broken}" in err and "strip-prefix" in out


def test_a_repeated_run_imports_nothing_heavy(place: Path, arguments: Arguments) -> None:
    """What it takes is then Python's start, the annotation files and a look at each picture's size and time."""
    program = textwrap.dedent(
        """
        import sys
        from grapebench.cli.main import main
        code = main(sys.argv[1:])
        heavy = {"torch", "open_clip", "transformers", "pandas", "pyarrow", "scipy", "faiss", "datasets"}
        print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)
        """
    )
    command = [sys.executable, "-c", program, *arguments()]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert again.stderr.splitlines()[-1] == "0 []"
    assert "Leaderboard" in again.stdout
