from __future__ import annotations

import io
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grapebench import activity
from grapebench.cli import progress


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(monkeypatch)
    with progress.staged("cirr · llm") as report:
        for done in range(0, 5_001, 50):  # 2 seconds each, from the 100th of an interrupted run
            report("rewriting", done, 5_000) if done >= 100 else None
            clock.now += 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "cirr · llm: rewriting 750/5,000, 0:02:50 left"
    assert len(lines) == 6
    assert lines[-1] == "cirr · llm: rewriting 4,500/5,000, 0:00:20 left"


def test_what_is_quickly_done_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(monkeypatch)
    for _ in range(5):
        with progress.staged("cirr · identity") as report:
            report("encoding", 0, 10)
            clock.now += progress.EVERY - 1
            report("encoding", 10, 10)
    assert capsys.readouterr().err == ""


def test_a_stage_that_has_just_begun_promises_no_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    with progress.staged("site") as report:
        clock.now += progress.EVERY
        report("drawing", 3, 7)
    assert capsys.readouterr().err == "site: drawing 3/7\n"


def test_a_terminal_gets_bars_that_leave_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.staged("cirr [test] · llm") as report:
        report("rewriting", 3, 10)
        report("searching", 0, 10)
    shown = terminal.getvalue()
    assert "cirr [test] · llm: rewriting" in shown and "3/10" in shown and "cirr [test] · llm: searching" in shown
    assert shown.endswith("\x1b[2K")  # the lines of the bars are erased


def test_a_terminal_shows_nothing_where_nothing_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.staged("cirr · llm"):
        pass
    assert terminal.getvalue() == ""


def test_answers_that_came_together_promise_no_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """100 answers after 280 seconds, most of which went into loading the model, then 100 every 50 seconds."""
    clock = Clock(monkeypatch)
    with progress.staged("cirr · llm") as report:
        report("rewriting", 0, 500)
        clock.now += 280
        for batch in range(3):
            for done in range(1, 101):
                report("rewriting", 100 * batch + done, 500)
                clock.now += 0.001
            clock.now += 50
    assert capsys.readouterr().err.splitlines() == [
        "cirr · llm: rewriting 1/500",
        "cirr · llm: rewriting 101/500",
        # 200 had come when the third batch began, at 100 in 50 seconds: 150 seconds, of which 50 are over.
        "cirr · llm: rewriting 201/500, 0:01:40 left",
    ]


def test_silence_is_broken_by_what_the_process_is_busy_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    shown = progress._Lines("cirr · llm")
    with activity.during("reading the data"):
        shown.look()
        clock.now += progress.EVERY
        shown.look()
    shown.report("rewriting", 0, 1_020)
    with activity.during("loading the model"):
        for _ in range(60):
            clock.now += 1
            shown.look()
    assert capsys.readouterr().err.splitlines() == [
        "cirr · llm: reading the data",
        "cirr · llm: rewriting 0/1,020, loading the model",
        "cirr · llm: rewriting 0/1,020, loading the model",
    ]
    assert activity.current() == ""


def test_somebody_looks_while_a_job_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(progress, "_TICK", 0.01)
    with progress.staged("cirr · llm"), activity.during("loading the model"):
        time.sleep(0.2)
    assert "cirr · llm: loading the model" in capsys.readouterr().err.splitlines()


def test_a_terminal_shows_what_the_process_is_busy_with(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_TICK", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.staged("cirr"), activity.during("reading the data"):
        time.sleep(0.3)
    assert "cirr" in terminal.getvalue() and "reading the data" in terminal.getvalue()


@given(batch=st.integers(1, 50), seconds=st.integers(2, 100), wait=st.integers(0, 1_000), whole=st.integers(2, 9))
def test_the_time_left_is_that_of_whole_batches(batch: int, seconds: int, wait: int, whole: int) -> None:
    """However long the first batch takes, and however large batches are: after each, what the others will take."""
    pace, now = progress.Pace(0), float(wait)
    for number in range(whole):
        for one in range(batch):
            pace.add(now, number * batch + one + 1)
        now += seconds
        left = pace.left(now, whole * batch)
        if number == 0:
            assert left is None
        else:
            assert left == pytest.approx(max((whole - number - 2) * seconds, 0))


def test_a_stage_that_begins_anew_is_counted_from_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Captions of one split after those of another: `6,000/100` would be neither's."""
    clock = Clock(monkeypatch)
    with progress.staged("multi · llm") as report:
        report("captioning", 6_000, 6_000)
        report("captioning", 0, 100)
        clock.now += progress.EVERY
        report("captioning", 40, 100)
    assert capsys.readouterr().err == "multi · llm: captioning 40/100\n"
