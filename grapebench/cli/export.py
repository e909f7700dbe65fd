"""`grapebench export`: results in the forms that other tools take."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli import asked
from grapebench.cli.asked import Data

if TYPE_CHECKING:
    from grapebench.leaderboard.results import Result as Record

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Write results in the forms that other tools take.")

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


@app.command("trec")
def trec(
    result: Annotated[str, typer.Argument(help="A result's folder, its id or its beginning; with --task a rewriter.")],
    out: Out = Path(),
    task: asked.NamedTask = None,
    suite: asked.NamedSuite = "mini",
    data: Data = None,
) -> None:
    """Write a run and its qrels for trec_eval.

    run.trec, qrels.trec and, where there are look-alikes, subset.trec. Success@K is the result's R@K.
    """
    import sys

    from grapebench.export import trec
    from grapebench.export.source import open_source

    (folder,) = asked.folders([result], task, suite)
    source = open_source(str(folder), None, data)
    paths, deeper = trec.write(source, out.expanduser())
    if deeper:
        print(
            f"{deeper:,} of {source.result.queries:,} queries have their right image beyond the end of the run: there "
            "trec_eval counts a reciprocal rank of 0, where MRR counts 1/rank",
            file=sys.stderr,
        )
    for path in paths:
        print(path)


@app.command("table")
def table(
    results: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RESULT…]", help="Folders or ids of results.", show_default="all of the board"),
    ] = None,
    format: Annotated[str, typer.Option(help="csv, parquet or latex.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="standard output")] = None,
    task: asked.NamedTask = None,
    suite: asked.NamedSuite = "mini",
    intervals: Annotated[bool, typer.Option("--intervals", help="latex: with the 95 % intervals.")] = False,
) -> None:
    """Write figures as a table for pandas, a spreadsheet or a paper.

    csv and parquet have a line for each figure of each result, latex has the board's own tables.
    """
    import sys

    from grapebench import files
    from grapebench.errors import UserError
    from grapebench.export import latex
    from grapebench.export import table as tidy
    from grapebench.leaderboard.board import tables

    if format not in ("csv", "parquet", "latex"):
        raise UserError(f"unknown format {format!r}", fix="there is: csv, parquet, latex")
    if intervals and format != "latex":
        raise UserError("--intervals is for latex", fix="the other formats have them anyway")
    if format == "parquet" and out is None:
        raise UserError("a parquet file is not for a terminal", fix="say where it is written: --out FILE")
    found = _results(results or [], task, suite)
    if format == "latex":
        content = latex.page(tables(found), intervals).encode()
    else:
        lines = tidy.tidy(found)
        content = tidy.csv(lines) if format == "csv" else tidy.parquet(lines)
    if out is None:
        sys.stdout.write(content.decode())
    else:
        files.write_bytes(out.expanduser(), content)
        print(out)


@app.command("model-card")
def model_card(
    results: Annotated[list[str], typer.Argument(metavar="RESULT…", help="As in `grapebench export table`.")],
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="standard output")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name.", show_default="the rewriter's")] = None,
    task: asked.NamedTask = None,
    suite: asked.NamedSuite = "mini",
) -> None:
    """Write the head of a model card for the Hugging Face hub.

    Its model-index holds the figures of one rewriter on any number of tasks, as fractions, mean over seeds.
    """
    from grapebench import files
    from grapebench.export.model_card import metadata

    text = metadata(_results(results, task, suite), name)
    if out is None:
        print(text, end="")
    else:
        files.write_text(out.expanduser(), text)
        print(out)


def _results(named: list[str], task: str | None, suite: str) -> list[Record]:
    """Those that are named, each once, or all that are published. Broken ones are an error."""
    from grapebench.leaderboard import store

    if named:
        found = {one.id: one for one in (store.load(folder) for folder in asked.folders(named, task, suite))}
        return list(found.values())
    stored, broken = store.find([store.published_dir()])
    if broken:
        raise broken[0]
    return [one.result for one in stored]


def _export(scorer: ModuleType, result: str, out: Path, data: Path | None) -> None:
    import sys

    from grapebench.export.source import open_source, write

    source = open_source(result, scorer.DATASET, data)
    paths = write(scorer.submission(source), out.expanduser(), scorer.MOST_BYTES)
    if source.result.suite == "mini":
        print("warning: this is a result of the miniature, which the scorer does not know", file=sys.stderr)
    for path in paths:
        print(path)
