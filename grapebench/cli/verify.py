"""`grapebench verify`: whether results are true."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grapebench.leaderboard.verification import Findings


def verify(
    results: Annotated[
        list[str] | None, typer.Argument(metavar="RESULT…", help="Folders, ids or beginnings of ids.", show_default="")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All published results.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option("--results", help="Folder of published results.", show_default="leaderboard/results"),
    ] = None,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run each from nothing as well, rewriting included.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a result.")] = False,
) -> None:
    """Check results: recompute every figure, count ranks again, search again from the stored rewrites.

    Exit code 0: all are verified, as far as they could be checked, which is said. 1: something is wrong.
    """
    from grapebench.cli import progress
    from grapebench.errors import UserError
    from grapebench.leaderboard import store, verification
    from grapebench.paths import results_dir

    published = folder or store.published_dir()
    if everything == bool(results):
        raise UserError("what to verify?", fix="name results, or say --all")
    if everything and not published.is_dir():
        raise UserError("no such folder of results", file=published)
    stores = [published, results_dir()]
    # Every folder in its place, so that one whose result.json is no longer there is missed.
    folders = (
        sorted(path for path in published.glob("*/*/*/*/*") if path.is_dir() and not path.name.startswith("."))
        if everything
        else [store.resolve(name, stores) for name in results or ()]
    )
    wrong = 0
    with verification.opened(stores) as verifier:
        for place, one in enumerate(folders, 1):
            started = time.perf_counter()
            with progress.staged(f"{place}/{len(folders)} {one.name}") as report:
                found = verifier.verify(one, run=rerun, report=report)
            wrong += bool(found.problems)
            _print(found, stores, time.perf_counter() - started, json)
    if not json:
        said = f"{len(folders) - wrong:,} of {len(folders):,} results verified"
        print(f"{said}; tokens, times and hardware are what was said, and not checked", file=sys.stderr)
    if wrong:
        raise typer.Exit(1)


def _print(found: Findings, stores: list[Path], seconds: float, json: bool) -> None:
    if json:
        import json as writer

        told: dict[str, Any] = found.as_json() | {"seconds": round(seconds, 3)}
        print(writer.dumps(told), flush=True)
        return
    inside = next((root for root in stores if found.folder.is_relative_to(root)), None)
    name = found.folder if inside is None else found.folder.relative_to(inside)
    notes = [*found.checked]
    notes += [f"not checked: {'; '.join(found.unchecked)}"] if found.unchecked else []
    notes += [f"note: {'; '.join(found.remarks)}"] if found.remarks else []
    line = f"{'✗' if found.problems else '✓'} {name}" + (f"  {'. '.join(notes)}" if notes else "")
    print(printable(line), flush=True)
    for problem in found.problems:
        print(f"    {printable(problem)}", flush=True)


def printable(text: str) -> str:
    """A stranger's text for a terminal: control characters as they are written in code."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
