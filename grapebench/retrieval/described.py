"""The fingerprint and the description of a retriever whose class does not give them itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from grapebench import source_code
from grapebench.errors import UserError
from grapebench.files import sha256_json

_LOOKUPS = ("look_up_images", "look_up_texts")


def described(made: Any, given: Sequence[Any], file: Path | None) -> Any:
    """The same instance, with the hash of its class's source and of what it was `given` for a fingerprint, and both in
    its description, where the class leaves them out; one that it only inherits counts too, and is asked for as late as
    before. `file` is the file that the class was taken from.

    Raises UserError for one that looks vectors up and does not say when these change, as nothing else could.
    """
    mechanism = type(made)
    own = {part: source_code.own_word(made, part) for part in ("fingerprint", "description")}
    if all(own.values()):
        return made
    said = hasattr(mechanism, "fingerprint") or "fingerprint" in getattr(made, "__dict__", {})
    if not said and any(hasattr(mechanism, part) for part in _LOOKUPS):
        raise UserError(
            f"{mechanism.__name__} brings vectors along and has no fingerprint: nothing says when they change",
            fix="give it one that holds their hash (grapebench.files.sha256_file)",
        )
    source = source_code.source_sha256(mechanism, file)
    made_of = [source, mechanism.__qualname__, *given]
    told: dict[str, Any] = {"class": mechanism.__name__, "settings": list(given), "source_sha256": source}

    def inherited(part: str) -> Any:
        if part in getattr(made, "__dict__", {}):
            return vars(made)[part]
        return getattr(super(completed, made), part, None)

    @functools.cache
    def fingerprint() -> str:
        said = inherited("fingerprint")
        return sha256_json(made_of if said is None else [*made_of, said])

    @functools.cache
    def description() -> dict[str, Any]:
        return {**(inherited("description") or {}), **told}

    ways: dict[str, Callable[[], Any]] = {"fingerprint": fingerprint, "description": description}
    body = {part: _told_by(way) for part, way in ways.items() if not own[part]}
    # A class of its own for this one instance: protocols are looked for on the class, so that no wrapper would do.
    completed = type(mechanism.__name__, (mechanism,), {"__module__": mechanism.__module__, "__slots__": (), **body})
    object.__setattr__(made, "__class__", completed)  # a frozen one refuses to be set
    return made


def _told_by(way: Callable[[], Any]) -> property:
    return property(lambda _: way())
