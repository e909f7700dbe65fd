"""The miniature's ten foreign languages: from a language-free content to one grammatical caption."""

from __future__ import annotations

import random
from functools import cache
from importlib import import_module

from grapebench.errors import UserError
from grapebench.world.content import Content
from grapebench.world.languages.sentences import Language

_MODULES = {
    "zh": "chinese", "de": "german", "es": "spanish", "fr": "french", "id": "indonesian",
    "it": "italian", "ja": "japanese", "nl": "dutch", "tr": "turkish", "sv": "swedish",
}  # fmt: skip
LANGUAGES: tuple[str, ...] = tuple(_MODULES)


@cache
def _language(code: str) -> Language:
    if code not in _MODULES:
        raise UserError(f"no language '{code}'", fix=f"one of {', '.join(LANGUAGES)}")
    found = import_module(f"{__name__}.{_MODULES[code]}").LANGUAGE
    assert isinstance(found, Language)
    return found


def realise(content: Content, language: str, rng: random.Random) -> str:
    """One sentence (or two short ones) saying every fact of `content` and nothing else.

    The same content, language and state of `rng` give the same text. Raises UserError for an unknown language.
    """
    return _language(language).realise(content, rng)


def vocabulary(language: str) -> dict[tuple[str, str], frozenset[str]]:
    """Every written form of every concept, keyed by (kind, concept); the article is not part of a noun's form.

    Kinds are 'object', 'colour', 'size', 'texture', 'relation' and 'background'. Raises UserError for an unknown
    language.
    """
    return _language(language).vocabulary()
