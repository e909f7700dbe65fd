"""`grapebench leaderboard diff X.Y [X.Z]`: what moved between two releases, or since one, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from grapebench.cli.leaderboard.build import Results

if TYPE_CHECKING:
    from grapebench.leaderboard.frozen import FrozenFigure, FrozenRow, Release
    from grapebench.leaderboard.movement import Move, Place

NOW = "now"


def diff(
    old: Annotated[str, typer.Argument(metavar="X.Y", help="A release.")],
    new: Annotated[
        str | None, typer.Argument(metavar="[X.Z]", help="A later release.", show_default="the board as it is now")
    ] = None,
    results: Results = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lists.")] = False,
) -> None:
    """Say which rows came, left or changed since a release, and why, as far as what was frozen tells."""
    from grapebench.cli.leaderboard.release import freeze, read
    from grapebench.leaderboard import store, versions
    from grapebench.leaderboard.movement import moved

    folder = (results or store.published_dir()).parent / "versions"
    first = versions.read(folder, old)
    second = freeze(NOW, read(results)[0]) if new is None else versions.read(folder, new)
    moves = moved(first, second)
    if json:
        _print_json(first, second, moves)
    else:
        _print_lists(first, second, moves)


def _print_json(old: Release, new: Release, moves: list[Move]) -> None:
    import json

    shown = [
        {
            "kind": move.kind,
            **move.place.table.model_dump(include={"suite", "task", "split", "protocol", "limit", "retriever"}),
            "label": move.place.row.label,
            "rewriter": move.place.row.rewriter,
            "reasons": move.reasons,
            "old": _state(move.old),
            "new": _state(move.new),
        }
        for move in moves
    ]
    ends = ({"version": one.version, "benchmark": one.benchmark, "date": one.date} for one in (old, new))
    print(json.dumps(dict(zip(("old", "new"), ends, strict=True)) | {"moves": shown}, ensure_ascii=False))


def _state(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    found = place.row.model_dump(include={"label", "rank", "figures", "raw"}, exclude_none=True)
    return found | {"results": [result.id for result in place.row.results]}


def _print_lists(old: Release, new: Release, moves: list[Move]) -> None:
    from collections import Counter

    from rich.console import Console
    from rich.text import Text

    console = Console()
    ends = " → ".join(f"{one.version} ({one.date}, rules {one.benchmark})" for one in (old, new))
    console.print(Text(ends, style="italic"))
    if not moves:
        console.print(Text("Nothing moved."))
        return
    title = None
    for move in moves:
        if move.place.table.name != title:
            title = move.place.table.name
            console.print()
            console.print(Text(title, style="bold"))
        console.print(Text(f"  {move.kind:<15} {move.place.row.label}  {_told(move)}".rstrip()), soft_wrap=True)
        for reason in move.reasons:
            console.print(Text(f"{'':<18}{reason}", style="dim"), soft_wrap=True)
    counts = Counter(move.kind for move in moves)
    console.print()
    console.print(Text(", ".join(f"{count} {kind}" for kind, count in counts.items())))


def _told(move: Move) -> str:
    """The figures that moved, in percent, before and after; of a row that came or left the one that ranks."""
    if move.old is None or move.new is None:
        place = move.place
        figure = place.row.figures.get(place.table.main)
        rank = [] if place.row.rank is None else [f"rank {place.row.rank}"]
        return ", ".join([*rank, *([f"{place.table.main} {_percent(figure)}"] if figure else [])])
    old, new = move.old.row, move.new.row
    told = [f"rank {_rank(old)} → {_rank(new)}"] if old.rank != new.rank else []
    told += [
        f"{key} {_percent(old.figures[key])} → {_percent(figure)}"
        for key, figure in new.figures.items()
        if key in old.figures and figure != old.figures[key]
    ]
    return ", ".join(told)


def _rank(row: FrozenRow) -> str:
    return "none" if row.rank is None else str(row.rank)


def _percent(figure: FrozenFigure) -> str:
    return f"{100 * figure.value:.1f}"
