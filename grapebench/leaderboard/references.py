"""What rows are measured by: the raw query text, the best row without a language model, and the rows of some cards."""

from __future__ import annotations

from collections.abc import Iterable

from grapebench import catalog
from grapebench.leaderboard.board import Row, main_figure


def named() -> frozenset[str]:
    """Names of the rewriters whose cards say that others are measured by them.

    By name, so that results made anywhere, and before a card said so, are told to be references.
    """
    return frozenset(name for name in catalog.rewriter_names() if catalog.rewriter_card(name).card.reference)


def without_language_model(rows: Iterable[Row]) -> Row | None:
    """The best by the main figure of the rows without a language model; None where none is better than the raw text.

    `rows` are ranked ones of one table, in its order; of equally good ones it is the first.
    """
    found = None
    for row in rows:
        if row.results[0].rewriter.language_model is not False:  # not known is not without
            continue
        main = main_figure(row.results[0].protocol)
        value, raw = row.figures[main].value, row.results[0].metrics_before.get(main, 0.0)
        if value > raw and (found is None or value > found.figures[main].value):
            found = row
    return found
