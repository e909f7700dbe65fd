from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from grapebench.cli.main import main
from grapebench.cli.train_report import report as command
from grapebench.errors import UserError
from grapebench.training import journal
from grapebench.training.journal import Sample, Stop
from grapebench.training.report import report, summary
from tests.training.logs import Course, step_at, val_at, write

EVIL = '<script>alert("x")</script> <b>&amp;</b> {{ 7 * 7 }} \'"><img src=x onerror=y>'
HEADROOM = {
    "raw": {"R@1": 0.012, "R@10": 0.05, "median_rank": 400.0},
    "points": [{"k": k, "figures": {"R@1": 0.1 * k, "R@10": 0.2 * k, "median_rank": 9.0}} for k in (1, 2, 4)],
}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, their attributes, its tables and its text."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.tables: list[list[list[str]]] = []
        self.classes: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self.classes.append(dict(attrs).get("class") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    folder = write(tmp_path / "cvlue", Course())
    (folder / "config.toml").write_text('task = "cvlue"\nseed = 0\n')
    (folder / "headroom.json").write_text(json.dumps(HEADROOM))
    return folder


def test_a_finished_training_on_a_page(finished: Path) -> None:
    path = report(finished)
    assert path == finished / "report.html"
    page = Page(path)
    assert "Training cvlue" in page.text and "120 steps in 1 min 58 s; finished." in page.text
    for title in ("Recall on val", "Similarity", "Margin", "Reward", "KL to the reference", "Entropy", "Length",
                  "Repetition", "Unusable outputs", "Groups without spread", "Facts kept"):  # fmt: skip
        assert title in page.text
    assert page.tags.count("svg") == 12
    assert "Score inflation: all of them rise, while margin and recall do not." in page.text
    assert 'task = "cvlue"' in page.text
    val, headroom, *histories = page.tables
    best = summary(finished).best
    assert best is not None and best.recall_10 is not None
    assert val[0] == ["", "frozen model", f"best (step {best.step})", "last (step 120)"]
    assert ["R@10", f"{best.recall_10:.1%}"] == [val[2][0], val[2][2]]
    assert headroom == [["", "R@1", "R@10"], ["raw query", "1.2%", "5.0%"], ["best of 1", "10.0%", "20.0%"],
                        ["best of 2", "20.0%", "40.0%"], ["best of 4", "40.0%", "80.0%"]]  # fmt: skip
    assert len(histories) == 4 and all(table[0] == ["Step", "Rank", "Rewrite"] for table in histories)
    assert "一只红色的小狗在一棵大树旁边" in page.text


def test_a_page_stands_alone(finished: Path) -> None:
    page = Page(report(finished))
    assert not {"script", "link", "img", "iframe", "a"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("href", "src", "xlink:href", "action"):
            assert value is not None and value.startswith("#")
    style = finished.joinpath("report.html").read_text()
    assert "@import" not in style and not re.search(r"url\((?!#)", style)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_what_comes_from_files_is_shown_as_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "a<i>b", Course(steps=20), reason=f"collapse: {EVIL}")
    journal.append_samples(folder, [Sample(step=0, query_id=EVIL, query=f"Q{EVIL}", rewrite=f"R{EVIL}", rank=3)])
    (folder / "config.toml").write_text(f"# {EVIL}")
    evil = HEADROOM["raw"] | {EVIL: 0.5}  # type: ignore[operator]
    points = [{"k": 1, "figures": evil}]
    (folder / "headroom.json").write_text(json.dumps({"raw": evil, "points": points}))
    page = Page(report(folder))
    assert "Training a<i>b" in page.text
    for place in ("collapse: ", "Q", "R", "# "):
        assert f"{place}{EVIL}" in page.text
    assert EVIL in page.tables[1][0]
    assert not {"script", "img", "b", "i"} & set(page.tags)
    assert not any(name.startswith("on") for name, _ in page.attributes)


def test_rewrites_through_time(tmp_path: Path) -> None:
    said = [(0, "a", 10), (20, "a", 10), (40, "b", 3), (60, "b", 3), (80, "b", 12), (100, "c", 10)]
    journal.append(tmp_path, val_at(0, Course()))
    for step, rewrite, rank in said:
        other = Sample(step=step, query_id="q2", query="another", rewrite="x", rank=7)
        journal.append_samples(
            tmp_path, [Sample(step=step, query_id="q1", query="a wish", rewrite=rewrite, rank=rank), other]
        )
    page = Page(report(tmp_path))
    assert page.tables[1] == [["Step", "Rank", "Rewrite"], ["0–20", "10", "a"], ["40–60", "3 ▲", "b"],
                              ["80", "12 ▼", "b"], ["100", "10", "c"]]  # fmt: skip
    assert page.tables[2][1:] == [["0–100", "7", "x"]]
    assert [one for one in page.classes if one.startswith("rank")] == [
        "rank start", "rank better", "rank worse", "rank same", "rank start",
    ]  # fmt: skip
    assert ("aria-label", "better") in page.attributes and ("aria-label", "worse") in page.attributes


def test_a_training_under_way(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('task = "cirr"\n')
    page = Page(report(tmp_path))
    assert "No validation yet." in page.text and "No step yet." in page.text
    journal.append(tmp_path, *(step_at(n, Course()) for n in (1, 2, 3)))
    page = Page(report(tmp_path))
    assert "No validation yet." in page.text and "No step yet." not in page.text
    assert page.tags.count("svg") == 10 and page.tables == [] and "means over" not in page.text
    assert "3 steps in 2 s; under way, or killed" in page.text
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')
    assert summary(tmp_path).steps == 3 and summary(tmp_path).stop is None
    journal.truncate(tmp_path, 3)
    journal.append(tmp_path, val_at(3, Course()))
    page = Page(report(tmp_path))
    assert page.tables[0][0] == ["", "frozen model", "best (step 3)", "last (step 3)"]
    assert page.tables[0][1][1] == "–"


def test_that_a_long_curve_is_thinned_is_said(tmp_path: Path) -> None:
    journal.append(tmp_path, *(step_at(n, Course()) for n in range(1, 902)))
    assert "(means over 4 steps)" in Page(report(tmp_path)).text


def test_where_a_training_stands(tmp_path: Path) -> None:
    recalls = {0: 0.3, 20: 0.5, 40: None, 60: 0.5, 80: 0.4}
    for step, recall in recalls.items():
        journal.append(tmp_path, val_at(step, Course()).model_copy(update={"recall_10": recall, "seconds": 2.0}))
    found = summary(tmp_path)
    assert found.frozen and found.best and found.last
    assert (found.frozen.step, found.best.step, found.last.step) == (0, 20, 80)
    assert found.steps == 80 and found.seconds == 10 and found.stop is None
    journal.append(tmp_path, Stop(step=80, reason="collapse: x"))
    assert summary(tmp_path).stop == "collapse: x"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("log.jsonl", "{}\n", "log.jsonl:1: "),
        ("samples.jsonl", "{}\n", "samples.jsonl:1: step: field required"),
        ("headroom.json", "{", "headroom.json: is not what `grapebench headroom --json` prints"),
        ("headroom.json", '{"raw": {}, "points": [1]}', "headroom.json: is not what"),
        ("headroom.json", '{"raw": {"R@1": "x"}, "points": []}', "headroom.json: is not what"),
        ("headroom.json", "[]", "headroom.json: is not what"),
    ],
)
def test_broken_files(finished: Path, name: str, content: str, said: str) -> None:
    (finished / name).write_text(content)
    with pytest.raises(UserError, match=re.escape(said)):
        report(finished)
    assert not (finished / "report.html").exists()


