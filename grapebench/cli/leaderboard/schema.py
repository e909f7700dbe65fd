"""`grapebench leaderboard schema`: the JSON Schema of result.json, for tools that read results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def schema(
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write.", show_default="leaderboard/result.schema.json of the checkout"),
    ] = None,
) -> None:
    """Write the JSON Schema of result.json, with a sentence on each field."""
    from grapebench import files
    from grapebench.leaderboard import results, store

    path = out or store.published_dir().parent / results.SCHEMA_FILE
    files.write_text(path, results.schema_text())
    print(path)
