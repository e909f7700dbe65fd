"""`grapebench score` as a user meets it: another process, its exit code, its two streams."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grapebench.cli.score import _print_table
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.evaluation.score import Score

IMAGES = [f"dev-{n}" for n in range(8)]
CARD = """
name = "cirr"
title = "CIRR"
about = "A small CIRR."
family = "compose"
dataset = "cirr"
protocol = "composed"
protocols = ["graded"]
languages = ["en"]
licence = "MIT"
source = "https://example.org/cirr"
citation = ""
full = { default_split = "val", splits.val = { queries = 3, images = 8 }, splits.test1 = { queries = 1, images = 8 } }
"""
# Query 1: the reference is left out, dev-5 and dev-7 stand above the target, of its look-alikes only dev-5.
RUN = """1 Q0 dev-0 1 9.5 me
1 Q0 dev-5 2 9 me
1 Q0 dev-7 3 8 me
1 Q0 dev-1 4 7 me
2 Q0 dev-2 1 0.5 me
"""


def record(pairid: int, target: int) -> dict[str, Any]:
    names = {"pairid": pairid, "reference": "dev-0", "target_hard": f"dev-{target}", "caption": "redder"}
    return {**names, "target_soft": {f"dev-{target}": 1.0, "dev-5": 0.5}, "img_set": {"id": 1, "members": IMAGES[:6]}}


class Scorer:
    """The files of a small task, and the command on them."""

    def __init__(self, folder: Path) -> None:
        self.card, self.run, self.data = folder / "cirr.toml", folder / "run.trec", folder / "data"
        self.captions = self.data / "captions" / "cap.rc2.val.json"
        self.images = self.data / "image_splits" / "split.rc2.val.json"
        self.card.write_text(CARD)
        self.run.write_text(RUN)
        records = [record(1, 1), record(2, 2), record(3, 3)]
        self.captions.parent.mkdir(parents=True)
        self.captions.write_text("[\n" + ",\n".join(map(json.dumps, records)) + "\n]\n")
        self.images.parent.mkdir()
        self.images.write_text(json.dumps({image: f"./dev/{image}.png" for image in IMAGES}))

    def __call__(self, *more: str, data: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "grapebench", "score", "--task", str(self.card), "--suite", "full"]
        command += ["--data", str(self.data)] if data else []
        return subprocess.run([*command, "--run", str(self.run), *more], capture_output=True, text=True, check=False)

    def fails(self, *more: str, data: bool = True) -> str:
        """The one line on stderr of a call that must fail."""
        found = self(*more, data=data)
        assert found.returncode == 2, found.stderr
        assert found.stdout == ""
        assert "Traceback" not in found.stderr and found.stderr.count("\n") == 1
        assert found.stderr.startswith("error: ")
        return found.stderr


@pytest.fixture
def score(tmp_path: Path) -> Scorer:
    # Brackets, so that a path taken for rich's markup would show.
    folder = tmp_path / "a [bold] folder"
    folder.mkdir()
    return Scorer(folder)


def test_json_is_one_line_of_fractions(score: Scorer) -> None:
    score.run.write_bytes(gzip.compress(RUN.encode()))
    found = score("--json")
    assert found.returncode == 0 and found.stderr == "" and found.stdout.count("\n") == 1
    said = json.loads(found.stdout)
    assert (said["suite"], said["task"], said["split"]) == ("full", "cirr", "val")
    assert (said["queries"], said["gallery"], said["run"]) == (3, 8, str(score.run))
    expected = {"R@1": 1 / 3, "R@5": 2 / 3, "R@10": 2 / 3, "R@50": 2 / 3}
    expected |= {"R_subset@1": 1 / 3, "R_subset@2": 2 / 3, "R_subset@3": 2 / 3}
    assert {key: said["metrics"][key] for key in expected} == pytest.approx(expected)
    assert (said["queries_without_lines"], said["excluded_lines"]) == (1, 1)


def test_the_table_shows_percent_and_what_to_know(score: Scorer) -> None:
    found = score()
    assert found.returncode == 0 and found.stderr == ""
    rows = [line.split() for line in found.stdout.splitlines()]
    assert ["R@1", "33.33"] in rows and ["R_subset@3", "66.67"] in rows
    assert found.stdout.startswith(f"cirr val (full): {score.run}\n")
    for part in ("3 queries, 8 images", "1 queries have no line", "1 lines name an image excluded"):
        assert part in found.stdout


def test_the_table_has_a_row_for_each_language_where_they_are_apart(score: Scorer) -> None:
    score.card.write_text(CARD.replace('"composed"', '"multilingual"'))
    found = score()
    assert found.returncode == 0, found.stderr
    rows = [line.split() for line in found.stdout.splitlines()]
    assert [row[1:4] for row in rows if row[:1] in (["mean"], ["en"])] == [["33.33", "66.67", "66.67"]] * 2


def test_another_protocol_of_the_card(score: Scorer) -> None:
    said = json.loads(score("--protocol", "graded", "--json").stdout)
    assert said["protocol"] == "graded" and said["left_out"] == []
    # Of query 1 dev-5 comes first, which is half right; query 2 has its target; query 3 has no lines.
    assert {key: said["metrics"][key] for key in ("R@1", "R@5", "R_subset@1")} == pytest.approx(
        {"R@1": 0.5, "R@5": 2 / 3, "R_subset@1": 0.5}
    )
    assert "protocol graded" in score("--protocol", "graded").stdout
    assert "cirr has no protocol 'recall'; there is: composed, graded" in score.fails("--protocol", "recall")
    assert "cirr has no languages to choose from" in score.fails("--languages", "de")


def scored(protocol: str, metrics: dict[str, float]) -> Score:
    left_out = PROTOCOLS[protocol].image_keys
    return Score("full", "small", protocol, "test", 7, 9, metrics, left_out, 0, 0, 0, 0, 0)


def test_the_table_of_categories(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"R@1": 0.5, "R@1/panda": 1.0, "R@1/tea": 0.25}
    _print_table(scored("categories", metrics), Path("run.trec"))
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert [row for row in rows if row[:1] in (["category"], ["all"], ["panda"], ["tea"])] == [
        ["category", "R@1"], ["all", "50.00"], ["panda", "100.00"], ["tea", "25.00"],
    ]  # fmt: skip
    assert "i2t_R@1, i2t_R@5, i2t_R@10: left out, a run from text to image does not say them" in out


def test_the_table_of_average_precision(capsys: pytest.CaptureFixture[str]) -> None:
    _print_table(scored("category-map", {"mAP": 0.1234}), Path("run.trec"))
    out = capsys.readouterr().out
    assert ["mAP", "12.34"] in [line.split() for line in out.splitlines()]
    assert "i2t_mAP: left out" in out and "images that the run leaves out count as never found" in out


def truncate(scorer: Scorer) -> None:
    scorer.captions.write_text(scorer.captions.read_text()[:-40])


def encode(scorer: Scorer) -> None:
    scorer.captions.write_bytes(scorer.captions.read_text().replace("redder", "plus foncé").encode("latin-1"))


def lose_an_image(scorer: Scorer) -> None:
    scorer.images.write_text(json.dumps(dict.fromkeys(IMAGES[:5], "x")))


def repeat_an_id(scorer: Scorer) -> None:
    scorer.captions.write_text(scorer.captions.read_text().replace('"pairid": 3', '"pairid": 1'))


@pytest.mark.parametrize(
    ("spoil", "file", "line", "what"),
    [
        (truncate, "captions", 4, "the JSON is broken off"),
        (encode, "captions", 2, "not UTF-8 (byte 0xe9)"),
        (lose_an_image, "captions", 2, "'dev-5' of pairid 1 is not in"),
        (repeat_an_id, "captions", 4, "pairid '1' occurs twice, first on line 2"),
        (lambda scorer: scorer.captions.unlink(), "captions", None, "the file is missing"),
        (lambda scorer: scorer.run.unlink(), "run", None, "the file is missing"),
        (lambda scorer: scorer.run.write_text(RUN + "1 Q0 dev-1 4 7\n"), "run", 6, "expected 6 columns"),
        (lambda scorer: scorer.run.write_text(RUN + "1 Q0 dev-3 4 seven me\n"), "run", 6, "not a number: 'seven'"),
        (lambda scorer: scorer.run.write_text(RUN + "1 Q0 dev-3 4 nan me\n"), "run", 6, "not finite"),
        (lambda scorer: scorer.run.write_text(RUN + "1 Q0 dev-7 4 1 me\n"), "run", 6, "first on line 3"),
        (lambda scorer: scorer.run.write_text(RUN + "1 Q0 dev-99 4 1 me\n"), "run", 6, "'dev-99' is no image"),
        (lambda scorer: scorer.run.write_text(RUN + "9 Q0 dev-1 4 1 me\n"), "run", 6, "'9' is no query of cirr"),
    ],
)
def test_bad_files_are_one_sentence_with_file_and_line(
    score: Scorer, spoil: Callable[[Scorer], object], file: str, line: int | None, what: str
) -> None:
    spoil(score)
    place = f"{getattr(score, file)}:" + (f"{line}:" if line else "")
    said = score.fails()
    assert said.startswith(f"error: {place} ") and what in said


def test_other_counts_than_the_cards_are_refused(score: Scorer) -> None:
    score.card.write_text(CARD.replace("queries = 3", "queries = 4181"))
    assert "cirr val holds 3 queries where the task card says 4,181" in score.fails()


def test_wrong_choices_say_what_there_is(score: Scorer) -> None:
    assert "needs the official files" in score.fails(data=False)
    assert "has no split 'vall' in the suite full; there is: val, test1" in score.fails("--split", "vall")
    assert "has no suite 'mini'; there is: full" in score.fails("--suite", "mini", data=False)


def test_a_split_without_labels_is_refused(score: Scorer) -> None:
    unlabelled = {key: value for key, value in record(1, 1).items() if key != "target_hard"}
    (score.captions.parent / "cap.rc2.test1.json").write_text(json.dumps([unlabelled]))
    (score.images.parent / "split.rc2.test1.json").write_text(score.images.read_text())
    assert "cirr test1 has no public labels" in score.fails("--split", "test1")


@pytest.mark.annotations
def test_the_real_card_scores_a_run_on_the_real_files(tmp_path: Path) -> None:
    """Every query's target first: all figures are 1."""
    data = Path(os.environ["GRAPEBENCH_ANNOTATIONS"]) / "cirr"
    records = json.loads((data / "captions" / "cap.rc2.val.json").read_text())
    run = tmp_path / "run.trec"
    run.write_text("".join(f"{r['pairid']} Q0 {r['target_hard']} 1 1 me\n" for r in records))
    command = [sys.executable, "-m", "grapebench", "score", "--task", "cirr", "--suite", "full", "--split", "val"]
    found = subprocess.run(
        [*command, "--data", str(data), "--run", str(run), "--json"], capture_output=True, text=True, check=True
    )
    said = json.loads(found.stdout)
    assert (said["queries"], said["gallery"]) == (4181, 2297)
    assert {value for key, value in said["metrics"].items()} == {1.0}
