"""`grapebench score`: a run file against the labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli.asked import Data, Languages, Protocol

if TYPE_CHECKING:
    from grapebench.evaluation.score import Score


def score(
    task: Annotated[str, typer.Option(help="Name of a task card, or the path of one.")],
    run: Annotated[Path, typer.Option(help="The TREC run file (six columns), plain or gzip.")],
    suite: Annotated[str, typer.Option(help="mini, or full for the real benchmark.")] = "mini",
    data: Data = None,
    split: Annotated[str | None, typer.Option(help="The split; by default the one the task card names.")] = None,
    protocol: Protocol = None,
    languages: Languages = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Score an existing TREC run against annotation files; no images or models are needed."""
    from grapebench import catalog
    from grapebench.cli import asked
    from grapebench.evaluation.score import score_run
    from grapebench.evaluation.trec import read_run

    card = catalog.task_card(task).card
    loaded = asked.load(card, suite, split, data, protocol, languages, images=False)
    if languages is not None:
        loaded = asked.among(loaded, asked.load(card, suite, split, data, protocol, None, images=False))
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

    from grapebench.evaluation.protocols import PROTOCOLS

    by = PROTOCOLS[found.protocol].by
    headline = [key for key in found.metrics if "/" not in key]
    parts = list(dict.fromkeys(key.partition("/")[2] for key in found.metrics if "/" in key))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    if by is not None:
        table.add_column(by, no_wrap=True)
        for key in headline:
            table.add_column(key, justify="right", no_wrap=True)
        for part in ("", *parts):
            suffix = f"/{part}" if part else ""
            values = (_shown(key, found.metrics.get(key + suffix)) for key in headline)
            table.add_row(part or {"language": "mean", "category": "all"}[by], *values)
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
    """Recall and mean average precision in percent, the rest as it is."""
    if value is None:
        return ""
    if key.startswith(("R", "mAP")):
        return f"{100 * value:.2f}"
    return f"{value:g}" if "rank" in key else f"{value:.4f}"


def _remarks(found: Score) -> list[str]:
    sizes = f"{found.queries:,} queries, {found.gallery:,} images"
    remarks = [f"protocol {found.protocol}; R@K and mAP in percent; {sizes}"]
    if "mAP" in found.metrics:
        remarks.append("images that the run leaves out count as never found")
    if found.left_out:
        remarks.append(f"{', '.join(found.left_out)}: left out, a run from text to image does not say them")
    counts = (
        (found.queries_without_lines, "queries have no line in the run: each is a miss"),
        (found.queries_without_positive, "queries have lines but none of their positives: each is a miss"),
        (found.queries_tied, "queries have ties with their positive: the others are ranked above it"),
        (found.unasked_lines, "lines are of queries that are not asked: left out"),
        (found.excluded_lines, "lines name an image excluded by the protocol: left out"),
    )
    return remarks + [f"{number:,} {what}" for number, what in counts if number]
