"""`grapebench leaderboard publish`: results into the folder of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def publish(
    results: Annotated[list[str], typer.Argument(metavar="RESULT…", help="Folders or ids of results.")],
    into: Annotated[
        Path | None,
        typer.Option(help="Folder of published results.", show_default="leaderboard/results of the checkout"),
    ] = None,
) -> None:
    """Copy results into the board's folder, without their run files (whose hashes stay in the result)."""
    from grapebench.leaderboard import store
    from grapebench.paths import results_dir

    board_folder = into or store.published_dir()
    folders = [store.resolve(result, [results_dir(), board_folder]) for result in results]
    for folder in folders:
        print(store.publish(folder, board_folder))
