"""The best images of each query of a result, from wherever its run is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grapebench.errors import UserError
from grapebench.evaluation import trec
from grapebench.leaderboard import runs
from grapebench.leaderboard.at_hand import AtHand
from grapebench.leaderboard.store import Stored
from grapebench.records import Query, Rewrite

DEPTH = 10
"""How many images of each query the site shows."""

Tops = dict[str, tuple[str, ...]]
"""Query id to the ids of its best images, best first."""


def tops(stored: Stored, store: Path) -> Tops | None:
    """From the run file beside the result, or that of the same result in the user's `store`; None where neither is.

    A run counts only where its hash is the one that the result names. Raises UserError where it is no run.
    """
    path = runs.locate(stored, store)
    return None if path is None else _images(runs.best(trec.read_run(path), DEPTH))


def searched(hand: AtHand, rewrites: Sequence[Rewrite] | None) -> Tops | None:
    """By searching again, as `AtHand.best`."""
    found = hand.best(rewrites, DEPTH)
    return None if found is None else _images(found)


def _images(found: Mapping[str, runs.Found]) -> Tops:
    return {query: tuple(image for image, _ in some) for query, some in found.items()}


def require_known(found: Tops, images: frozenset[str], path: Path) -> None:
    """UserError where a run names an image that is not searched."""
    strangers = {image for some in found.values() for image in some} - images
    if strangers:
        raise UserError(f"the run names images outside the gallery, such as {min(strangers)!r}", file=path)


def require_agreement(found: Tops, queries: Sequence[Query], rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """UserError where many right images stand elsewhere than their ranks say.

    Another machine may turn round two nearly equal scores, so that one in a hundred may differ.
    """
    positives = {query.id: frozenset(query.positives) for query in queries}
    ranks = {row["query_id"]: row["rank"] for row in rows if row.get("rank") is not None and not row.get("equal")}
    wrong = 0
    for name, rank in ranks.items():
        images = found.get(name, ())
        place = next((number for number, image in enumerate(images, 1) if image in positives[name]), DEPTH + 1)
        wrong += min(place, DEPTH + 1) != min(rank, DEPTH + 1)
    if wrong > len(ranks) / 100:
        what = f"searching again puts {wrong:,} of {len(ranks):,} right images elsewhere than the ranks say"
        raise UserError(what, file=path)
