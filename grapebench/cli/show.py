"""`grapebench show`: what rewriting did to each query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grapebench.cli import asked, one_query

if TYPE_CHECKING:
    from rich.console import Group

    from grapebench.leaderboard.results import Result


def show(
    result: Annotated[str, typer.Argument(help="A result's folder, its id, or the beginning of its id.")],
    query: Annotated[str | None, typer.Option(help="Only the query with this id, in full.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many queries to show.")] = 20,
    worst: Annotated[bool, typer.Option("--worst", help="Those that lost most first, not those that gained.")] = False,
    plot: asked.Plot = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result and then one JSON object a query.")] = False,
) -> None:
    """Show a result: its figures, then queries before and after rewriting, the largest gains first."""
    from grapebench.errors import UserError
    from grapebench.leaderboard import rows as rows_of
    from grapebench.leaderboard import store
    from grapebench.leaderboard.store import Stored
    from grapebench.paths import results_dir

    if plot is not None:
        from grapebench import plots

        plots.check(plot)
    folder = store.resolve(result, [results_dir(), store.published_dir()])
    found = store.load(folder)
    rows = rows_of.joined(folder, found)
    if query is not None:
        rows = [row for row in rows if row["query_id"] == query]
        if not rows:
            raise UserError(f"result {found.id} has no query {query!r}", file=folder)
        rows[0] |= one_query.find(Stored(found, folder), rows[0])
    elif found.labelled:
        rows = sorted(rows, key=lambda row: (_gain(row), row["query_id"]), reverse=not worst)
    rows = rows[:limit]
    if plot is not None:
        plots.draw_result(found, plots.read_sides(folder, found), plot)
    if json:
        _print_json(found, rows)
    else:
        _print_tables(found, rows, in_full=query is not None)


def _gain(row: dict[str, Any]) -> float:
    """How many times better the rank became: from 10 to 1 is worth as much as from 100 to 10.

    Where every image of a category is right, by how much the average precision grew.
    """
    if "average_precision" in row:
        return float(row["average_precision"] - row["average_precision_before"])
    return float(row["rank_before"] / row["rank"])


def _print_json(found: Result, rows: list[dict[str, Any]]) -> None:
    import json

    print(json.dumps(found.model_dump(mode="json")))
    for row in rows:
        print(json.dumps(row))


def _print_tables(found: Result, rows: list[dict[str, Any]], in_full: bool) -> None:
    from rich.console import Console

    console = Console()
    console.print(_summary(found))
    if not in_full and (parts := dict(_parts(found))):
        from grapebench.evaluation.protocols import PROTOCOLS
        from grapebench.leaderboard.board import main_figure

        console.print(one_query.grid(f"{main_figure(found.protocol)} by {PROTOCOLS[found.protocol].by}", parts))
    for row in rows:
        console.print(one_query.summary(found, row, in_full))
        if in_full:
            console.print(one_query.cosines(found, row))
            console.print(one_query.images(found, row))


def _summary(found: Result) -> Group:
    from grapebench.leaderboard import render

    task = f"{found.task} · suite {found.suite} · split {found.split} · protocol {found.protocol}"
    lines = {
        "Task": f"{task} · version {found.benchmark}, revision {found.revision}",
        "Rewriter": f"{found.rewriter.name} · seed {found.seed}" + (" · oracle" if found.rewriter.oracle else ""),
        "Retriever": found.retriever.name,
        "Searched": f"{render.asked(found)}{_largest(found)}, {_gallery(found)}",
    }
    if found.seen:
        lines["Not ranked"] = render.seen_before(found.seen)
    if not found.labelled:
        lines["Labels"] = "not public: nothing is measured"
    for key in found.metrics:
        if "/" not in key and key != "median_rank":
            lines[render.figure_name(key)] = _change(found, key)
    if "median_rank" in found.metrics:
        lines["Median rank"] = f"{found.metrics_before['median_rank']:g} → {found.metrics['median_rank']:g}"
    if found.inflation:
        for name, shown in one_query.COSINES.items():
            before, after = (getattr(side, name) for side in (found.inflation.before, found.inflation.after))
            if before is not None and after is not None:
                lines[f"Cosine: {shown}"] = f"{before:.3f} → {after:.3f}"
    lines["Fallbacks"] = ", ".join(f"{why} {count:,}" for why, count in sorted(found.fallbacks.items())) or "none"
    if found.undetected:
        lines["No concepts"] = ", ".join(f"{why} {count:,}" for why, count in sorted(found.undetected.items()))
    for title, counts in (("Cut off", found.cut), ("Fewer answers", found.partial), ("No caption", found.uncaptioned)):
        if counts:
            lines[title] = ", ".join(f"{why} {count:,}" for why, count in sorted(counts.items()))
    if found.labelled:
        lines["Ties"] = f"{100 * found.ties:.1f} % of the queries"
    if found.unanswered:
        lines["Unanswered"] = ", ".join(f"{why} {count:,}" for why, count in sorted(found.unanswered.items()))
    lines["Cost"] = f"{found.cost.prompt_tokens:,} tokens read, {found.cost.completion_tokens:,} written"
    lines["Cost"] += f", {found.cost.money:.4g} paid" if found.cost.money else ""
    lines["Command"] = found.command
    return one_query.grid(f"Result {found.id}", lines)


def _gallery(found: Result) -> str:
    return f"{found.gallery:,} images ({found.duplicates or 0:,} duplicates)"


def _largest(found: Result) -> str:
    return "" if found.largest_cluster is None else f" of up to {found.largest_cluster:,}"


def _change(found: Result, key: str) -> str:
    """A figure before and after, and its difference with intervals."""
    from grapebench.leaderboard import render
    from grapebench.leaderboard.board import Figure

    before, after = Figure(found.metrics_before[key]), render.result_figure(found, key)
    delta = found.deltas.get(key)
    change = render.difference(Figure(delta.value, delta.low, delta.high) if delta else None)
    return f"{render.percent(before)} → {render.percent(after)}   Δ {change}"


def _parts(found: Result) -> Iterator[tuple[str, str]]:
    """The main figure of each language or category; a group of categories stands before its own."""
    from grapebench.leaderboard.board import main_figure, parts

    main = main_figure(found.protocol)
    names = parts(main, [found])
    groups = set(found.groups.values())

    def place(name: str) -> tuple[str, bool]:
        return found.groups.get(name, name if name in groups else ""), name in found.groups

    for name in sorted(names, key=place):
        yield ("  " if name in found.groups else "") + name, _change(found, f"{main}/{name}")
