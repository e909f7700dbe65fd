"""How long work shows itself on stderr: bars on a terminal, now and then a line anywhere else."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

EVERY = 30.0
"""Seconds between two lines of a log."""


@contextlib.contextmanager
def staged(label: str) -> Iterator[Report]:
    """A bar for each stage of a job that appears with the first report: a result that is there already needs none.

    Where stderr is no terminal (a log, a batch system) a line is written at most every `EVERY` seconds instead, so
    that what is quickly done says nothing.
    """
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    with contextlib.ExitStack() as stack:
        shown: Progress | None = None
        rows: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            nonlocal shown
            if shown is None:
                shown = stack.enter_context(_bars())
            if stage not in rows:
                rows[stage] = shown.add_task(f"{label}: {stage}", total=total)
            shown.update(rows[stage], completed=done, total=total)

        yield report


def _bars() -> Progress:
    """An empty set of bars that leaves nothing behind."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


@dataclass(frozen=True)
class _Begun:
    """When a stage was first heard of, and how much of it was done by then: a resumed one does not start at 0."""

    at: float
    done: int


def _lines(label: str) -> Report:
    stages: dict[str, _Begun] = {}
    last = time.monotonic()

    def report(stage: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        begun = stages.setdefault(stage, _Begun(now, done))
        if now - last < EVERY:
            return
        last = now
        left = ""
        if done > begun.done:
            seconds = (now - begun.at) / (done - begun.done) * (total - done)
            left = f", {timedelta(seconds=round(seconds))} left"
        print(f"{label}: {stage} {done:,}/{total:,}{left}", file=sys.stderr, flush=True)

    return report
