"""Images whose names hold white space or accents: what is asked is kept, and every later command finds it."""

from __future__ import annotations

import gzip
import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import ir_measures
import pytest

from grapebench import catalog
from grapebench.cli.main import main
from grapebench.evaluation import trec
from grapebench.names import read_back

Arguments = Callable[..., list[str]]


@pytest.fixture
def photos(place: Path) -> Path:
    """The benchmark of `place` with the pictures `i 00.png` to `i 23.png`."""
    for path in (place / "data" / "images").iterdir():
        path.rename(path.with_name(path.name.replace("i", "i ", 1)))
    return place


def result_of(place: Path) -> Path:
    return next((place / "out").rglob("result.json")).parent


def scored(run: Path, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, float]:
    capsys.readouterr()
    asked = ["score", "--task", "words.toml", "--suite", "full", "--data", "data", "--run", str(run), "--json", *more]
    assert main(asked) == 0
    found: dict[str, float] = json.loads(capsys.readouterr().out)["metrics"]
    return found


def test_a_run_is_written_verified_shown_exported_and_scored(
    photos: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(arguments("--out", "out", rewriter="Raw")) == 0
    # From here on the task has a card of its name, as a published one has, and its files are remembered.
    (photos / "catalogue" / "tasks").mkdir(parents=True)
    shutil.copy(photos / "words.toml", photos / "catalogue" / "tasks")
    monkeypatch.setattr(catalog, "folder", lambda: photos / "catalogue")
    assert main(["data", "add", "words", "--annotations", "data", "--images", "data"]) == 0
    folder = result_of(photos)
    run = trec.read_run(folder / "run.trec.gz")
    assert "i%2000" in run.images and "q-i%2000" in run.queries
    assert {read_back(image) for image in run.images} == {f"i {n:02}" for n in range(24)}
    capsys.readouterr()
    assert main(["verify", str(folder)]) == 0
    assert "ranks against the labels" not in capsys.readouterr().out, "they are counted from the run file"
    assert main(["show", str(folder), "--query", "q-i 00"]) == 0
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert 0 < metrics["R@1"] < 1
    found = scored(folder / "run.trec.gz", capsys)
    assert found["R@1"] == metrics["R@1"] and found["MRR"] == metrics["MRR"]
    assert main(["export", "trec", str(folder), "--out", "exported"]) == 0
    read = (
        ir_measures.read_trec_qrels(str(photos / "exported" / "qrels.trec")),
        ir_measures.read_trec_run(str(photos / "exported" / "run.trec")),
    )
    measures = [ir_measures.Success @ 1, ir_measures.RR]
    told = ir_measures.calc_aggregate(measures, *read)
    assert told[measures[0]] == metrics["R@1"] and told[measures[1]] == pytest.approx(metrics["MRR"])


def test_a_run_in_the_other_form_of_unicode_is_scored(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (place / "data" / "images").iterdir():
        path.rename(path.with_name(unicodedata.normalize("NFD", f"{path.stem}é.png")))
    loader = place / "loader.py"
    loader.write_text(loader.read_text().replace("int(n[1:])", "int(n[1:3])"))
    assert main(arguments("--out", "out", rewriter="Raw")) == 0
    folder = result_of(place)
    text = gzip.decompress((folder / "run.trec.gz").read_bytes()).decode()
    composed = unicodedata.normalize("NFC", text)
    assert composed != text
    (place / "other.trec").write_text("\ufeff" + composed.replace("\n", "\r\n") + "\r\n")
    assert scored(place / "other.trec", capsys) == scored(folder / "run.trec.gz", capsys)
    (place / "twice.trec").write_text("".join(sorted({*text.splitlines(True), *composed.splitlines(True)})))
    assert main(["score", "--task", "words.toml", "--suite", "full", "--data", "data", "--run", "twice.trec"]) == 2
    assert "are both the query of words" in capsys.readouterr().err


def test_lines_of_other_languages_are_left_out(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments("--out", "out", rewriter="Raw")) == 0
    run = result_of(place) / "run.trec.gz"
    every = scored(run, capsys, "--protocol", "multilingual")
    german = scored(run, capsys, "--languages", "de")
    assert german["R@1"] == every["R@1/de"] and german["MRR"] == every["MRR/de"]
    asked = ["score", "--task", "words.toml", "--suite", "full", "--data", "data", "--run", str(run)]
    assert main([*asked, "--languages", "de"]) == 0
    assert f"{12 * 24} lines are of queries that are not asked" in capsys.readouterr().out
    (place / "strange.trec").write_text("nobody Q0 i00 1 1 me\n")
    assert main([*asked[:-1], "strange.trec", "--languages", "de"]) == 2
    assert "'nobody' is no query of words" in capsys.readouterr().err


def test_an_empty_id_is_refused_before_anything_is_asked(
    place: Path, arguments: Arguments, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (place / "loader.py").read_text()
    (place / "loader.py").write_text(text.replace('Query(f"q-{n}"', 'Query("" if n == "i00" else f"q-{n}"'))
    (place / "rewriters.py").write_text("class Raw:\n    def rewrite(self, queries):\n        raise AssertionError\n")
    assert main(arguments(rewriter="Raw")) == 2
    assert "a query or an image has an empty id" in capsys.readouterr().err
