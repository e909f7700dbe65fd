"""RAQO's three data sets from what was tried: D_CCR, D_QRE and D_PRO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from grapebench.files import sha256
from grapebench.records import Query
from grapebench.rewriters.concepts import normal
from grapebench.training.raqo.contrast import Contrast
from grapebench.training.raqo.settings_data import Data
from grapebench.training.raqo.trials import Bounds, Trial

CCR, QRE, PRO = "ccr", "qre", "pro"
COMMON = ("query_id", "query", "language", "caption")
COLUMNS = {
    CCR: (*COMMON, "concepts"),
    QRE: (*COMMON, "concepts", "rewrite"),
    PRO: (*COMMON, "concepts", "rewrites", "rewards"),
}
Row = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True)
class Tried:
    """All trials, of queries in the order of the split."""

    queries: Sequence[Query]
    raw: Mapping[str, Trial]
    """Each query's own text, by its id."""
    rounds: Sequence[Sequence[Trial]]
    """Answers to ambiguous queries."""
    perturbed: Sequence[Trial]
    """Rare wordings of unambiguous queries, all of them."""


@dataclass(frozen=True)
class Solved:
    """What is learnt from one ambiguous query that was solved."""

    query: Query
    rewrites: tuple[Trial, ...]
    """Distinct texts that are kept, best first."""
    concepts: tuple[str, ...]


def solved(tried: Tried, bounds: Bounds, settings: Data) -> list[Solved]:
    """The ambiguous queries with a rewrite that is kept, in the order of the split."""
    by_query: dict[str, dict[str, Trial]] = {}
    for trial in (trial for some in tried.rounds for trial in some if trial.trouble is None):
        by_query.setdefault(trial.query_id, {}).setdefault(trial.text, trial)
    texts = {
        key: (
            [one.text for one in some.values() if bounds.fails(one)],
            [one.text for one in some.values() if bounds.finds(one)],
        )
        for key, some in by_query.items()
    }
    contrast = Contrast.learn(texts.values(), settings.smoothing)
    found = []
    for query in tried.queries:
        kept = [trial for trial in by_query.get(query.id, {}).values() if bounds.keeps(trial)]
        if not kept:
            continue
        best = tuple(sorted(kept, key=lambda trial: (-trial.cosine, trial.text)))
        if settings.concepts == "named":
            concepts = next((one.concepts for one in best if one.concepts), ())
        else:
            concepts = contrast.concepts(*texts[query.id], settings.most_concepts)
        found.append(Solved(query, best, normal(concepts)[: settings.most_concepts]))
    return found


def rows(tried: Tried, solved: Sequence[Solved], bounds: Bounds, settings: Data, seed: int) -> dict[str, list[Row]]:
    """The rows of each set: ambiguous queries, then rare wordings, then queries with nothing hard about them."""
    perturbed = [
        (number, trial)
        for number, trial in _numbered(tried.perturbed)
        if rejection(trial, tried, bounds, settings) == "kept"
    ]
    queries = {query.id: query for query in tried.queries}
    found: dict[str, list[Row]] = {CCR: [], QRE: [], PRO: []}
    for one in solved:
        common = _common(one.query)
        concepts = {"concepts": list(one.concepts)}
        if one.concepts:
            found[CCR].append(common | concepts)
        found[QRE].append(common | concepts | {"rewrite": one.rewrites[0].text})
        # Best and worst among them: neighbours teach the least.
        chosen = spread(one.rewrites, settings.candidates)
        if len(chosen) > 1:
            rewards = [trial.cosine for trial in chosen]
            found[PRO].append(common | concepts | {"rewrites": [trial.text for trial in chosen], "rewards": rewards})
    for number, trial in perturbed:
        query = queries[trial.query_id]
        common = _common(query) | {"query_id": f"{query.id}~{number}", "query": trial.text}
        concepts = {"concepts": list(normal(trial.concepts or ()))}
        found[CCR].append(common | concepts)
        found[QRE].append(common | concepts | {"rewrite": query.text})
    plain = [query for query in tried.queries if bounds.finds(tried.raw[query.id])]
    most = int(len(found[CCR]) * settings.none_share / (1 - settings.none_share))
    drawn = {query.id for query in sorted(plain, key=lambda query: sha256(f"none {seed} {query.id}"))[:most]}
    found[CCR] += [_common(query) | {"concepts": []} for query in plain if query.id in drawn]
    return found


def rejection(trial: Trial, tried: Tried, bounds: Bounds, settings: Data) -> str:
    """Why a rare wording is not used, or 'kept': it says the same, and the retriever knows clearly less of it."""
    if tried.raw[trial.query_id].cosine - trial.cosine < settings.drop:
        return "too little"
    return "kept" if bounds.keeps_meaning(trial) else "drifts"


def spread(some: Sequence[_T], most: int) -> list[_T]:
    """At most `most` of them at equal distances, the first and the last among them."""
    places = np.unique(np.linspace(0, len(some) - 1, min(most, len(some))).round().astype(int))
    return [some[place] for place in places]


def _numbered(some: Sequence[Trial]) -> list[tuple[int, Trial]]:
    """Each with which of its query's it is, from 1."""
    count: dict[str, int] = {}
    found = []
    for trial in some:
        count[trial.query_id] = count.get(trial.query_id, 0) + 1
        found.append((count[trial.query_id], trial))
    return found


def _common(query: Query) -> Row:
    caption = query.reference_caption or ""
    return {"query_id": query.id, "query": query.text, "language": query.language, "caption": caption}
