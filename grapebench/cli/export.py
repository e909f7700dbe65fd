"""`grapebench export`: a result in the form that a benchmark's own scorer takes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from grapebench.cli.asked import Data

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Write a result in the form that a benchmark's own scorer takes."
)

Result = Annotated[str, typer.Argument(help="A result's folder, its id, or the beginning of its id.")]
Out = Annotated[Path, typer.Option(help="Where the files are written.", show_default="the current folder")]


@app.command("cirr-server")
def cirr_server(result: Result, out: Out = Path(), data: Data = None) -> None:
    """Write the two files that CIRR's test server takes.

    recall.json and recall_subset.json: the best images for each query of test1, whose labels the server alone has.
    """
    from grapebench.export import cirr_server

    _export(cirr_server, result, out, data)


@app.command("cvlue")
def cvlue(result: Result, out: Out = Path(), data: Data = None) -> None:
    """Write the two files that CVLUE's scorer takes.

    t2i_submit.json, the best images for each caption, and i2t_submit.json, the best captions for each image.
    """
    from grapebench.export import cvlue

    _export(cvlue, result, out, data)


def _export(scorer: ModuleType, result: str, out: Path, data: Path | None) -> None:
    import sys

    from grapebench.export.source import open_source, write

    source = open_source(result, scorer.DATASET, data)
    paths = write(scorer.submission(source), out.expanduser(), scorer.MOST_BYTES)
    if source.result.suite == "mini":
        print("warning: this is a result of the miniature, which the scorer does not know", file=sys.stderr)
    for path in paths:
        print(path)
