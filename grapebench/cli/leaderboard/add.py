"""`grapebench leaderboard add`: a result that was made elsewhere, verified and put among the published ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def add(
    folder: Annotated[Path, typer.Argument(help="The result's folder.")],
    by: Annotated[
        str | None, typer.Option(help="Who submits it, as the board is to name them.", show_default="nobody is named")
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(help="Folder of published results.", show_default="leaderboard/results of the checkout"),
    ] = None,
) -> None:
    """Verify a result, searching again from its rewrites, and copy it into the board's folder.

    Exit code 1: something is wrong with it, and nothing is written.
    """
    from grapebench.cli import progress
    from grapebench.cli.verify import printable
    from grapebench.errors import UserError
    from grapebench.leaderboard import attribution, store, verification

    board = into or store.published_dir()
    if by is not None:
        attribution.text(by)
    result = store.load(folder)
    goal = store.folder_of(board, result.suite, result.task, result.retriever.name, result.rewriter.name, result.id)
    if goal.exists():
        raise UserError("this result stands there already", file=goal)
    with verification.opened([]) as verifier, progress.staged(result.id) as report:
        found = verifier.verify(folder, search="always", report=report)
    for problem in found.problems:
        print(f"error: {printable(problem)}", file=sys.stderr)
    if found.problems:
        print(f"{len(found.problems)} problems: nothing was added", file=sys.stderr)
        raise typer.Exit(1)
    for kind, notes in (("checked", found.checked), ("not checked", found.unchecked), ("note", found.remarks)):
        for note in notes:
            print(f"{kind}: {printable(note)}", file=sys.stderr)
    print(store.publish(folder, board, by))
