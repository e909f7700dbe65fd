from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.leaderboard import store

Arguments = Callable[..., list[str]]


@pytest.fixture
def ids(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Two results in the user's store, by id."""
    found = []
    for rewriter in ("Raw", "StripPrefix"):
        assert main(arguments("--json", rewriter=rewriter)) == 0
        found.append(json.loads(capsys.readouterr().out)["id"])
    return found


def test_publish_then_build(place: Path, ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    board = place / "board" / "results"
    assert main(["leaderboard", "publish", *ids, "--into", str(board)]) == 0
    folders = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [folder.name for folder in folders] == ids
    assert not list((place / "board").rglob("run.trec.gz")), "no run files"
    assert sum(path.stat().st_size for path in folders[0].iterdir()) < 300 * 1024

    assert main(["leaderboard", "build", "--results", str(board)]) == 0
    page = (place / "board" / "LEADERBOARD.md").read_text(encoding="utf-8")
    link = folders[1].relative_to(place / "board").as_posix()
    assert f"[{ids[1]}]({link})" in page
    assert page.index("| 1 | strip-prefix") < page.index(" | raw |")
    assert "--rewriter rewriters.py:StripPrefix" in page and "suite full" in page
    assert main(["leaderboard", "build", "--results", str(board)]) == 0
    assert (place / "board" / "LEADERBOARD.md").read_text(encoding="utf-8") == page


def test_the_page_may_stand_elsewhere(place: Path, ids: list[str]) -> None:
    results = place / "home" / "data" / "results"
    assert main(["leaderboard", "build", "--results", str(results), "--out", "pages/board.md"]) == 0
    page = (place / "pages" / "board.md").read_text(encoding="utf-8")
    (link,) = [line.split("](")[1].split(")")[0] for line in page.splitlines() if " | raw | " in line and "](" in line]
    assert (place / "pages" / link / "result.json").is_file(), "links lead to the results from the page's folder"


def test_a_broken_result_is_left_out_with_code_1(
    place: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    results = place / "home" / "data" / "results"
    folder = store.resolve(ids[0], [results])
    (folder / "result.json").write_text("{")
    assert main(["leaderboard", "build", "--results", str(results), "--out", "board.md"]) == 1
    assert f"warning: left out: {folder / 'result.json'}" in capsys.readouterr().err
    page = (place / "board.md").read_text(encoding="utf-8")
    assert ids[1] in page and ids[0] not in page


def test_broken_ranks_are_named_and_cost_the_rank_alone(
    place: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    results = place / "home" / "data" / "results"
    path = store.resolve(ids[0], [results]) / "per_query.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["leaderboard", "build", "--results", str(results), "--out", "board.md"]) == 1
    assert f"warning: without a rank and without tests: {path}: the file is not the one" in capsys.readouterr().err
    rows = [line for line in (place / "board.md").read_text(encoding="utf-8").splitlines() if line.count("](") == 1]
    assert [row.split(" | ")[0] for row in rows if row.startswith("|")] == ["| 1", "| –"]


def test_check_tells_whether_the_page_is_what_the_results_come_to(
    place: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    results = place / "home" / "data" / "results"
    options = ["--results", str(results), "--out", "board.md"]
    assert main(["leaderboard", "check", *options]) == 2
    assert "no such page" in capsys.readouterr().err
    assert main(["leaderboard", "build", *options]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "check", *options]) == 0
    assert capsys.readouterr().out == "board.md: is what its 2 results come to\n"
    page = (place / "board.md").read_text(encoding="utf-8")
    command = f"grapebench leaderboard build --results {results} --out board.md"
    line = 1 + page[: page.index("| 1 |")].count("\n")
    for changed, said in (
        (page.replace("| 1 |", "| 2 |", 1), f"line {line} is not what the results come to"),
        (page + "more\n", f"it has {page.count(chr(10)) + 1} lines, and its results come to {page.count(chr(10))}"),
        (page[:-1], "its end differs"),
    ):
        (place / "board.md").write_text(changed, encoding="utf-8")
        assert main(["leaderboard", "check", *options]) == 1
        assert capsys.readouterr().out == f"board.md: {said}; write it anew: {command}\n"
    (place / "board.md").write_text(page, encoding="utf-8")
    (store.resolve(ids[0], [results]) / "rewrites.jsonl.gz").write_bytes(b"")
    (store.resolve(ids[1], [results]) / "result.json").write_text("{")
    assert main(["leaderboard", "check", *options]) == 1


def test_the_boards_own_page_is_what_its_results_come_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Where this fails: `grapebench leaderboard build`, and commit the page with the results."""
    assert main(["leaderboard", "check"]) == 0, capsys.readouterr()


def test_results_without_labels_are_counted_and_left_out(
    place: Path, ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    results = place / "home" / "data" / "results"
    path = store.resolve(ids[0], [results]) / "result.json"
    nothing = {"labelled": False, "metrics": {}, "metrics_before": {}, "intervals": {}, "deltas": {}, "inflation": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | nothing))
    assert main(["leaderboard", "build", "--results", str(results), "--out", "board.md"]) == 0
    assert "1 results in 1 tables; 1 without public labels left out" in capsys.readouterr().err
    page = (place / "board.md").read_text(encoding="utf-8")
    assert ids[1] in page and ids[0] not in page


def test_results_made_elsewhere_are_published_by_folder(place: Path, ids: list[str]) -> None:
    elsewhere = place / "elsewhere"
    shutil.copytree(store.resolve(ids[0], [place / "home" / "data" / "results"]), elsewhere)
    assert main(["leaderboard", "publish", str(elsewhere), "--into", "board"]) == 0
    assert [one.result.id for one in store.find([place / "board"])[0]] == [ids[0]]


def test_bad_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["build", "--results", "nowhere"], "no such folder of results"),
        (["publish", "0123456789abcdef"], "no result has an id that begins with"),
        (["publish", str(place)], "the file is missing"),
    ):
        assert main(["leaderboard", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
