"""How long work shows itself: bars on stderr, where that is a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def bar() -> Progress:
    """An empty set of bars that leaves nothing behind; use it as a context manager."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def staged(label: str) -> Iterator[Report]:
    """A bar for each stage of a job that appears with the first report: a result that is there already needs none."""
    with contextlib.ExitStack() as stack:
        shown: Progress | None = None
        rows: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            nonlocal shown
            if shown is None:
                shown = stack.enter_context(bar())
            if stage not in rows:
                rows[stage] = shown.add_task(f"{label}: {stage}", total=total)
            shown.update(rows[stage], completed=done, total=total)

        yield report
