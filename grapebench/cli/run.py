"""`grapebench run`: the main job."""

from __future__ import annotations

import itertools
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grapebench.cli.asked import AllowSeen, Data, Languages, Limit, Protocol, Split, Suite

if TYPE_CHECKING:
    from grapebench.leaderboard.results import Result
    from grapebench.records import Task
    from grapebench.rewriters import LoadedRewriter
    from grapebench.rewriters.setup import Setup


@dataclass(frozen=True)
class _Job:
    """One result to make."""

    task: Task
    rewriter: LoadedRewriter
    setup: Setup
    command: str
    notes: list[str]
    """What to know of the retriever and this task."""


def run(
    task: Annotated[list[str], typer.Option(help="A task card's name or path; may be repeated.")],
    rewriter: Annotated[
        list[str], typer.Option(help="A card's name or path, or path/to/file.py:Class; may be repeated.")
    ],
    suite: Suite = "mini",
    retriever: Annotated[
        str | None,
        typer.Option(
            help="A card's name, MODEL@PRETRAINED, a directory or path/to/file.py:Class.",
            show_default="the suite's own",
        ),
    ] = None,
    captioner: Annotated[
        str | None,
        typer.Option(
            help="What puts reference images into words: a card's name or path, or path/to/file.py:Class.",
            show_default="the rewriter card's",
        ),
    ] = None,
    split: Split = None,
    seed: Annotated[list[int] | None, typer.Option(help="Of the rewriter; may be repeated.", show_default="0")] = None,
    limit: Limit = None,
    protocol: Protocol = None,
    languages: Languages = None,
    data: Data = None,
    allow_seen: AllowSeen = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Where results are kept.", show_default="the user's data folder, or under GRAPEBENCH_HOME"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a result instead of tables.")] = False,
) -> None:
    """Rewrite a task's queries, search with them, and print the result and the leaderboard it stands in."""
    from grapebench import activity, catalog
    from grapebench.cli import asked, progress
    from grapebench.datasets import seen
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
    pictures = not isinstance(opened, Lookup)
    cards = {name: catalog.task_card(name).card for name in task}
    tasks = {}
    for name, card in cards.items():
        with progress.staged(card.name), activity.during("reading the data"):
            tasks[name] = asked.load(card, suite, split, data, protocol, languages, images=pictures)
    options = _shared_options(protocol, languages, data, allow_seen)
    jobs = []
    for name, one in tasks.items():
        runner.check_task(one)
        notes = seen.warnings(cards[name], retriever, suite)
        for note in notes:
            print(f"warning: {note}", file=sys.stderr)
        jobs += _jobs(name, one, rewriter, searcher, seed or [0], limit, captioner, options, notes)
    if captioner is not None and not any(job.rewriter.captioner == captioner for job in jobs):
        raise UserError("--captioner: nothing here reads captions", fix="leave it out, or choose another rewriter")
    for job in jobs:
        runner.check_seen(job.task, job.rewriter, allow_seen)
    found: list[Result] = []
    for job in jobs:
        label = f"{job.task.name} · {job.rewriter.name}"
        with progress.staged(label) as report:
            folder = runner.run(
                job.task, job.rewriter, opened, retriever_name=_retriever_name(searcher), setup=job.setup, limit=limit,
                allow_seen=allow_seen, notes=job.notes, into=store, command=job.command, report=report,
            )  # fmt: skip
        result = results.load(folder)
        found.append(result)
        _warn(label, result)
        _warn_clustered(label, result)
        print(f"{label}: {folder}", file=sys.stderr)
        if json:
            _print_json(result)
    if not json:
        _print_tables(found, store)
    if any(result.unanswered for result in found):
        raise typer.Exit(1)


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


def _shared_options(protocol: str | None, languages: str | None, data: Path | None, allow_seen: bool) -> list[str]:
    """What the commands of all results have in common at their end."""
    options = ["--protocol", protocol] if protocol else []
    options += ["--languages", languages] if languages else []
    # The user's own folder says nothing to others.
    options += ["--data", "DIR"] if data else []
    return options + (["--allow-seen"] if allow_seen else [])


