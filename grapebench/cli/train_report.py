"""`grapebench train report`: a training on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grapebench.training.report import Summary


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A training's folder, finished or not.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Draw a training as one page, report.html in its folder, and print where it stands."""
    from grapebench.training import report as drawing

    folder = folder.expanduser()
    found = drawing.summary(folder)
    page = drawing.report(folder)
    if json:
        import json as text

        print(text.dumps(found.as_json() | {"page": str(page)}))
    else:
        _print_table(found)
        print(page)


def _print_table(found: Summary) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(f"Training {found.folder.resolve().name}: {found.state()}", style="italic"))
    if not found.rows():
        console.print(Text("No validation yet.", style="dim italic"))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Val", no_wrap=True)
    for column in found.columns():
        table.add_column(Text(column.replace(" (", "\n(")), justify="right", no_wrap=True)
    for name, values in found.rows():
        table.add_row(name, *values)
    console.print(table)
