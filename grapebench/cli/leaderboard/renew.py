"""`grapebench leaderboard renew`: published rows made again after the rules, the data, a card or a model changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli.leaderboard.build import Results

if TYPE_CHECKING:
    from grapebench.leaderboard.renewal import Row


def renew(
    results: Results = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only rows of this task; may be repeated.", show_default="all")
    ] = None,
    rewriter: Annotated[
        list[str] | None, typer.Option(help="Only rows of this rewriter; may be repeated.", show_default="all")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where results are made.", show_default="the user's data folder, or under GRAPEBENCH_HOME"),
    ] = None,
) -> None:
    """Run each published row's command and put what it comes to in the row's place.

    A row that comes to the same result stays as it is; the same command goes on after a stop. Rows that cannot be made
    here are named and left, with exit code 1.
    """
    from grapebench.leaderboard import renewal, store
    from grapebench.paths import results_dir

    board, made = results or store.published_dir(), (out or results_dir()).expanduser()
    rows, refused = renewal.rows(board)
    for problem in refused:
        print(f"warning: left as it is: {problem}", file=sys.stderr)
    chosen = [row for row in rows if _wanted(row, "--task", task) and _wanted(row, "--rewriter", rewriter)]
    failed = 0
    for number, row in enumerate(chosen, 1):
        folder = _made_again(row, made)
        if folder is None:
            failed += 1
            print(f"warning: left as it is: {row.folder}", file=sys.stderr)
            continue
        goal = renewal.replace(row, folder, board)
        print(f"{number}/{len(chosen)} {goal.relative_to(board)}{'' if goal == row.folder else ' is new'}", flush=True)
    if failed or refused:
        raise typer.Exit(1)


def _wanted(row: Row, option: str, names: list[str] | None) -> bool:
    return not names or row.value(option) in names


def _made_again(row: Row, out: Path) -> Path | None:
    """The folder of the result that the row's command comes to now; None where it fails, as it has said."""
    import contextlib
    import io
    import json

    from grapebench.cli import main
    from grapebench.leaderboard import store

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main.main([*row.arguments, "--json", "--out", str(out)])
    if code == main.INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        return None
    told = json.loads(printed.getvalue())
    return store.folder_of(out, *(told[name] for name in ("suite", "task", "retriever", "rewriter", "id")))
