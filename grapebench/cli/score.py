"""`grapebench score`: a run file against the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grapebench.evaluation.score import Score


def score(
    task: Annotated[str, typer.Option(help="Name of a task card, or the path of one.")],
    run: Annotated[Path, typer.Option(help="The TREC run file (six columns), plain or gzip.")],
    suite: Annotated[str, typer.Option(help="mini, or full for the real benchmark.")] = "mini",
    data: Annotated[Path | None, typer.Option(help="Full suite: the folder with the official files.")] = None,
    split: Annotated[str | None, typer.Option(help="The split; by default the one the task card names.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Score an existing TREC run against annotation files; no images or models are needed."""
    from grapebench import catalog
    from grapebench.datasets import load_task
    from grapebench.evaluation.score import score_run
    from grapebench.evaluation.trec import read_run

    loaded = load_task(catalog.task_card(task).card, suite, split, data, images=False)
    found = score_run(loaded, read_run(run))
    if json:
        _print_json(found, run)
    else:
        _print_table(found, run)


def _print_json(found: Score, run: Path) -> None:
    import dataclasses
    import json

    print(json.dumps({**dataclasses.asdict(found), "run": str(run)}))


def _print_table(found: Score, run: Path) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    headline = [key for key in found.metrics if "/" not in key]
    languages = list(dict.fromkeys(key.partition("/")[2] for key in found.metrics if "/" in key))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    if languages:
        table.add_column("language", no_wrap=True)
        for key in headline:
            table.add_column(key, justify="right", no_wrap=True)
        for language in ("", *languages):
            suffix = f"/{language}" if language else ""
            values = (_shown(key, found.metrics.get(key + suffix)) for key in headline)
            table.add_row(language or "mean", *values)
    else:
        table.add_column("measure", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        for key in headline:
            table.add_row(key, _shown(key, found.metrics[key]))
    console = Console()
    # Without markup, so that brackets in a path stay what they are.
    console.print(f"{found.task} {found.split} ({found.suite}): {run}", markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    console.print("\n".join(_remarks(found)), markup=False, highlight=False, soft_wrap=True)


def _shown(key: str, value: float | None) -> str:
    """Recall in percent, the rest as it is."""
    if value is None:
        return ""
    if key.startswith("R"):
        return f"{100 * value:.2f}"
    return f"{value:g}" if "rank" in key else f"{value:.4f}"


def _remarks(found: Score) -> list[str]:
    remarks = [f"recall in percent; {found.queries:,} queries, {found.gallery:,} images"]
    counts = (
        (found.queries_without_lines, "queries have no line in the run: each is a miss"),
        (found.queries_without_positive, "queries have lines but none of their positives: each is a miss"),
        (found.queries_tied, "queries have ties with their positive: the others are ranked above it"),
        (found.excluded_lines, "lines name an image excluded by the protocol: left out"),
    )
    return remarks + [f"{number:,} {what}" for number, what in counts if number]
