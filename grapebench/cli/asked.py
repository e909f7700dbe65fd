"""What several commands ask for in the same words, and the task as they name it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grapebench.cards import TaskCard
    from grapebench.records import Task

Suite = Annotated[str, typer.Option(help="mini, the generated miniature, or full, the real benchmarks.")]
Split = Annotated[str | None, typer.Option(help="The split searched.", show_default="the task card's")]
Limit = Annotated[int | None, typer.Option(min=1, help="Ask only the first so many queries.", show_default="all")]
Protocol = Annotated[
    str | None,
    typer.Option(help="Another protocol that the task card offers.", show_default="the task card's"),
]
Languages = Annotated[
    str | None,
    typer.Option(help="Only these languages, such as de,zh, of a task that has several.", show_default="all"),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the official files (--suite full).", show_default="the place that `data add` remembered"
    ),
]
AllowSeen = Annotated[
    bool,
    typer.Option("--allow-seen", help="Search images that the rewriter has seen; the result is marked."),
]

Plot = Annotated[Path | None, typer.Option("--plot", help="Draw it into this file (.png, .svg, .pdf).")]
NamedTask = Annotated[
    str | None,
    typer.Option("--task", help="The task whose newest results are meant, where rewriters are named."),
]
NamedSuite = Annotated[str, typer.Option("--suite", help="mini or full, where rewriters are named.")]

TrainSuite = Annotated[
    str | None, typer.Option("--suite", help="mini, the generated miniature, or full.", show_default="mini")
]
TrainRetriever = Annotated[
    str | None, typer.Option("--retriever", help="As in `grapebench run`.", show_default="the suite's own")
]
StartModel = Annotated[
    str | None,
    typer.Option("--model", help="Another causal language model: a folder or a hub id.", show_default="the card's"),
]
TrainingFolder = Annotated[
    Path | None, typer.Option("--out", help="The training's folder.", show_default="named by its settings")
]


def load(
    card: TaskCard,
    suite: str,
    split: str | None,
    data: Path | None,
    protocol: str | None,
    languages: str | None,
    images: bool = True,
) -> Task:
    """What `load_task` loads; `languages` are separated by commas."""
    from grapebench.datasets import Place, load_task

    place = None if data is None else Place.of(data.expanduser())
    return load_task(card, suite, split, place, images=images, protocol=protocol, options=_options(card, languages))


def among(task: Task, every: Task) -> Task:
    """The task, knowing what it does not ask of `every` query that its files hold."""
    asked = {query.id for query in task.queries}
    others = {query.id for query in every.queries} | every.dataset.unasked
    unasked = (task.dataset.unasked | others) - asked
    return replace(task, dataset=replace(task.dataset, unasked=unasked))


def _options(card: TaskCard, languages: str | None) -> dict[str, Any] | None:
    if languages is None:
        return None
    from grapebench.datasets import loader
    from grapebench.errors import UserError

    if "languages" not in inspect.signature(loader(card)).parameters:
        raise UserError(f"{card.name} has no languages to choose from", fix="leave --languages out")
    # Sorted, so that the order in which they are named makes no other result.
    names = sorted({name.strip() for name in languages.split(",")} - {""})
    if not names:
        raise UserError("--languages names no language", fix="name some, such as --languages de,zh")
    return {"languages": names}


def folders(named: list[str], task: str | None, suite: str) -> list[Path]:
    """Where results lie that are named by folder or id; with a task, by the names of rewriters."""
    from grapebench.errors import UserError
    from grapebench.leaderboard import choice, store
    from grapebench.paths import results_dir

    stores = [results_dir(), store.published_dir()]
    if task is not None:
        return choice.newest_together(named, task, suite, stores)
    try:
        return [store.resolve(name, stores) for name in named]
    except UserError as error:
        raise UserError(str(error), fix="to name rewriters instead, add --task") from None
