"""`grapebench train raqo`: what a retriever finds hard, learnt from what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grapebench.cli.asked import Data, StartModel, TrainingFolder, TrainRetriever, TrainSuite

_PARTS = ("data", "ccd", "qre", "pro")


def raqo(
    part: Annotated[
        str,
        typer.Argument(metavar="PART", help=f"{', '.join(_PARTS)}, or all: what is done, where it is not done yet."),
    ] = "all",
    task: Annotated[
        str | None, typer.Option(help="A task card's name or path.", show_default="the settings' own")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Settings in TOML; options stand instead of them. Without it and --task, those in --out stand."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as data.rounds=2 or pro.form=pro."),
    ] = None,
    suite: TrainSuite = None,
    retriever: TrainRetriever = None,
    rewriter: Annotated[
        str | None, typer.Option(help="The card that training starts from.", show_default="the settings' own")
    ] = None,
    model: StartModel = None,
    seed: Annotated[int | None, typer.Option(help="Of data, adapter and order.", show_default="0")] = None,
    data: Data = None,
    out: TrainingFolder = None,
) -> None:
    """Train a language model by RAQO: to name what is hard about a query, and to rewrite it; writes a card to run.

    Each part leaves its files in a folder of its own under --out. What is there already is not done again, and a
    process that was stopped goes on when the same command is given again.
    """
    from grapebench.cli import progress
    from grapebench.datasets import Place
    from grapebench.errors import UserError
    from grapebench.training import config as reading
    from grapebench.training.raqo import config as settings
    from grapebench.training.raqo import stages
    from grapebench.training.raqo.material import find

    if part not in (*_PARTS, "all"):
        raise UserError(f"unknown part {part!r}", fix=f"choose one of {', '.join(_PARTS)} and all")
    folder = None if out is None else out.expanduser()
    file = config
    if file is None and task is None and folder is not None and (folder / stages.CONFIG).is_file():
        file = folder / stages.CONFIG
    values: dict[str, Any] = {} if file is None else reading.read(file)
    given = {
        "task": task, "suite": suite, "retriever": retriever, "rewriter": rewriter, "model": model, "seed": seed,
    }  # fmt: skip
    values |= {key: value for key, value in given.items() if value is not None}
    for text in set_ or []:
        values = reading.merged(values, reading.setting(text))
    chosen = settings.fill(values, file)
    if part != "all" and part != "data" and part not in chosen.stages:
        raise UserError(f"{part} is none of the stages {', '.join(chosen.stages)}", file=file)
    material = find(chosen, None if data is None else Place.of(data.expanduser()))
    folder = folder or stages.folder_of(chosen, material)
    parts = ("data", *chosen.stages) if part == "all" else (part,)
    with progress.staged(f"{material.name} · {material.rewriter.name}") as report:
        found = stages.run(chosen, material, folder, parts, report)
    _print_figures(found)
    card = stages.card_of(material, folder)
    print(card if card.is_file() else folder)


def _print_figures(found: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not found:
        return
    columns = ("R@1", "R@10", "repetition", "unusable")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Val", no_wrap=True)
    for column in (*columns, "detected", "none", "as taught"):
        table.add_column(column, justify="right")
    for name, told in found.items():
        detection = told["detection"] or {}
        shares = [
            *(told[column] for column in columns),
            detection.get("readable"),
            detection.get("none"),
            told.get("taught"),
        ]
        table.add_row(name, *("–" if share is None else f"{share:.1%}" for share in shares))
    Console().print(table)
