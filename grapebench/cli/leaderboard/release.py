"""`grapebench leaderboard release X.Y`: the board as it stands, kept under a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli.leaderboard.build import Results

if TYPE_CHECKING:
    from pathlib import Path

    from grapebench.leaderboard.building import Board
    from grapebench.leaderboard.frozen import Release


def release(
    version: Annotated[str, typer.Argument(metavar="X.Y", help="Its number, newer than the last one's.")],
    results: Results = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was frozen instead of where it lies.")] = False,
) -> None:
    """Freeze the board: versions/X.Y.json and the page as it was, versions/X.Y.md, beside the folder of results."""
    from grapebench.cli.leaderboard.build import page_at, require_current
    from grapebench.leaderboard import frozen, versions

    versions.number(version)
    board, folder = read(results)
    found = freeze(version, board)
    versions.check(version, found, folder)
    require_current(board, results)
    page = versions.titled(page_at(board, folder / f"{version}.md"), found)
    paths = versions.write(folder, found, page)
    if json:
        print(frozen.dump(found), end="")
    else:
        for path in paths:
            print(path)


def read(results: Path | None) -> tuple[Board, Path]:
    """The board and the folder of its releases. Raises UserError where a result is broken."""
    from grapebench.errors import UserError
    from grapebench.leaderboard import building, store

    folder = results or store.published_dir()
    board = building.read(folder)
    if board.problems:
        more = f" (and {len(board.problems) - 1} more)" if len(board.problems) > 1 else ""
        raise UserError(f"the board has broken results: {board.problems[0]}{more}", fix="take them out, or mend them")
    return board, folder.parent / "versions"


def freeze(version: str, board: Board) -> Release:
    from datetime import UTC, datetime

    from grapebench.evaluation.environment import environment
    from grapebench.leaderboard import frozen
    from grapebench.leaderboard.results import BENCHMARK

    revisions = {name: card.revision for name, card in board.cards.items()}
    today = datetime.now(UTC).date().isoformat()
    return frozen.freeze(version, board.tables, revisions, BENCHMARK, environment(), today)
