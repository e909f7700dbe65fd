"""`grapebench export trec | table | model-card`; what they write is tested in tests/export."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from huggingface_hub import ModelCard

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.leaderboard import store

Arguments = Callable[..., list[str]]


@pytest.fixture
def result(place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments("--json")) == 0
    return str(json.loads(capsys.readouterr().out)["id"])


def test_a_run_for_trec_eval(
    place: Path, result: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = catalog.task_card
    monkeypatch.setattr(catalog, "task_card", lambda name: known("words.toml" if name == "words" else name))
    assert main(["export", "trec", result, "--data", "data", "--out", "new/trec"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["new/trec/run.trec", "new/trec/qrels.trec"] and err == ""
    assert len((place / "new" / "trec" / "qrels.trec").read_text().splitlines()) == 24
    named = ["export", "trec", "strip-prefix", "--task", "words", "--suite", "full", "--data", "data"]
    assert main(named) == 0, "by the rewriter's name"
    assert (place / "run.trec").read_bytes() == (place / "new" / "trec" / "run.trec").read_bytes()


def test_queries_beyond_the_run_are_told(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = catalog.task_card
    monkeypatch.setattr(catalog, "task_card", lambda name: known("words.toml" if name == "words" else name))
    monkeypatch.setattr("grapebench.evaluation.search.RUN_DEPTH", 1)
    assert main(arguments("--json", rewriter="Raw")) == 0
    shown = json.loads(capsys.readouterr().out)
    assert main(["export", "trec", shown["id"], "--data", "data"]) == 0
    beyond = round(24 * (1 - shown["metrics"]["R@1"]))
    assert f"{beyond} of 24 queries have their right image beyond the end of the run" in capsys.readouterr().err


def test_tables_of_some_results(place: Path, result: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "table", result, result[:6], "--out", "figures.csv"]) == 0
    assert capsys.readouterr().out == "figures.csv\n"
    frame = pandas.read_csv(place / "figures.csv")
    assert set(frame.result) == {result} and not frame.duplicated(["figure", "part"]).any(), "each once"
    assert main(["export", "table", result, "--format", "parquet", "--out", "figures.parquet"]) == 0
    assert len(pandas.read_parquet(place / "figures.parquet")) == len(frame)
    capsys.readouterr()
    assert main(["export", "table", result, "--format", "latex", "--intervals"]) == 0
    out = capsys.readouterr().out
    assert r"\toprule" in out and "strip-prefix & " in out and r"\scriptsize" in out


def test_the_whole_board_by_default(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "table"]) == 0
    ids = {one.result.id for one in store.find([store.published_dir()])[0]}
    (place / "all.csv").write_text(capsys.readouterr().out)
    assert set(pandas.read_csv(place / "all.csv", dtype={"result": str}).result) == ids


def test_a_model_card(place: Path, result: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "model-card", result, "--name", "someone/model"]) == 0
    text = capsys.readouterr().out
    assert ModelCard(text).data.model_name == "someone/model"
    assert main(["export", "model-card", "strip-prefix", "--task", "words", "--suite", "full", "--out", "R.md"]) == 0
    assert (place / "R.md").read_text() == text.replace("someone/model", "strip-prefix")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table", "--format", "xlsx"], "unknown format 'xlsx'; there is: csv, parquet, latex"),
        (["table", "--format", "parquet"], "a parquet file is not for a terminal; say where it is written: --out FILE"),
        (["table", "--intervals"], "--intervals is for latex"),
        (["table", "0123"], "no result has an id that begins with '0123'"),
        (["trec", "llm"], "to name rewriters instead, add --task"),
        (["model-card"], "Missing argument"),
        (["trec", "nobody", "--task", "cirr"], "there is no result of rewriter 'nobody' on cirr"),
    ],
)
def test_bad_input(place: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *arguments]) == 2
    out, err = capsys.readouterr()
    assert said in err and out == ""
