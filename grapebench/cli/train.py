"""`grapebench train`: rewriters that learn from where their rewrites find the right images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from grapebench.cli import train_raqo, train_report
from grapebench.cli.asked import Data, StartModel, TrainingFolder, TrainRetriever, TrainSuite

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Train a rewriter, and look at a training.")
app.command()(train_report.report)
app.command()(train_raqo.raqo)

_OWN = "the settings' own"


@app.command()
def grape(
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task card's name or path; several are trained on together.", show_default=_OWN),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings in TOML; options stand instead of them.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as lora.r=8 or loss=dr_grpo."),
    ] = None,
    suite: TrainSuite = None,
    retriever: TrainRetriever = None,
    rewriter: Annotated[
        str | None, typer.Option(help="The card that training starts from.", show_default="llm")
    ] = None,
    model: StartModel = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(help="A reward and, if wanted, its weight: rank-log, ndcg=0.5.", show_default="rank-linear"),
    ] = None,
    pool: Annotated[
        str | None, typer.Option(help="corpus, batch, or so many images of the corpus.", show_default="corpus")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.", show_default=_OWN)] = None,
    seed: Annotated[int | None, typer.Option(help="Of data order and sampling.", show_default="0")] = None,
    data: Data = None,
    out: TrainingFolder = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what is in --out, by the settings that are there.")
    ] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard too.")] = False,
) -> None:
    """Train a language model by GRPO to rewrite queries so that they find their images; writes a card to run.

    A training that was stopped goes on from its last checkpoint when the same command is given again.
    """
    from grapebench.cli import progress
    from grapebench.datasets import Place
    from grapebench.errors import UserError
    from grapebench.training import config as settings
    from grapebench.training import grape as training
    from grapebench.training import material

    folder = None if out is None else out.expanduser()
    values: dict[str, Any] = {} if config is None else settings.read(config)
    if resume:
        if folder is None or not (folder / training.CONFIG).is_file():
            raise UserError("--resume: there is no training to go on with", file=folder, fix="name its folder by --out")
        values = settings.merged(settings.read(folder / training.CONFIG), values)
    given = {
        "task": task or None, "suite": suite, "retriever": retriever, "rewriter": rewriter, "model": model,
        "steps": steps, "seed": seed, "pool": int(pool) if pool is not None and pool.isdecimal() else pool,
        "tensorboard": tensorboard or None,
    }  # fmt: skip
    values |= {key: value for key, value in given.items() if value is not None}
    if reward:
        # Those of the file are not wanted beside those that are named here.
        values["reward"] = {**values.get("reward", {}), "ranks": dict(map(_weighted, reward))}
    for text in set_ or []:
        values = settings.merged(values, settings.setting(text))
    found = material.find(settings.fill(values, config), None if data is None else Place.of(data.expanduser()))
    folder = folder or training.folder_of(found)
    with progress.staged(f"{found.name} · {found.rewriter.name}") as report:
        trained = training.train(found, folder, report)
    if not trained.speaks:
        return
    first, best = trained.first, trained.best
    print(f"val R@10 {first.recall_10:.1%} before, {best.recall_10:.1%} at step {best.step} of {found.config.steps}")
    for name, own in best.tasks.items():
        print(f"  {name} {first.tasks[name].recall_10:.1%} before, {own.recall_10:.1%}")
    print(trained.card)
    if trained.reason != "finished":
        print(f"warning: stopped by {trained.reason}; the best checkpoint is kept", file=sys.stderr)
        raise typer.Exit(1)


def _weighted(text: str) -> tuple[str, float]:
    from grapebench.errors import UserError

    name, _, weight = text.partition("=")
    try:
        return name, float(weight or 1)
    except ValueError as error:
        raise UserError(f"--reward {text!r}: the weight is no number", fix="such as --reward ndcg=0.5") from error
