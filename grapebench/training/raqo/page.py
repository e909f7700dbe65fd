"""One page to look through the data: what was tried for a query, what it found, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grapebench import files
from grapebench.records import Query
from grapebench.rewriters.concepts import write as written
from grapebench.training.raqo.sets import Solved, Tried, rejection, spread
from grapebench.training.raqo.settings_data import Data
from grapebench.training.raqo.trials import Bounds, Trial

SHOWN = 100
"""Of each kind of query so many, spread over the split."""


@dataclass(frozen=True)
class Line:
    """A text that was searched."""

    what: str
    text: str
    trial: Trial
    outcome: str


@dataclass(frozen=True)
class Entry:
    """A query with all that was tried for it."""

    query: Query
    concepts: str
    """'' where nothing is learnt of the query."""
    lines: tuple[Line, ...]


def write(
    path: Path,
    tried: Tried,
    solved: Sequence[Solved],
    bounds: Bounds,
    settings: Data,
    card: Mapping[str, Any],
) -> None:
    from jinja2 import Environment, FileSystemLoader

    here = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    told = {"card": card, "sections": sections(tried, solved, bounds, settings), "shown": SHOWN}
    files.write_text(path, here.get_template("data.html").render(told))


def sections(
    tried: Tried, solved: Sequence[Solved], bounds: Bounds, settings: Data
) -> list[tuple[str, str, int, list[Entry]]]:
    """Title, explanation, how many there are, and some of them."""
    answers: dict[str, list[Line]] = {}
    for number, some in enumerate(tried.rounds, 1):
        for trial in some:
            text = trial.text if trial.trouble is None else trial.trouble
            line = Line(f"round {number}", text, trial, bounds.outcome(trial))
            answers.setdefault(trial.query_id, []).append(line)
    worded: dict[str, list[Line]] = {}
    for trial in tried.perturbed:
        line = Line(
            f"rare: {written(trial.concepts or ())}", trial.text, trial, rejection(trial, tried, bounds, settings)
        )
        worded.setdefault(trial.query_id, []).append(line)

    def entry(query: Query, lines: Mapping[str, list[Line]], concepts: str) -> Entry:
        raw = tried.raw[query.id]
        own = Line("query", query.text, raw, "")
        best = sorted(lines.get(query.id, []), key=lambda line: (line.trial.rank or 10**9, -line.trial.cosine))
        return Entry(query, concepts, (own, *best))

    found = {one.query.id: one for one in solved}
    ambiguous = [query for query in tried.queries if bounds.fails(tried.raw[query.id])]
    kinds = (
        (
            "Ambiguous and solved",
            "Some answer finds the image; the best one is learnt, and their order.",
            [query for query in ambiguous if query.id in found],
            answers,
        ),
        (
            "Ambiguous and unsolved",
            "No answer is kept; nothing is learnt.",
            [query for query in ambiguous if query.id not in found],
            answers,
        ),
        (
            "Unambiguous, in rare words",
            "A rare wording is kept where the cosine with the image falls clearly; it is learnt to be undone.",
            [query for query in tried.queries if query.id in worded],
            worded,
        ),
    )
    told = []
    for title, about, queries, lines in kinds:
        entries = [
            entry(query, lines, _named(found[query.id].concepts) if query.id in found else "")
            for query in spread(queries, SHOWN)
        ]
        told.append((title, about, len(queries), entries))
    return told


def _named(concepts: Sequence[str]) -> str:
    """'None' would say that nothing in the query is hard."""
    return written(concepts) if concepts else "no concept stands out"
