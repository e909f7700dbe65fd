from __future__ import annotations

import io
import sys

import pytest

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
