"""`grapebench leaderboard build | publish`: the board in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Build the leaderboard and publish results into its folder."
)


@app.command()
def build(
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of results.", show_default="leaderboard/results of the checkout"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The Markdown file to write.", show_default="LEADERBOARD.md beside the folder of results"),
    ] = None,
) -> None:
    """Write LEADERBOARD.md from a folder of results; what is broken is named and left out, with exit code 1."""
    import os

    from grapebench import catalog, files
    from grapebench.errors import UserError
    from grapebench.leaderboard import board, markdown, references, store

    folder = results or store.published_dir()
    if not folder.is_dir():
        raise UserError("no such folder of results", file=folder)
    page = out or folder.parent / "LEADERBOARD.md"
    found, broken = store.find([folder])
    cards = {name: catalog.task_card(name).card for name in catalog.task_names()}
    start = page.parent.resolve()
    links = {one.result.id: Path(os.path.relpath(one.folder.resolve(), start)).as_posix() for one in found}
    # By name, so that results made anywhere, and before a card said so, are told to be references.
    known = {name for name in catalog.rewriter_names() if catalog.rewriter_card(name).card.reference}
    folders = {one.result.id: one.folder for one in found}
    tables, unusable = references.compared(board.tables(one.result for one in found), folders, known)
    for problem in broken:
        print(f"warning: left out: {problem}", file=sys.stderr)
    for problem in unusable:
        print(f"warning: no difference to a reference: {problem}", file=sys.stderr)
    files.write_text(page, markdown.page(tables, cards, links))
    unlabelled = sum(not one.result.labelled for one in found)
    aside = f"; {unlabelled} without public labels left out" if unlabelled else ""
    print(f"{len(found) - unlabelled} results in {len(tables)} tables{aside}", file=sys.stderr)
    print(page)
    if broken or unusable:
        raise typer.Exit(1)


@app.command()
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
