"""`grapebench compare`: rewriters against a baseline, query by query."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grapebench.cli import asked

if TYPE_CHECKING:
    from rich.console import Console

    from grapebench.evaluation.compare import Comparison, Scored
    from grapebench.leaderboard.board import Row, Table

_SHOWN = 400
"""Characters of a text in an example."""
_WON = ("right image stands higher, as high, or lower", "average precision is higher, the same, or lower")


def compare(
    baseline: Annotated[
        str,
        typer.Argument(help="A result's folder, its id, or the beginning of its id; with --task, a rewriter's name."),
    ],
    others: Annotated[list[str], typer.Argument(help="What is compared with it, named in the same ways.")],
    task: asked.NamedTask = None,
    suite: asked.NamedSuite = "mini",
    examples: Annotated[int, typer.Option(min=0, help="How many of the largest gains, and of losses, to show.")] = 0,
    plot: asked.Plot = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """Compare results of the same queries: wins and losses, differences with intervals, and a paired test."""
    from grapebench import plots
    from grapebench.evaluation import compare as comparing

    if plot is not None:
        plots.check(plot)
    base, *rest = [comparing.read(folder) for folder in asked.folders([baseline, *others], task, suite)]
    found = comparing.compare(base, rest)
    beside = _against_references([base, *rest])
    if plot is not None:
        plots.draw_comparison(base, found, plot)
    if json:
        _print_json(base, found, examples, beside)
    else:
        _print_tables(base, found, examples, beside)


def _against_references(asked: Sequence[Scored]) -> Table:
    from grapebench.leaderboard import against, store
    from grapebench.paths import results_dir

    own = [root for one in asked if (root := store.store_of(one.folder, one.result)) is not None]
    stores = list(dict.fromkeys([*own, results_dir(), store.published_dir()]))
    table, problems = against.against_references({one.folder: one.result for one in asked}, stores)
    for problem in problems:
        print(f"warning: left out: {problem}", file=sys.stderr)
    return table


def _print_json(base: Scored, found: list[Comparison], count: int, beside: Table) -> None:
    import json

    from grapebench.evaluation import compare as comparing
    from grapebench.evaluation.significance import RESAMPLES

    one = base.result
    shown: dict[str, Any] = {
        "suite": one.suite,
        "task": one.task,
        "split": one.split,
        "protocol": one.protocol,
        "limit": one.limit,
        "retriever": one.retriever.name,
        "queries": one.queries,
        "clusters": one.clusters,
        "largest_cluster": one.largest_cluster,
        "permutations": RESAMPLES,
        "baseline": _identity(base),
        "comparisons": [],
    }
    for comparison in found:
        line = _identity(comparison.other) | {
            "wins": comparison.wins,
            "ties": comparison.ties,
            "losses": comparison.losses,
            "figures": {
                key: {
                    "baseline": change.base,
                    "value": change.value,
                    "delta": change.delta,
                    "low": change.low,
                    "high": change.high,
                    "p": change.p,
                    "p_holm": change.adjusted,
                }
                for key, change in comparison.changes.items()
            },
        }
        if count:
            gains, losses = comparing.examples(base, comparison, count)
            line["examples"] = {"gains": gains, "losses": losses}
        shown["comparisons"].append(line)
    shown["references"] = {"figure": beside.main, "rows": [_row_json(beside, row) for row in beside.rows]}
    print(json.dumps(shown))


def _row_json(table: Table, row: Row) -> dict[str, Any]:
    """A row against each of what rows are measured by; the raw query text, which is no row, has no rewriter."""
    to = [
        {
            "rewriter": label or None,
            "without_language_model": label == table.fair,
            "delta": versus.delta.value,
            "low": versus.delta.low,
            "high": versus.delta.high,
            "p_holm": versus.p,
        }
        for label, versus in zip(("", *table.references), (row.raw, *row.against), strict=True)
        if versus is not None
    ]
    return {
        "rewriter": row.label,
        "results": [one.id for one in row.results],
        "value": row.figures[table.main].value,
        "to": to,
    }


def _identity(scored: Scored) -> dict[str, Any]:
    one = scored.result
    return {
        "id": one.id,
        "rewriter": one.rewriter.name,
        "seed": one.seed,
        "oracle": one.rewriter.oracle,
        "seen": one.seen is not None,
    }


def _print_tables(base: Scored, found: list[Comparison], count: int, beside: Table) -> None:
    from rich.console import Console
    from rich.text import Text

    from grapebench.evaluation import compare as comparing
    from grapebench.evaluation.protocols import protocol_named
    from grapebench.evaluation.significance import RESAMPLES
    from grapebench.leaderboard import render
    from grapebench.leaderboard.board import main_figure

    one, console = base.result, Console()
    parts = [
        f"Compared: {one.task}", f"suite {one.suite}", f"split {one.split}", f"protocol {one.protocol}",
        f"retriever {one.retriever.name}",
        render.asked(one),
    ]  # fmt: skip
    console.print(Text(" · ".join(parts), style="italic"))
    for comparison in found:
        console.print()
        console.print(Text(f"{_described(comparison.other)} against {_described(base)}", style="bold"))
        wins, ties, losses = comparison.wins, comparison.ties, comparison.losses
        console.print(Text(f"{wins:,} queries won, {ties:,} tied, {losses:,} lost"))
        _print_figures(console, base, comparison, corrected=len(found) > 1)
        if count:
            for title, rows in zip(("Gain", "Loss"), comparing.examples(base, comparison, count), strict=True):
                for row in rows:
                    _print_example(console, title, row, _names(base, comparison.other))
    by_category = protocol_named(one.protocol).relevance == "category"
    caption = f"Won, tied, lost: queries whose {_WON[by_category]} than with the baseline. "
    caption += (
        "Percent; Δ in points, with its 95 % interval by a bootstrap over clusters. p: two-sided, by a permutation "
    )
    caption += f"test that swaps all queries of a cluster together ({RESAMPLES:,} draws, or all where there are fewer)."
    if len(found) > 1:
        caption += f" Holm: corrected for {len(found)} comparisons with the baseline, each figure on its own."
    caption += " ▲ better and ▼ worse beyond chance, ≈ neither (p above 0.05)."
    caption += " Each row is a test of its own: decide beforehand which one counts. "
    caption += f"The leaderboard goes by {main_figure(one.protocol)}."
    console.print(Text(caption, style="dim italic"))
    console.print()
    console.print(Text("Against what the board measures by; corrected for the rows of this table:", style="bold"))
    console.print(render.differences(beside, [one.result.id for one in (base, *(each.other for each in found))]))


def _described(scored: Scored) -> str:
    one = scored.result
    notes = [one.id[:8], f"seed {one.seed}"]
    notes += ["an oracle: it looks at the answer"] if one.rewriter.oracle else []
    notes += ["trained on images that it searched"] if one.seen else []
    return f"{one.rewriter.name} ({', '.join(notes)})"


def _names(base: Scored, other: Scored) -> tuple[str, str]:
    """What the two sides are called: by the rewriters' names, where these differ."""
    names = (base.result.rewriter.name, other.result.rewriter.name)
    return names if names[0] != names[1] else (base.result.id[:8], other.result.id[:8])


