"""What a rewriter gives, checked one by one."""

from __future__ import annotations

import dataclasses
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from grapebench.errors import UserError
from grapebench.records import Query, Rewrite
from grapebench.registry import advice
from grapebench.rewriters import LoadedRewriter


def checked(loaded: LoadedRewriter, queries: Mapping[str, Query]) -> Iterator[Rewrite]:
    """The rewriter's answers to queries by id. Raises UserError where it fails or an answer does not fit."""
    seen: set[str] = set()
    try:
        for answer in loaded.rewriter.rewrite(list(queries.values())):
            yield _checked(loaded.name, answer, queries, seen)
    except UserError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        file, line = _place(error, loaded) or (None, None)
        raise UserError(
            f"rewriter {loaded.name!r} failed after {len(seen)} of {len(queries)} queries: {said}",
            file=file,
            line=line,
            fix=advice(error, Path(file)) if file else None,
        ) from error


def failed(rewrite: Rewrite) -> bool:
    """Whether no answer came at all (a server failed, say), so that it is asked for again: never for what was said."""
    return rewrite.fallback is not None and rewrite.raw is None


def unanswered(rewrite: Rewrite) -> str | None:
    """Why an answer that the rewrite is made of never came; None where all did."""
    return rewrite.fallback if failed(rewrite) else rewrite.trace.get("unanswered")


def _checked(name: str, answer: object, queries: Mapping[str, Query], seen: set[str]) -> Rewrite:
    """One answer as it may be stored. Raises UserError where it fits no query or no shape."""
    if not isinstance(answer, Rewrite):
        raise UserError(f"rewriter {name!r} gave a {type(answer).__name__}", fix="yield grapebench.records.Rewrite")
    query = queries.get(answer.query_id)
    if query is None:
        raise UserError(f"rewriter {name!r} answered a query it was not asked: {answer.query_id!r}")
    if query.id in seen:
        raise UserError(f"rewriter {name!r} answered query {query.id!r} twice")
    for field, kind in (("texts", str), ("images", str), ("vectors", tuple)):
        value = getattr(answer, field)
        if not isinstance(value, tuple) or not all(isinstance(part, kind) for part in value):
            raise UserError(
                f"rewriter {name!r}, query {query.id!r}: {field} must be a tuple of {kind.__name__}, not {value!r}"
            )
    parts = len(answer.texts) + len(answer.images) + len(answer.vectors)
    if answer.weights and len(answer.weights) != parts:
        raise UserError(
            f"rewriter {name!r}, query {query.id!r}: {len(answer.weights)} weights for {parts} texts, images and "
            "vectors"
        )
    seen.add(query.id)
    if not answer.images and not answer.vectors and not any(text.strip() for text in answer.texts):
        if answer.fallback is not None:
            return dataclasses.replace(answer, texts=(query.text,), weights=())
        # Nothing was its answer, and no failure: it is not asked again.
        return dataclasses.replace(answer, texts=(query.text,), weights=(), fallback="empty", raw=answer.raw or "")
    return answer


def _place(error: Exception, loaded: LoadedRewriter) -> tuple[str, int] | None:
    """File and line of the rewriter's own code that an error passed through last."""
    own = getattr(sys.modules.get(type(loaded.rewriter).__module__), "__file__", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return (own, lines[-1] or 1) if own and lines else None