def test_a_folder_that_is_no_training(tmp_path: Path) -> None:
    for draw in (report, summary):
        with pytest.raises(UserError, match="is no training: neither config.toml nor log.jsonl is in it"):
            draw(tmp_path)
        with pytest.raises(UserError, match="no such folder"):
            draw(tmp_path / "none")
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(UserError, match="config.toml: is not UTF-8"):
        report(tmp_path)


def test_what_a_person_sees(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(finished)
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "Training cvlue: 120 steps in 1 min 58 s; finished"
    text = " ".join(out.split())
    best = summary(finished).best
    assert best is not None
    assert "frozen model" in text and f"(step {best.step}) (step 120)" in text
    assert re.search(r"R@10 +\d+\.\d% +\d+\.\d% +\d+\.\d%", out)
    assert "".join(out.split()).endswith(f"{finished}/report.html".replace(" ", ""))
    assert max(len(line) for line in out.splitlines()[:-1]) <= 80


def test_the_summary_for_a_program(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(finished, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["page"] == str(finished / "report.html") and Path(found["page"]).is_file()
    assert (found["steps"], found["stop"], found["frozen"]["step"]) == (120, "finished", 0)
    assert found["best"]["R@10"] >= found["last"]["R@10"] > found["frozen"]["R@10"]
    write(finished.parent / "young", Course(steps=0), reason=None)
    command(finished.parent / "young", json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["stop"] is None and found["best"] == found["last"] == found["frozen"]


def test_the_command(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "report", str(finished), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 120
    assert main(["train", "report", str(finished.parent)]) == 2
    error = capsys.readouterr().err
    assert "is no training" in error and error.count("\n") == 1
