"""`grapebench show`: what rewriting did to each query."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Group

    from grapebench.leaderboard.results import Result

_SHOWN = 400
"""Characters of a query's own text in the list of queries."""


def show(
    result: Annotated[str, typer.Argument(help="A result's folder, its id, or the beginning of its id.")],
    query: Annotated[str | None, typer.Option(help="Only the query with this id, in full.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many queries to show.")] = 20,
    worst: Annotated[bool, typer.Option("--worst", help="Those that lost most first, not those that gained.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result and then one JSON object a query.")] = False,
) -> None:
    """Show a result: its figures, then queries before and after rewriting, the largest gains first."""
    from grapebench.errors import UserError
    from grapebench.leaderboard import results, store
    from grapebench.paths import results_dir

    folder = store.resolve(result, [results_dir(), store.published_dir()])
    found = store.load(folder)
    rows = _joined(folder)
    if query is not None:
        rows = [row for row in rows if row["query_id"] == query]
        if not rows:
            raise UserError(f"result {found.id} has no query {query!r}", file=folder / results.PER_QUERY_FILE)
    else:
        rows = sorted(rows, key=lambda row: (_gain(row), row["query_id"]), reverse=not worst)[:limit]
    if json:
        _print_json(found, rows)
    else:
        _print_tables(found, rows, in_full=query is not None)


def _joined(folder: Path) -> list[dict[str, Any]]:
    """The queries of a result with both texts, both ranks and what is known besides.

    A published result lacks the queries' own texts, and a rewrite that is none.
    """
    from grapebench.errors import UserError
    from grapebench.leaderboard import artifacts, results

    ranks = folder / results.PER_QUERY_FILE
    if not ranks.is_file():
        raise UserError("this published result holds no ranks", file=ranks, fix="its command makes the whole result")
    columns = artifacts.read_per_query(ranks)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    for name in (results.QUERIES_FILE, results.REWRITES_FILE):
        if name == results.QUERIES_FILE and not (folder / name).is_file():
            continue
        texts = {line["query_id"]: line for line in artifacts.read_lines(folder / name)}
        if {row["query_id"] for row in rows} != set(texts):
            raise UserError("the queries are not those of the file of ranks beside it", file=folder / name)
        rows = [row | texts[row["query_id"]] for row in rows]
    return [row | {"rewrite": row["text"]} if "rewrite" not in row and "text" in row else row for row in rows]


def _gain(row: dict[str, Any]) -> float:
    """How many times better the rank became: from 10 to 1 is worth as much as from 100 to 10."""
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
    for row in rows:
        console.print(_query(row, in_full))


def _summary(found: Result) -> Group:
    from grapebench.leaderboard import render
    from grapebench.leaderboard.board import Figure

    lines = {
        "Task": f"{found.task} · suite {found.suite} · split {found.split} · revision {found.revision}",
        "Rewriter": f"{found.rewriter.name} · seed {found.seed}" + (" · oracle" if found.rewriter.oracle else ""),
        "Retriever": found.retriever.name,
        "Searched": f"{found.queries:,} queries, {found.gallery:,} images ({found.duplicates or 0:,} duplicates)",
    }
    for key in found.metrics:
        if "/" in key or key == "median_rank":
            continue
        before = f"{100 * found.metrics_before[key]:.1f}"
        after = render.percent(render.result_figure(found, key))
        delta = found.deltas[key]
        change = render.difference(Figure(delta.value, delta.low, delta.high))
        lines[key] = f"{before} → {after}   Δ {change}"
    lines["Median rank"] = f"{found.metrics_before['median_rank']:g} → {found.metrics['median_rank']:g}"
    before_after = (found.inflation.before, found.inflation.after)
    for name in ("positive", "others", "top_others", "margin"):
        values = [getattr(figures, name) for figures in before_after]
        if None not in values:
            lines[f"Cosine: {name.replace('_', ' ')}"] = f"{values[0]:.3f} → {values[1]:.3f}"
    fallbacks = ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.fallbacks.items())) or "none"
    lines["Fallbacks"] = fallbacks
    lines["Ties"] = f"{100 * found.ties:.1f} % of the queries"
    lines["Cost"] = f"{found.cost.prompt_tokens:,} tokens read, {found.cost.completion_tokens:,} written"
    lines["Command"] = found.command
    return _grid(f"Result {found.id}", lines)


def _query(row: dict[str, Any], in_full: bool) -> Group:
    lines = {"Rank": f"{row['rank_before']:,} → {row['rank']:,} of {row['candidates']:,}"}
    if row.get("subset_rank") is not None:
        lines["Subset rank"] = f"{row['subset_rank_before']:,} → {row['subset_rank']:,}"
    if "text" in row:
        text = row["text"]
        lines["Before"] = text if in_full or len(text) <= _SHOWN else text[:_SHOWN] + " …"
    lines["After"] = row.get("rewrite", "as it came")
    if row["fallback"]:
        lines["Fallback"] = row["fallback"]
    if in_full:
        lines |= {name: str(value) for name, value in row.get("trace", {}).items()}
        if row.get("raw"):
            lines["Output"] = row["raw"]
    return _grid(f"Query {row['query_id']} ({row['language']})", lines)


def _grid(title: str, lines: dict[str, str]) -> Group:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in lines.items():
        grid.add_row(Text(name), Text(value))
    return Group(Text(title, style="bold"), grid, "")
