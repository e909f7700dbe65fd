"""`grapebench leaderboard build | check`: LEADERBOARD.md from a folder of results, and whether it is what they say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grapebench.leaderboard.building import Board

Results = Annotated[
    Path | None, typer.Option(help="Folder of results.", show_default="leaderboard/results of the checkout")
]


def build(
    results: Results = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The Markdown file to write.", show_default="LEADERBOARD.md beside the folder of results"),
    ] = None,
) -> None:
    """Write LEADERBOARD.md from a folder of results; what is broken is named and left out, with exit code 1."""
    from grapebench import files

    board, path = _read(results, out)
    files.write_text(path, page_at(board, path))
    unlabelled = sum(not one.result.labelled for one in board.stored)
    aside = f"; {unlabelled} without public labels left out" if unlabelled else ""
    print(f"{len(board.stored) - unlabelled} results in {len(board.tables)} tables{aside}", file=sys.stderr)
    print(path)
    if board.problems:
        raise typer.Exit(1)


def check(
    results: Results = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The Markdown file to check.", show_default="LEADERBOARD.md beside the folder of results"),
    ] = None,
) -> None:
    """Say whether LEADERBOARD.md is what its results come to; exit code 1 where it is not, or a result is broken."""
    from grapebench.errors import UserError

    board, path = _read(results, out)
    if not path.is_file():
        raise UserError("no such page", file=path, fix=f"write it: {_command(results, out)}")
    wrong = _difference(path.read_bytes().decode("utf-8", "replace"), page_at(board, path))
    if wrong:
        print(f"{path}: {wrong}; write it anew: {_command(results, out)}")
    elif not board.problems:
        print(f"{path}: is what its {len(board.stored)} results come to")
    if wrong or board.problems:
        raise typer.Exit(1)


def _read(results: Path | None, out: Path | None) -> tuple[Board, Path]:
    """The board and where its page is; what is broken is told."""
    from grapebench.leaderboard import building, store

    folder = results or store.published_dir()
    board = building.read(folder)
    for problem in board.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return board, out or folder.parent / "LEADERBOARD.md"


def require_current(board: Board, results: Path | None) -> None:
    """Raise UserError where LEADERBOARD.md beside the folder of results is not what they come to."""
    from grapebench.errors import UserError
    from grapebench.leaderboard import store

    path = (results or store.published_dir()).parent / "LEADERBOARD.md"
    there = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    if wrong := _difference(there, page_at(board, path)):
        raise UserError(f"the page is not current: {wrong}", file=path, fix=f"write it anew: {_command(results, None)}")


def page_at(board: Board, path: Path) -> str:
    """The page as it reads at `path`: its links lead from there."""
    import os

    from grapebench import catalog
    from grapebench.leaderboard import markdown

    start = path.parent.resolve()

    def link(target: Path) -> str:
        return Path(os.path.relpath(target.resolve(), start)).as_posix()

    # The pages of other boards are read where there is no such folder beside them.
    own = start.is_relative_to((catalog.folder() / "leaderboard").resolve())
    links = {name: link(folder) for name, folder in board.folders.items()}
    return markdown.page(board, links, link(catalog.folder() / "docs/leaderboard/reading.md") if own else None)


def _difference(there: str, wanted: str) -> str:
    """Where two pages first differ, in words; empty where they do not."""
    if there == wanted:
        return ""
    old, new = there.splitlines(), wanted.splitlines()
    number = next((n for n, pair in enumerate(zip(old, new, strict=False), 1) if pair[0] != pair[1]), None)
    if number is not None:
        return f"line {number} is not what the results come to"
    return f"it has {len(old)} lines, and its results come to {len(new)}" if len(old) != len(new) else "its end differs"


def _command(results: Path | None, out: Path | None) -> str:
    import shlex

    options = [*(["--results", str(results)] if results else []), *(["--out", str(out)] if out else [])]
    return shlex.join(["grapebench", "leaderboard", "build", *options])
