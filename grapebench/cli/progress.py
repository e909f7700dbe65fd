"""How long work shows itself on stderr: bars on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from grapebench import activity

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

EVERY = 30.0
"""Seconds between two lines of a log."""
APART = 1.0
"""Seconds: what is done within so short a time may have come together."""
_WAITING = ""
"""The row of what comes before the stages."""
_TICK = 1.0
"""Seconds after which a job that has said nothing is looked at."""


@dataclass
class Pace:
    """How fast a stage goes.

    Answers of a batch come together, after the time that all of them took: nothing can be said before a second batch is
    whole, and while one is coming the last whole one counts. What was done when the stage began tells nothing, nor does
    the first batch, before which a model may have been loaded.
    """

    done: int
    """At the latest report."""
    _since: float | None = None
    """When the batch that is coming began to come."""
    _at: float = 0.0
    """When the latest of it came."""
    _first: tuple[float, int] | None = None
    _last: tuple[float, int] | None = None
    """When the first and the latest whole batch had come, and how much was done then."""

    def add(self, now: float, done: int) -> None:
        if done <= self.done:
            return
        if self._since is not None and now - self._since >= APART:
            self._close()
        self._since = now if self._since is None else self._since
        self._at, self.done = now, done

    def left(self, now: float, total: int) -> float | None:
        """Seconds until all is done; None where nothing can be said."""
        if self._since is not None and now - self._at >= APART:
            self._close()
        if self._first is None or self._last is None or self._last[0] <= self._first[0]:
            return None
        (first, before), (last, done) = self._first, self._last
        return max((last - first) / (done - before) * (total - done) - (now - last), 0.0)

    def _close(self) -> None:
        self._last = self._at, self.done
        self._first = self._first or self._last
        self._since = None


@contextlib.contextmanager
def staged(label: str) -> Iterator[Report]:
    """A bar for each stage of a job that appears with the first report: a result that is there already needs none.

    Where stderr is no terminal (a log, a batch system) a line is written at most every `EVERY` seconds instead, so
    that what is quickly done says nothing; and one is written when nothing was reported for so long. What the process
    says it is busy with (`grapebench.activity`) is told beside.
    """
    shown = _Bars(label) if sys.stderr.isatty() else _Lines(label)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_TICK):
            shown.look()

    watching = threading.Thread(target=look, name="progress", daemon=True)
    watching.start()
    try:
        yield shown.report
    finally:
        ended.set()
        watching.join()
        shown.close()


class _Lines:
    """A line now and then."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.stage: tuple[str, int] | None = None
        """What was reported last, and how much there is of it."""
        self.paces: dict[str, Pace] = {}
        self.last = time.monotonic()
        self.lock = threading.Lock()

    def report(self, stage: str, done: int, total: int) -> None:
        with self.lock:
            self.stage = stage, total
            _add(self.paces, stage, done)
            self._say()

    def look(self) -> None:
        with self.lock:
            self._say()

    def close(self) -> None:
        pass

    def _say(self) -> None:
        now, doing = time.monotonic(), activity.current()
        if now - self.last < EVERY or not (doing or self.stage):
            return
        self.last = now
        told = f"{self.label}: {doing}"
        if self.stage is not None:
            (stage, total), left = self.stage, self.paces[self.stage[0]].left(now, self.stage[1])
            told = f"{self.label}: {stage} {self.paces[stage].done:,}/{total:,}"
            told += f", {doing}" if doing else ""
            told += f", {timedelta(seconds=round(left))} left" if left is not None else ""
        print(told, file=sys.stderr, flush=True)


class _Bars:
    """A bar for each stage, which leave nothing behind."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.shown: Progress | None = None
        self.rows: dict[str, TaskID] = {}
        self.paces: dict[str, Pace] = {}
        self.lock = threading.Lock()

    def report(self, stage: str, done: int, total: int) -> None:
        with self.lock:
            shown = self._opened()
            pace = _add(self.paces, stage, done)
            if stage not in self.rows:
                self.rows[stage] = shown.add_task(f"{self.label}: {stage}", total=total, pace=pace)
            shown.update(self.rows[stage], completed=done, total=total, pace=pace)
            if _WAITING in self.rows:
                shown.remove_task(self.rows.pop(_WAITING))

    def look(self) -> None:
        """Before anything is counted, what the process is busy with has a row of its own."""
        with self.lock:
            if not self.rows and activity.current():
                self.rows[_WAITING] = self._opened().add_task(self.label, total=None, pace=Pace(0))

    def close(self) -> None:
        if self.shown is not None:
            self.shown.stop()

    def _opened(self) -> Progress:
        if self.shown is None:
            self.shown = _bars()
            self.shown.start()
        return self.shown


def _add(paces: dict[str, Pace], stage: str, done: int) -> Pace:
    """Take a report in; a stage of which less is done than before has begun anew, with other things."""
    if stage not in paces or done < paces[stage].done:
        paces[stage] = Pace(done)
    paces[stage].add(time.monotonic(), done)
    return paces[stage]


def _bars() -> Progress:
    """An empty set of bars that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Left(ProgressColumn):
        """The time that is left where something can be said of it, and what the process is busy with."""

        def render(self, task: Task) -> Text:
            seconds = (
                None
                if task.finished or task.total is None
                else task.fields["pace"].left(time.monotonic(), int(task.total))
            )
            told = [] if seconds is None else [str(timedelta(seconds=round(seconds)))]
            told += [activity.current()] if not task.finished else []
            return Text(" ".join(told))

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Left())
    return Progress(*columns, console=Console(stderr=True), transient=True)
