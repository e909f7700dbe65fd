"""What this process is busy with before it has anything to count: loading a model, reading data.

Whoever shows progress asks for it; whoever works says it, and need not know whether anybody looks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_now: list[str] = []
"""The innermost last."""


@contextlib.contextmanager
def during(what: str) -> Iterator[None]:
    """Within the block this is what is done, in words that follow a name: 'loading the model'."""
    _now.append(what)
    try:
        yield
    finally:
        _now.remove(what)


def current() -> str:
    """What is done now; empty where nobody says."""
    # Another thread may end what it did between two looks.
    return next(iter(_now[-1:]), "")
