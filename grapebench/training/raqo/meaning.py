"""Whether a text still says what is asked for: by the facts that it says, or by sentence embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grapebench.errors import UserError, missing_extra
from grapebench.records import Query, Task
from grapebench.training.raqo import languages
from grapebench.training.raqo.settings_data import Data

Score = Callable[[Sequence[Query], Sequence[str]], list[float]]
"""One number for each text, of which each belongs to a query."""


@dataclass(frozen=True)
class Meaning:
    """A judge of texts. What it gives less than `least` has left the matter."""

    rewrites: Score
    """Of texts that stand for queries."""
    wordings: Score
    """Of texts that say the queries' own texts in other words."""
    least: float
    identity: Any
    """All that its numbers depend on, as JSON."""


def find(settings: Data, task: Task, queries: Sequence[Query]) -> Meaning | None:
    """The judge that the settings ask for; None where they want none. Raises UserError where it cannot be had."""
    from grapebench.world.survival import shown

    if settings.meaning == "none":
        return None
    known = shown(task, queries) if settings.meaning in ("auto", "facts") else None
    if known is not None:
        return by_facts(known, settings.keep_facts)
    if settings.meaning == "facts":
        raise UserError(
            f"nothing says what the images of {task.name} show", fix="--set data.meaning=sentences asks embeddings"
        )
    found = by_sentences(settings.sentence_model, settings.keep_sentences)
    languages.check(settings.sentence_model, queries)
    return found


def by_facts(shown: Mapping[str, frozenset[Any]], least: float) -> Meaning:
    """By the facts of the generated world.

    Of a rewrite the share of its facts that the right image shows, or that were said: the caption of a reference image
    may be mistaken, and a rewriter can only go by it. A text without facts says nothing right. Of a rare wording the
    share of facts that it and the query have in common, of those that either says.
    """
    from grapebench.world.parse import parse

    def rewrites(queries: Sequence[Query], texts: Sequence[str]) -> list[float]:
        found = []
        for query, text in zip(queries, texts, strict=True):
            told = (parse(one).facts() for one in (query.text, query.reference_caption or ""))
            facts = parse(text).facts()
            found.append(len(facts & shown[query.id].union(*told)) / len(facts) if facts else 0.0)
        return found

    def wordings(queries: Sequence[Query], texts: Sequence[str]) -> list[float]:
        both = [(parse(query.text).facts(), parse(text).facts()) for query, text in zip(queries, texts, strict=True)]
        return [len(one & other) / len(one | other) if one | other else 1.0 for one, other in both]

    return Meaning(rewrites, wordings, least, {"facts": 1})


def by_sentences(model: str, least: float) -> Meaning:
    """Cosine of sentence embeddings; a rewrite of a composed query is held against the caption and the wish together.

    Raises UserError where sentence-transformers or the model is missing.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise missing_extra("sentence-transformers", "raqo") from error
    from grapebench.rewriters.models import locate

    located = locate(model, Path(), "main")
    loaded: list[Any] = []

    def vectors(texts: Sequence[str]) -> np.ndarray:
        if not loaded:
            # No code of the model's own is run.
            loaded.append(SentenceTransformer(str(located.folder), trust_remote_code=False))
        distinct = list(dict.fromkeys(texts))
        made = loaded[0].encode(distinct, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
        place = {text: row for row, text in enumerate(distinct)}
        found: np.ndarray = np.asarray(made, np.float32)[[place[text] for text in texts]]
        return found

    def cosines(ones: Sequence[str], others: Sequence[str]) -> list[float]:
        if not ones:
            return []
        found: list[float] = np.clip(np.vecdot(vectors(ones), vectors(others)), -1, 1).tolist()
        return found

    def rewrites(queries: Sequence[Query], texts: Sequence[str]) -> list[float]:
        return cosines([". ".join(filter(None, (query.reference_caption, query.text))) for query in queries], texts)

    def wordings(queries: Sequence[Query], texts: Sequence[str]) -> list[float]:
        return cosines([query.text for query in queries], texts)

    return Meaning(rewrites, wordings, least, {"sentences": located.identity})
