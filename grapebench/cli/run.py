"""`grapebench run`: the main job."""

from __future__ import annotations

import contextlib
import itertools
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from grapebench.leaderboard.results import Result
    from grapebench.records import Task
    from grapebench.rewriters import LoadedRewriter
    from grapebench.rewriters.setup import Setup

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Job:
    """One result to make."""

    task: Task
    rewriter: LoadedRewriter
    setup: Setup
    command: str


def run(
    task: Annotated[list[str], typer.Option(help="A task card's name or path; may be repeated.")],
    rewriter: Annotated[
        list[str], typer.Option(help="A card's name or path, or path/to/file.py:Class; may be repeated.")
    ],
    suite: Annotated[str, typer.Option(help="mini, the generated miniature, or full, the real benchmarks.")] = "mini",
    retriever: Annotated[
        str | None,
        typer.Option(
            help="A card's name, MODEL@PRETRAINED, a directory or path/to/file.py:Class.",
            show_default="the suite's own",
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="The split searched.", show_default="the task card's")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Of the rewriter; may be repeated.", show_default="0")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask only the first so many queries.", show_default="all")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with the official files (--suite full).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where results are kept.", show_default="the user's data folder, or under GRAPEBENCH_HOME"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a result instead of tables.")] = False,
) -> None:
    """Rewrite a task's queries, search with them, and print the result and the leaderboard it stands in."""
    from grapebench.errors import UserError
    from grapebench.evaluation import runner
    from grapebench.leaderboard import store as results
    from grapebench.paths import results_dir
    from grapebench.retrieval import open_retriever
    from grapebench.retrieval.encode import Lookup

    if suite not in ("mini", "full"):
        raise UserError(f"unknown suite {suite!r}", fix="there is: mini, full")
    store = (out or results_dir()).expanduser()
    opened = open_retriever(retriever, suite)
    # The default may be another one some day: the command in a result names the one that was used.
    searcher = retriever or _default_retriever(suite)
    # Vectors that were brought along need no pictures; one that turns out to be needed and missing is named then.
    tasks = _tasks(task, suite, split, limit, data, pictures=not isinstance(opened, Lookup))
    jobs = _jobs(tasks, rewriter, searcher, seed or [0], limit, given=data is not None)
    found: list[Result] = []
    for job in jobs:
        label = f"{job.task.name} · {job.rewriter.name}"
        with _progress(label) as report:
            folder = runner.run(
                job.task, job.rewriter, opened, retriever_name=_retriever_name(searcher), setup=job.setup, limit=limit,
                into=store, command=job.command, report=report,
            )  # fmt: skip
        result = results.load(folder)
        found.append(result)
        print(f"{label}: {folder}", file=sys.stderr)
        if json:
            _print_json(result)
    if not json:
        _print_tables(found, store)


def _default_retriever(suite: str) -> str:
    from grapebench import catalog

    return next(name for name in catalog.retriever_names() if suite in catalog.retriever_card(name).card.default_for)


def _retriever_name(spec: str) -> str:
    """What a retriever is called in results: without the folders that are the user's own."""
    from grapebench.registry import is_file_spec

    if is_file_spec(spec):
        return spec.rpartition(":")[2]
    if spec.endswith(".toml"):
        return Path(spec).stem
    return Path(spec).resolve().name if Path(spec).is_dir() else spec


def _tasks(
    names: list[str], suite: str, split: str | None, limit: int | None, data: Path | None, pictures: bool
) -> dict[str, Task]:
    """The tasks by the name they were given under; all cards are read before the first task is loaded."""
    from grapebench import catalog
    from grapebench.datasets import load_task
    from grapebench.evaluation.runner import require_labels

    cards = {name: catalog.task_card(name).card for name in names}
    tasks = {name: load_task(card, suite, split, data, images=pictures) for name, card in cards.items()}
    for task in tasks.values():
        require_labels(task, task.queries[:limit])
    return tasks


def _jobs(
    tasks: dict[str, Task], rewriters: list[str], retriever: str, seeds: list[int], limit: int | None, given: bool
) -> list[_Job]:
    """Everything that was asked for, opened before the first of it is begun: a misspelt name is told at once."""
    from grapebench.rewriters import open_rewriter
    from grapebench.rewriters.setup import Setup

    jobs = []
    for (name, task), spec, seed in itertools.product(tasks.items(), dict.fromkeys(rewriters), dict.fromkeys(seeds)):
        setup = Setup(suite=task.suite, family=task.family, seed=seed, root=task.root)
        options = ["--task", name, "--rewriter", spec, "--suite", task.suite, "--retriever", retriever]
        options += ["--split", task.split, "--seed", str(seed)]
        options += ["--limit", str(limit)] if limit is not None else []
        # The user's own folder says nothing to others.
        options += ["--data", "DIR"] if given else []
        command = shlex.join(["grapebench", "run", *options])
        jobs.append(_Job(task, open_rewriter(spec, setup), setup, command))
    return jobs


@contextlib.contextmanager
def _progress(label: str) -> Iterator[Report]:
    """A progress bar on stderr that appears with the first report: a result that is there already needs none."""
    with contextlib.ExitStack() as stack:
        bar: Progress | None = None
        rows: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                bar = stack.enter_context(_bar())
            if stage not in rows:
                rows[stage] = bar.add_task(f"{label}: {stage}", total=total)
            bar.update(rows[stage], completed=done, total=total)

        yield report


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print_json(result: Result) -> None:
    import json

    print(json.dumps(result.summary()), flush=True)


def _print_tables(found: list[Result], store: Path) -> None:
    """For each group of comparable results: what this call made, then all that is known beside it."""
    from rich.console import Console

    from grapebench.leaderboard import board, render
    from grapebench.leaderboard import store as results

    known, broken = results.find([store, results.published_dir()])
    for problem in broken:
        print(f"warning: left out: {problem}", file=sys.stderr)
    console = Console()
    for key in dict.fromkeys(map(board.comparable, found)):
        mine = [result for result in found if board.comparable(result) == key]
        console.print(render.results(mine))
        (table,) = board.tables(one.result for one in known if board.comparable(one.result) == key)
        console.print(render.terminal(table, [result.id for result in mine]))
        if table.languages:
            console.print(render.languages(table))
