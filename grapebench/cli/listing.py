"""`grapebench tasks | rewriters | retrievers | captioners`: what can be named on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grapebench.cards import Card, RewriterCard, SuiteCard, TaskCard
    from grapebench.datasets.seen import Seen

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, with everything the card says.")]


def tasks(json: Json = False) -> None:
    """List the tasks."""
    from grapebench import catalog

    cards = [catalog.task_card(name).card for name in catalog.task_names()]
    if json:
        return _print_json(map(_values, cards))
    _print_table(
        ["task", "title", "rewriting", "languages", "mini", "full"],
        [(card.name, card.title, card.family, _languages(card), _size(card.mini), _size(card.full)) for card in cards],
        caption="mini, full: the default split's queries/images",
    )


def rewriters(json: Json = False) -> None:
    """List the rewriters. --rewriter also takes path/to/card.toml and path/to/file.py:Class."""
    from grapebench import catalog
    from grapebench.datasets.seen import seen_of

    found = [catalog.rewriter_card(name) for name in catalog.rewriter_names()]
    trained = [(loaded.card, seen_of(loaded)) for loaded in found]
    if json:
        return _print_json(_values(card) | _seen_values(seen) for card, seen in trained)
    _print_table(
        ["rewriter", "title", "mechanism", "tasks", "suites"],
        [
            (
                card.name,
                card.title
                + (" (looks at the answer)" if card.oracle else "")
                + (f" (trained on {seen})" if seen else ""),
                card.mechanism,
                _for_tasks(card),
                ", ".join(card.suites),
            )
            for card, seen in trained
        ],
    )


def retrievers(json: Json = False) -> None:
    """List the retrievers. --retriever also takes MODEL@PRETRAINED, a directory and path/to/file.py:Class."""
    from grapebench import catalog

    cards = [catalog.retriever_card(name).card for name in catalog.retriever_names()]
    if json:
        return _print_json(map(_values, cards))
    _print_table(
        ["retriever", "title", "mechanism", "default for"],
        [(card.name, card.title, card.mechanism, ", ".join(card.default_for)) for card in cards],
    )


def captioners(json: Json = False) -> None:
    """List the captioners. --captioner also takes path/to/card.toml and path/to/file.py:Class."""
    from grapebench import catalog

    cards = [catalog.captioner_card(name).card for name in catalog.captioner_names()]
    if json:
        return _print_json(map(_values, cards))
    _print_table(
        ["captioner", "title", "mechanism", "suites"],
        [(card.name, card.title, card.mechanism, ", ".join(card.suites)) for card in cards],
    )


def _languages(card: TaskCard) -> str:
    """Their names, or their number where they are many; the miniature's beside it where it has fewer."""
    named = ", ".join(card.languages) if len(card.languages) <= 3 else str(len(card.languages))
    return f"{named} (mini: {len(card.mini.languages)})" if card.mini and card.mini.languages else named


def _for_tasks(card: RewriterCard) -> str:
    if card.tasks:
        return f"{len(card.tasks)} tasks" if len(card.tasks) > 1 else next(iter(card.tasks))
    return "all" if len(card.families) == 3 else ", ".join(card.families)


def _size(suite: SuiteCard | None) -> str:
    if suite is None:
        return "–"
    split = suite.splits.get(suite.default_split)
    if split is None:
        return suite.default_split
    return "/".join("?" if count is None else f"{count:,}" for count in (split.queries, split.images))


def _values(card: Card) -> dict[str, Any]:
    return card.model_dump(mode="json", exclude_none=True)


def _seen_values(seen: Seen | None) -> dict[str, Any]:
    """What a rewriter was trained on, without the hashes of its images."""
    return {"seen": [source.model_dump(mode="json") for source in seen.sources]} if seen else {}


def _print_json(cards: Iterable[dict[str, Any]]) -> None:
    import json

    for card in cards:
        # Escaped to ASCII, so that any pipe and any locale takes it.
        print(json.dumps(card))


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], caption: str | None = None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    # Narrow gaps and folded titles, so that 80 columns hold every name and figure in one piece.
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        caption=caption,
        caption_justify="left",
    )
    for column in columns:
        figures = column in ("mini", "full")
        table.add_column(column, no_wrap=column != "title", overflow="fold", justify="right" if figures else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