def _jobs(
    name: str,
    task: Task,
    rewriters: list[str],
    retriever: str,
    seeds: list[int],
    limit: int | None,
    captioner: str | None,
    options: list[str],
    notes: list[str],
) -> list[_Job]:
    """Everything that was asked of a task, opened before the first of it is begun: a misspelt name is told at once.

    `captioner` takes the place of the one that a rewriter's card names; a class from a file, which has no card, may
    want captions too.
    """
    from grapebench.rewriters import open_rewriter
    from grapebench.rewriters.captioners import open_captioner
    from grapebench.rewriters.setup import Setup

    jobs = []
    for spec, seed in itertools.product(dict.fromkeys(rewriters), dict.fromkeys(seeds)):
        setup = Setup(task.suite, task.family, seed, task.root, task=name)  # type: ignore[arg-type]
        words = ["--task", name, "--rewriter", spec, "--suite", task.suite, "--retriever", retriever]
        words += ["--split", task.split, "--seed", str(seed)]
        words += ["--limit", str(limit)] if limit is not None else []
        loaded = open_rewriter(spec, setup)
        if captioner is not None and task.family == "compose" and (loaded.captioner or loaded.card is None):
            open_captioner(captioner, setup)
            loaded = replace(loaded, captioner=captioner)
            words += ["--captioner", captioner]
        command = shlex.join(["grapebench", "run", *words, *options])
        jobs.append(_Job(task, loaded, setup, command, notes))
    return jobs


def _warn(label: str, result: Result) -> None:
    """What went wrong with the answers, in a line; those that never came, in another."""
    from grapebench.leaderboard import render

    if told := render.told(result):
        print(f"{'warning: ' if render.troubles([result]) else ''}{label}: {told}", file=sys.stderr)
    if result.unanswered:
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in result.unanswered.items())
        count = sum(result.unanswered.values())
        print(
            f"warning: {label}: answers to {count:,} of {result.queries:,} queries never came ({reasons}); "
            "the same command asks for them again",
            file=sys.stderr,
        )


def _warn_clustered(label: str, result: Result) -> None:
    from grapebench.evaluation.clusters import LARGE

    largest = result.largest_cluster or 0
    if largest > max(1, LARGE * result.queries):
        print(
            f"warning: {label}: {largest:,} of {result.queries:,} queries are one cluster of the "
            f"{result.clusters:,}: they share right images, reference images, look-alikes or articles, so that tests "
            "and intervals count them as one observation and tell little",
            file=sys.stderr,
        )


def _print_json(result: Result) -> None:
    import json

    print(json.dumps(result.summary()), flush=True)


def _print_tables(found: list[Result], store: Path) -> None:
    """For each group of comparable results: what this call made, then all that is known beside it."""
    from rich.console import Console

    from grapebench.leaderboard import board, references, render, standings
    from grapebench.leaderboard import store as results

    known, broken = results.find([store, results.published_dir()])
    for problem in broken:
        print(f"warning: left out: {problem}", file=sys.stderr)
    console = Console()
    folders = {one.result.id: one.folder for one in known}
    for key in dict.fromkeys(map(board.comparable, found)):
        mine = [result for result in found if board.comparable(result) == key]
        console.print(render.results(mine))
        # Without public labels there is no table.
        beside = board.tables(one.result for one in known if board.comparable(one.result) == key)
        tables, unusable = standings.stand(beside, folders, references.named())
        for problem in unusable:
            print(f"warning: without a rank: {problem}", file=sys.stderr)
        for table in tables:
            console.print(render.terminal(table, [result.id for result in mine]))
            if table.parts:
                console.print(render.parts(table))
        if not mine[0].labelled:
            ids = " ".join(result.id[:8] for result in mine)
            said = f"`grapebench export` writes what the benchmark's own scorer takes, from: {ids}"
            console.print(said, markup=False, highlight=False)
