"""Whatever runs there are, each performed once, by one of any number of processes."""

from __future__ import annotations

import gc
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from grapebench.cli import progress
from grapebench.errors import UserError
from grapebench.files import Busy, alone
from study import kept

if TYPE_CHECKING:
    from grapebench.evaluation.measure import Report

R = TypeVar("R", contravariant=True)


class Work(Protocol[R]):
    """How a run is done: a module such as `study.work`."""

    def key(self, run: R, /) -> str:
        """What it is kept under."""

    def title(self, run: R, /) -> str: ...

    def training_folder(self, run: R, out: Path, /) -> Path: ...

    def perform(self, run: R, out: Path, report: Report, /) -> dict[str, Any]:
        """Its record, as JSON. Raises Busy where another process makes what it needs."""


def run_all(runs: Sequence[R], work: Work[R], out: Path, keep: bool = False) -> int:
    """Perform every run that is not kept yet and that no other process performs; how many these were."""
    performed = 0
    left = len(runs) - len(kept.read(out).keys() & {work.key(run) for run in runs})
    print(f"{len(runs)} runs, {len(runs) - left} of them kept", file=sys.stderr)
    for number, run in enumerate(runs, start=1):
        if work.key(run) in kept.read(out):
            continue
        title = f"{number}/{len(runs)} {work.title(run)}"
        try:
            with alone(out / "running" / work.key(run), "studying"):
                if work.key(run) not in kept.read(out):  # the other has just finished it
                    print(title, file=sys.stderr)
                    with progress.staged(title) as report:
                        kept.append(out, work.perform(run, out, report))
                    performed += 1
                    if not keep:
                        shutil.rmtree(work.training_folder(run, out), ignore_errors=True)
        except Busy as error:
            print(f"{title}: {error}", file=sys.stderr)
        gc.collect()  # a trainer and its model hold on to each other
    return performed


def told(work: Callable[[], None], draw: Callable[[], str]) -> int:
    """Do the work, print what is drawn of it; the exit code."""
    try:
        work()
        print(draw(), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0
