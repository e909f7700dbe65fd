"""Prompts that do not fit a model's context: the query's text loses its end, the instruction nothing."""

from __future__ import annotations

from collections.abc import Callable

from grapebench.errors import UserError
from grapebench.rewriters.engines import Message, Request


def fit(
    request: Request, tokenise: Callable[[tuple[Message, ...]], list[int]], limit: int
) -> tuple[tuple[Message, ...], list[int], dict[str, str]]:
    """The request's messages with as much of the query's text as fits `limit` tokens, their tokens, and the trace.

    For a request known not to fit whole; the most that fits is found by bisection. Raises UserError where not a single
    character does.
    """
    best: tuple[tuple[Message, ...], list[int]] | None = None
    fits, too_long = 0, request.length
    while too_long - fits > 1:
        length = (fits + too_long) // 2
        messages = request.shorter(length)
        tokens = tokenise(messages) if messages else None
        if messages and tokens and len(tokens) <= limit:
            best, fits = (messages, tokens), length
        else:
            too_long = length
    if best is None:
        least = len(tokenise(request.shorter(1) or request.messages))
        raise UserError(
            f"the prompt of query {request.key!r} takes {least} tokens with one character of the query, and {limit} "
            "are left",
            fix="shorten the prompt or lower max_new_tokens",
        )
    said = f"the first {fits} of {request.length} characters of the query fit the model"
    return *best, {"cut prompt": said}
