"""`grapebench headroom`: what the best of several answers would find."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grapebench.cli.asked import AllowSeen, Data, Languages, Limit, Plot, Protocol, Split, Suite

if TYPE_CHECKING:
    from grapebench.evaluation.headroom import Headroom
    from grapebench.leaderboard.results import Seen
    from grapebench.records import Task
    from grapebench.rewriters import LoadedRewriter


def headroom(
    task: Annotated[str, typer.Option(help="A task card's name or path.")],
    rewriter: Annotated[str, typer.Option(help="A card's name or path, or path/to/file.py:Class.")],
    k: Annotated[str, typer.Option("-k", help="How many answers to choose from, separated by commas.")] = "1,2,4,8",
    suite: Suite = "mini",
    retriever: Annotated[
        str | None,
        typer.Option(help="As in `grapebench run`.", show_default="the suite's own"),
    ] = None,
    split: Split = None,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    limit: Limit = None,
    protocol: Protocol = None,
    languages: Languages = None,
    data: Data = None,
    allow_seen: AllowSeen = False,
    plot: Plot = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Sample several answers a query and show what the best of them would find: what training has to gain."""
    from grapebench import catalog, plots
    from grapebench.cli import asked, progress
    from grapebench.errors import UserError
    from grapebench.evaluation import headroom as measuring
    from grapebench.evaluation import runner
    from grapebench.retrieval import open_retriever
    from grapebench.rewriters.setup import Setup

    ks = _numbers(k)
    if suite not in ("mini", "full"):
        raise UserError(f"unknown suite {suite!r}", fix="there is: mini, full")
    if plot is not None:
        plots.check(plot)
    searcher = open_retriever(retriever, suite)
    loaded = asked.load(catalog.task_card(task).card, suite, split, data, protocol, languages)
    if not runner.check_task(loaded):
        raise UserError(f"the labels of {loaded.name} {loaded.split} are not public: nothing says which answer is best")
    setup = Setup(loaded.suite, loaded.family, seed, loaded.root, task=task)  # type: ignore[arg-type]
    opened = measuring.open_sampling(rewriter, setup)
    seen = runner.check_seen(loaded, opened, allow_seen)
    captioner = None
    if opened.captioner is not None:
        from grapebench.rewriters.captioners import open_captioner

        captioner = open_captioner(opened.captioner, setup)
    with progress.staged(f"{loaded.name} · {opened.name}") as report:
        queries = loaded.queries[:limit]
        found = measuring.headroom(loaded, queries, opened, searcher, captioner, seed, ks, report)
    if plot is not None:
        from grapebench.leaderboard.board import main_figure

        keys = dict.fromkeys([main_figure(loaded.protocol), next(iter(found.raw))])
        title = f"{loaded.name} ({loaded.suite}) · {opened.name}: best of k answers, an oracle" + _marked(seen)
        plots.draw_headroom(found, list(keys), title, plot)
    if json:
        _print_json(found, loaded, opened, seed, seen)
    else:
        _print_table(found, loaded, opened, seed, seen)
    if found.unanswered:
        print(
            f"warning: {sum(found.unanswered.values()):,} answers never came ({_counts(found.unanswered)}); "
            "the same command asks for them again",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def _counts(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{why} {count:,}" for why, count in reasons.items())


def _numbers(text: str) -> list[int]:
    from grapebench.errors import UserError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts):
        raise UserError(f"-k {text!r}: not whole numbers above 0, separated by commas", fix="such as -k 1,2,4,8")
    return sorted({int(part) for part in parts})


def _sampling(opened: LoadedRewriter) -> dict[str, Any]:
    """How the answers were drawn, as far as the rewriter says so."""
    settings = getattr(opened.rewriter, "settings", None)
    return {name: getattr(settings, name) for name in ("temperature", "top_p") if hasattr(settings, name)}


def _is_greedy(opened: LoadedRewriter) -> bool:
    """Whether the card says that it does not sample, and here it does."""
    told = opened.description.get("settings", {})
    return opened.card is not None and told.get("sample") != opened.card.settings.get("sample")


def _marked(seen: Seen | None) -> str:
    return "" if seen is None else " · † contaminated"


def _print_json(found: Headroom, task: Task, opened: LoadedRewriter, seed: int, seen: Seen | None) -> None:
    import dataclasses
    import json

    told = {
        "oracle": True,
        "suite": task.suite,
        "task": task.name,
        "split": task.split,
        "protocol": task.protocol,
        "rewriter": opened.name,
        "seed": seed,
        "sampling": _sampling(opened),
        "greedy_card": _is_greedy(opened),
        "contaminated": seen is not None,
        "seen": None if seen is None else seen.model_dump(mode="json"),
    }
    print(json.dumps(told | dataclasses.asdict(found)))


def _print_table(found: Headroom, task: Task, opened: LoadedRewriter, seed: int, seen: Seen | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from grapebench.leaderboard import render
    from grapebench.leaderboard.board import Figure, main_figure

    main = main_figure(task.protocol)
    keys = list(dict.fromkeys([next(iter(found.raw)), main]))
    ranks = "median_rank" in found.raw
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Best of", no_wrap=True)
    for column in (*keys, *(["Median\nrank"] if ranks else []), f"{main},\nfirst k"):
        table.add_column(column, justify="right", no_wrap=True)

    def row(name: str, cells: list[str], median: float | None, first: str, last: bool = False) -> None:
        shown = [*cells, *([] if median is None else [f"{median:g}"]), first]
        table.add_row(Text(name), *map(Text, shown), end_section=last)

    raw = [render.percent(Figure(found.raw[key])) for key in keys]
    row("raw query", raw, found.raw.get("median_rank"), "–", last=True)
    for point in found.points:
        cells = [render.percent(Figure(point.figures[key], *point.intervals[key])) for key in keys]
        first = render.percent(Figure(point.first[main]))
        row("1 (the mean)" if point.k == 1 else str(point.k), cells, point.figures.get("median_rank"), first)
    console = Console()
    where = f"{task.name} · suite {task.suite} · split {task.split} · protocol {task.protocol}"
    title = f"Headroom, an oracle: {where} · {opened.name} · seed {seed}" + _marked(seen)
    console.print(Text(title, style="italic"))
    console.print(table)
    drawn = ", ".join(f"{name} {value:g}" for name, value in _sampling(opened).items())
    caption = f"Percent, with 95 % intervals over clusters; {found.queries:,} queries, {found.samples} answers each"
    caption += f" ({drawn})" if drawn else ""
    caption += f", of which {found.distinct:.1f} differ on average. The best is chosen by the labels, so no rewriter "
    caption += "reaches it without them. Of k answers: the mean over all choices of k among the "
    caption += f"{found.samples}; beside it, the best of the first k alone."
    for what, counts in (
        ("Answers that could not be used, so that the query itself was searched", found.fallbacks),
        ("Cut off", found.cut),
        ("Reference images without a caption", found.uncaptioned),
    ):
        caption += f" {what}: {_counts(counts)}." if counts else ""
    if seen is not None:
        caption += f" † contaminated: {opened.name} {render.seen_before(seen)}."
    if _is_greedy(opened):
        caption += f" The card of {opened.name} answers greedily; here it is sampled."
    if opened.samples > 1:
        caption += f" {opened.name} combines {opened.samples} answers; here each is searched alone."
    console.print(Text(caption, style="dim italic"))