def _print_figures(console: Console, base: Scored, comparison: Comparison, corrected: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from grapebench.leaderboard import render
    from grapebench.leaderboard.board import Figure, Versus

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Figure", no_wrap=True)
    for column in _names(base, comparison.other):
        table.add_column(Text(column), justify="right", overflow="fold")
    for column in ("Δ", "p", *(["p, Holm"] if corrected else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for key, change in comparison.changes.items():
        delta = Figure(change.delta, change.low, change.high)
        raw, versus = Versus(delta, change.p), Versus(delta, change.adjusted)
        cells = [
            render.figure_name(key),
            render.percent(Figure(change.base)),
            render.percent(Figure(change.value)),
            f"{render.difference(delta)} {render.mark(versus)}",
            render.p_value(raw),
            *([render.p_value(versus)] if corrected else []),
        ]
        table.add_row(*map(Text, cells))
    console.print(table)


def _print_example(console: Console, title: str, row: dict[str, Any], names: tuple[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    figure = "rank" if "rank" in row else "average_precision"
    old, new = row[f"base_{figure}"], row[figure]
    change = f"{old:,} → {new:,}" if figure == "rank" else f"{100 * old:.1f} → {100 * new:.1f}"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, key in (("Query", "text"), (names[0], "base_rewrite"), (names[1], "rewrite")):
        if key in row:
            text = row[key] if key == "text" or row[key] != row.get("text") else "as it came"
            grid.add_row(Text(name), Text(text if len(text) <= _SHOWN else text[:_SHOWN] + " …"))
    console.print(Text(f"{title}: {figure.replace('_', ' ')} {change}, query {row['query_id']}"))
    console.print(grid)
    console.print()
