"""`grapebench leaderboard site`: the board as a folder of pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def site(
    results: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of results; may be repeated.", show_default="leaderboard/results of the checkout"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("leaderboard-site"),
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures",
            help="Also the pictures and queries of real benchmarks whose files you have; mind their licences.",
        ),
    ] = False,
) -> None:
    """Write the board as pages that open in a browser: tables, plots, and every query before and after rewriting."""
    from grapebench.cli import progress
    from grapebench.leaderboard import store
    from grapebench.leaderboard.site import build
    from grapebench.paths import results_dir

    with progress.staged("site") as report:
        built = build(results or [store.published_dir()], out, results_dir(), pictures=pictures, report=report)
    for problem in built.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if built.private:
        print(
            f"warning: the site holds queries' texts or pictures of {', '.join(built.private)}: look at the licences "
            "before you pass it on",
            file=sys.stderr,
        )
    megabytes = built.size / 2**20
    print(f"{built.results} results, {built.files:,} files, {megabytes:,.1f} MiB", file=sys.stderr)
    print(built.folder / "index.html")
    if built.problems:
        raise typer.Exit(1)
