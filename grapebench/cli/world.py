"""`grapebench world`: the miniature's own workshop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Rebuild and examine the miniature's two models.")

_ONLY = typer.Option("--only", help="mini-clip or mini-lm; without it, both.")


@app.command()
def train(
    only: Annotated[str | None, _ONLY] = None,
    out: Annotated[Path | None, typer.Option(help="Where the models are written; default: baselines/models.")] = None,
) -> None:
    """Train mini-clip and mini-lm from nothing. A stopped training goes on where it was."""
    from grapebench.cli import progress
    from grapebench.world.training import MODELS, build

    with progress.staged("training") as report:
        build(list(MODELS) if only is None else [only], out, report)


@app.command()
def check(
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the tables.")] = False,
) -> None:
    """Measure what the miniature promises: the retriever on its own captions, the facts the language model keeps."""
    from grapebench.world.check import measure, show

    show(measure(), as_json=json)
