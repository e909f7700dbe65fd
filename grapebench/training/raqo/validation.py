"""What a stage has come to: val queries asked as at inference (ReCoT), read, searched and ranked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from grapebench.records import Rewrite
from grapebench.rewriters import concepts, output, recot
from grapebench.rewriters.engines import Answer, Request
from grapebench.training import policy
from grapebench.training.raqo.examples import Row, query_of
from grapebench.training.validation import Validation

if TYPE_CHECKING:
    from grapebench.rewriters.models import Chat


def measure(validation: Validation, model: Any, taught: Sequence[Row] = ()) -> dict[str, Any]:
    """The figures of greedy rewrites, as JSON: those of GRAPE's validations, what is said of the detections (None for
    a model that detects nothing), and some queries with what became of them.

    `taught` are rows of D_CCR, whose concepts are compared with those that are detected now.
    """
    began = time.perf_counter()
    queries, rewriter = validation.part.queries, validation.rewriter
    ask = asking(model, validation.chat, rewriter.engine.settings)  # type: ignore[attr-defined]
    by_id = {rewrite.query_id: rewrite for rewrite in rewriter.rewrite_by(ask, queries, len(queries))}
    rewrites = [by_id[query.id] for query in queries]
    figures, samples = validation.judged(rewrites, 0)
    shown = [
        sample.model_dump(include={"query_id", "query", "rewrite", "rank"})
        | {recot.CONCEPTS: by_id[sample.query_id].trace.get(recot.CONCEPTS)}
        for sample in samples
    ]
    return {
        "queries": len(queries),
        **figures.model_dump(by_alias=True),
        "detection": detection(rewrites),
        "taught": agreement(rewriter.rewrite_by(ask, [query_of(row) for row in taught], len(taught)), taught),
        "seconds": time.perf_counter() - began,
        "samples": shown,
    }


def asking(model: Any, chat: Chat, settings: Any) -> recot.Ask:
    """Greedy answers of a model in training, in the place of an engine's."""

    def ask(requests: Sequence[Request]) -> Iterable[Answer]:
        keys = [request.key for request in requests]
        prompts = policy.prompts(chat, requests, settings.max_new_tokens)
        return policy.answers(model, chat, keys, prompts, settings.max_new_tokens, settings.batch_tokens)

    return ask


def agreement(rewrites: Iterable[Rewrite], taught: Sequence[Row]) -> float | None:
    """Mean F1 of detected concepts and those of the rows, which have ids of their own; two that name none agree
    wholly, and what cannot be read agrees with nothing. None where nothing is detected, or there are no rows."""
    wanted = {row["query_id"]: {concept.casefold() for concept in row["concepts"]} for row in taught}
    shares = []
    for rewrite in rewrites:
        if recot.CONCEPTS in rewrite.trace:
            named = {concept.casefold() for concept in concepts.read(rewrite.trace[recot.CONCEPTS])[0]}
            known = wanted[rewrite.query_id]
            shares.append(2 * len(named & known) / (len(named) + len(known)) if named or known else 1.0)
        elif output.UNDETECTED in rewrite.trace:
            shares.append(0.0)
    return fmean(shares) if shares else None


def detection(rewrites: Sequence[Rewrite]) -> dict[str, float] | None:
    """Shares of the detections: those that can be read, and those that say None; and the mean number of concepts in
    those that name some (0 where none does)."""
    told = [rewrite.trace[recot.CONCEPTS] for rewrite in rewrites if recot.CONCEPTS in rewrite.trace]
    if not told and not any(output.UNDETECTED in rewrite.trace for rewrite in rewrites):
        return None
    counts = [len(concepts.read(text)[0]) for text in told]
    named = [count for count in counts if count]
    return {
        "readable": len(told) / len(rewrites),
        "none": (len(counts) - len(named)) / len(rewrites),
        "concepts": fmean(named) if named else 0.0,
    }
