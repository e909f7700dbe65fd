"""Which languages a sentence encoder knows, as its model card says, and whether queries are in these."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from grapebench.errors import UserError
from grapebench.records import Query
from grapebench.training.raqo.checks import warn

CARD = "README.md"
MANY = "multilingual"
NAMED_SO = re.compile(r"multilingual|labse|bge-m3", re.IGNORECASE)
"""Names of encoders of many languages, where no card is at hand."""
WIDE = "--set data.sentence_model=sentence-transformers/LaBSE"
"""Says an encoder of 109 languages."""


def check(model: str, queries: Sequence[Query]) -> None:
    """Raises UserError where the encoder knows the language of no query; warns where it does not know that of some, or
    where nothing says which it knows."""
    asked = Counter(_primary(query.language) for query in queries)
    known = of(model)
    if known is None:
        others = asked.total() - asked["en"]
        if others:
            warn(
                f"nothing says which languages {model} knows, and {others:,} of {asked.total():,} queries are not "
                f"English; write `language:` into the head of its {CARD}, or {WIDE}"
            )
        return
    foreign = {language: count for language, count in asked.items() if not known & {language, MANY}}
    if not foreign:
        return
    said = f"{model} knows {_listed(known)}, and {sum(foreign.values()):,} of {asked.total():,} queries are in "
    said += _listed(foreign)
    if len(foreign) == len(asked):
        raise UserError(
            f"{said}: it cannot judge whether a rewrite keeps to them", fix=f"take one of many languages: {WIDE}"
        )
    warn(f"{said}: what it says of these is chance; take one of many languages: {WIDE}")


def of(model: str) -> frozenset[str] | None:
    """Primary subtags, 'multilingual' among them for an encoder of any language; None where nothing says so."""
    text = _card(model)
    declared = _declared(text) if text is not None else frozenset[str]()
    if declared - {MANY}:
        return declared - {MANY}  # a list says more than that there are many
    return declared or (frozenset([MANY]) if NAMED_SO.search(Path(model).name) else None)


def _card(model: str) -> str | None:
    """The text of a model's card, in its folder or on the hub."""
    folder = Path(model).expanduser()
    path = folder / CARD if folder.is_dir() else _of_hub(model)
    return path.read_text(encoding="utf-8", errors="replace") if path is not None and path.is_file() else None


def _of_hub(model: str) -> Path | None:
    """The card's file, from the hub's cache or the hub; None where neither gives it."""
    from huggingface_hub import hf_hub_download

    for cached in (True, False):
        # Neither is an error: the weights may be there without it, and no network.
        with contextlib.suppress(Exception):
            return Path(hf_hub_download(model, CARD, local_files_only=cached))
    return None


def _declared(card: str) -> frozenset[str]:
    """What stands under `language` in the metadata at the head of a card: one, or a list."""
    import yaml

    parts = re.split(r"^---\s*$", card.lstrip("\ufeff\n"), maxsplit=2, flags=re.MULTILINE)
    if len(parts) < 3:
        return frozenset()
    try:
        # Plain texts alone: "no" is Norwegian.
        head = yaml.load(parts[1], yaml.BaseLoader)
    except yaml.YAMLError:
        return frozenset()
    told = head.get("language") if isinstance(head, dict) else None
    some = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    return frozenset(_primary(one) for one in some if isinstance(one, str) and one)


def _primary(language: str) -> str:
    return re.split("[-_]", language)[0].lower()


def _listed(languages: object) -> str:
    some = sorted(languages)  # type: ignore[call-overload]
    return ", ".join(some[:8]) + (f" and {len(some) - 8} more" if len(some) > 8 else "")
