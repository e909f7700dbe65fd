from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from grapebench.cli.main import main
from grapebench.leaderboard import artifacts, store
from grapebench.paths import results_dir

Run = Callable[..., dict[str, Any]]
COMPARE = ("--task", "words", "--suite", "full")
SWAP = """

class Swap:
    fingerprint = "swap"

    def rewrite(self, queries):
        return [Rewrite(q.id, texts=("black a" if q.id < "q-i03" else q.text.replace("x", ""),)) for q in queries]
"""


@pytest.fixture
def run(place: Path, arguments: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]) -> Run:
    """Makes a result with `grapebench run` and gives its summary."""
    (place / "rewriters.py").write_text((place / "rewriters.py").read_text() + SWAP)

    def ran(rewriter: str, *more: str) -> dict[str, Any]:
        assert main(arguments("--json", *more, rewriter=rewriter)) == 0
        summary: dict[str, Any] = json.loads(capsys.readouterr().out)
        return summary

    return ran


def test_results_by_name_and_by_id_are_the_same(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    raw, strip = run("Raw"), run("StripPrefix")
    assert main(["compare", *COMPARE, "raw", "strip-prefix", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main(["compare", raw["id"][:6], strip["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert (found["task"], found["suite"], found["split"], found["limit"]) == ("words", "full", "test", None)
    assert (found["queries"], found["clusters"], found["largest_cluster"]) == (24, 24, 1)
    assert found["baseline"]["id"] == raw["id"]
    (one,) = found["comparisons"]
    assert (one["id"], one["rewriter"], one["seed"], one["oracle"]) == (strip["id"], "strip-prefix", 0, False)
    path = next(results_dir().rglob(f"{strip['id']}/per_query.parquet"))
    table = artifacts.read_table(path)
    pairs = list(zip(table["rank_before"], table["rank"], strict=True))
    assert one["wins"] == sum(after < before for before, after in pairs) > 15
    assert one["losses"] == sum(after > before for before, after in pairs)
    assert one["wins"] + one["ties"] + one["losses"] == 24 and "examples" not in one
    for key, figure in one["figures"].items():
        assert (figure["baseline"], figure["value"]) == (raw["metrics"][key], strip["metrics"][key])
        assert [figure["delta"], figure["low"], figure["high"]] == strip["deltas"][key], "Raw is the raw query"
    beside = {row["rewriter"]: row for row in found["references"]["rows"]}
    assert found["references"]["figure"] == "R@10" and list(beside) == ["strip-prefix", "raw"]
    (to,) = beside["strip-prefix"]["to"]
    change = one["figures"]["R@10"]
    assert (to["rewriter"], to["without_language_model"]) == (None, True), "of the two it is not known"
    assert [to[key] for key in ("delta", "low", "high")] == [change[key] for key in ("delta", "low", "high")]
    assert one["figures"]["R@1"]["p"] < 0.001 and set(one["figures"]) >= {"R@1", "R@5", "R@10", "i2t_R@1"}


def test_what_a_person_sees(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for rewriter in ("Raw", "StripPrefix", "Swap"):
        run(rewriter)
    assert main(["compare", *COMPARE, "strip-prefix", "raw", "swap", "--examples", "2"]) == 0
    out = capsys.readouterr().out
    text = " ".join(out.split())
    assert "Compared: words · suite full · split test" in text and "24 queries in 24 clusters" in text
    assert text.count("against strip-prefix (") == 2 and "p, Holm" in text and "<0.001" in text
    assert "-95.8 [-100.0, -87.5]" in out, "intervals stay in one piece"
    assert "0 queries won" in text and "corrected for 2 comparisons" in text
    assert "right image stands higher, as high, or lower than with the baseline" in text
    assert "-95.8 [-100.0, -87.5] ▼" in out and "≈ neither" in text
    assert text.count("Loss: rank 1 →") == 4, "two of each comparison"
    assert "swap black a" in text and "strip-prefix black d" in text and "raw as it came" in text
    assert main(["compare", *COMPARE, "strip-prefix", "swap"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Holm" not in text and "Loss:" not in text
    assert max(map(len, out.splitlines())) <= 80


def test_the_newest_that_can_be_compared_are_meant(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    whole = [run("Raw"), run("StripPrefix")]
    run("Raw", "--limit", "10")
    assert main(["compare", *COMPARE, "raw", "strip-prefix", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found["baseline"]["id"], found["comparisons"][0]["id"]] == [one["id"] for one in whole], (
        "the newest of raw stands alone"
    )
    run("Swap", "--limit", "12")
    assert main(["compare", *COMPARE, "raw", "swap"]) == 2
    said = capsys.readouterr().err
    assert "no results of raw and swap on words can be compared" in said
    assert "grapebench run --task words --suite full --rewriter raw --rewriter swap" in said


def test_bad_input(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    raw, strip, part = run("Raw"), run("StripPrefix"), run("StripPrefix", "--limit", "10")
    hidden = run("StripPrefix", "--split", "hidden")
    for asked, said in (
        ([raw["id"], part["id"]], "cannot be compared: the limit differs, none and 10"),
        ([raw["id"], raw["id"]], "is given twice"),
        ([raw["id"], hidden["id"]], "the labels of words hidden are not public"),
        (
            ["raw", strip["id"]],
            "no result 'raw'; give a result's folder, or at least 4 digits of its id; to name rewri",
        ),
        ([*COMPARE, "raw", "strap"], "no result of rewriter 'strap' on words (suite full), only of: raw, strip-prefix"),
        (["--task", "words", "raw", "swap"], "no result of rewriter 'raw' on words (suite mini), only of: none"),
    ):
        assert main(["compare", *asked]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_it_is_drawn(run: Run, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("Raw")
    run("StripPrefix")
    assert main(["compare", *COMPARE, "raw", "strip-prefix", "--plot", "found.png"]) == 0
    assert "queries won" in capsys.readouterr().out
    with Image.open(place / "found.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000
    for asked, said in (
        (["strip-prefix", "--plot", "found.jpegg"], "found.jpegg: a picture's name ends in its format"),
        (["strap", "--plot", "none.png"], "no result of rewriter 'strap'"),
    ):
        assert main(["compare", *COMPARE, "raw", *asked]) == 2
        captured = capsys.readouterr()
        assert said in captured.err and not captured.out
    assert not (place / "none.png").exists()


def test_the_best_without_a_language_model_stands_beside_what_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the published results of CIRR: it is `text-image-sum`, though nobody named it."""
    assert main(["compare", "--task", "cirr", "llm", "grape", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row["rewriter"]: row for row in found["references"]["rows"]}
    assert set(rows) == {"grape", "llm", "text-image-sum"}
    to = {one["rewriter"]: one for one in rows["grape"]["to"]}
    assert list(to) == [None, "text-image-sum", "llm"]
    assert [one["without_language_model"] for one in to.values()] == [False, True, False]
    assert main(["compare", "--task", "cirr", "text-image-sum", "grape", "--json"]) == 0
    (named,) = json.loads(capsys.readouterr().out)["comparisons"]
    fair, change = to["text-image-sum"], named["figures"]["R@10"]
    for key in ("delta", "low", "high"):
        assert fair[key] == pytest.approx(change[key], abs=1e-9), "the same as where it is named"
    assert main(["compare", "--task", "cirr", "llm", "grape"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "to raw to text-image-sum ‡ to llm" in text and "‡: the best without a language model" in text


def test_the_fair_reference_is_sought_where_the_results_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the stores by default alone: else `raw` would bear the mark though a better row lies beside them."""
    rewriters = ("identity", "image-only", "text-image-sum")
    named = [word for name in rewriters for word in ("--rewriter", name)]
    elsewhere = ["--limit", "60", "--json", "--out", str(tmp_path / "mine")]
    assert main(["run", "--task", "cirr", *named, *elsewhere]) == 0
    made = {one["rewriter"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    folders = [
        str(store.folder_of(tmp_path / "mine", "mini", "cirr", made[name]["retriever"], name, made[name]["id"]))
        for name in ("identity", "image-only")
    ]
    assert main(["compare", *folders, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["references"]["rows"]
    assert {one["rewriter"] for row in rows for one in row["to"] if one["without_language_model"]} == {"text-image-sum"}
