"""Rare synonyms of words and phrases: from a file beside the data, from the miniature's lexicon, or from WordNet."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256_json
from grapebench.records import Task
from grapebench.text import decoded

FILE = "synonyms.json"
WORDNET = "wordnet"


@dataclass(frozen=True)
class Synonyms:
    """Rarer words for a phrase in lower case; none where there are none."""

    of: Callable[[str], tuple[str, ...]]
    longest: int
    """How many words a phrase that has any may have."""
    sha256: str
    """Of where they come from."""


def find(spec: str | None, task: Task) -> Synonyms:
    """The synonyms that a setting names; None is those of the task. Raises UserError where there are none."""
    if spec == WORDNET:
        return from_wordnet()
    if spec is not None:
        return from_file(Path(spec))
    if (task.root / FILE).is_file():
        return from_file(task.root / FILE)
    if task.suite == "mini":
        from grapebench.world.english import rarer_words

        return from_words(rarer_words())
    return from_wordnet()


def from_words(words: Mapping[str, tuple[str, ...]]) -> Synonyms:
    longest = max((len(phrase.split()) for phrase in words), default=1)
    return Synonyms(lambda phrase: words.get(phrase, ()), longest, sha256_json(dict(words)))


def from_file(path: Path) -> Synonyms:
    """A JSON object of phrases and their lists of synonyms. Raises UserError where the file is not that."""
    try:
        told = json.loads(decoded(path.read_bytes(), path))
    except OSError as error:
        raise explain_os_error(error, path) from error
    except ValueError as error:
        raise UserError(f"is not JSON: {error}", file=path) from error
    fix = 'write one object of lists of texts: {"fish": ["carp", "trout"]}'
    if not isinstance(told, dict):
        raise UserError("is not an object", file=path, fix=fix)
    words: dict[str, tuple[str, ...]] = {}
    for phrase, some in told.items():
        if not isinstance(some, list) or not all(isinstance(one, str) and one.strip() for one in some):
            raise UserError(f"what is under {phrase!r} is not a list of texts", file=path, fix=fix)
        words[" ".join(phrase.casefold().split())] = tuple(one.strip() for one in some)
    return from_words(words)


def from_wordnet() -> Synonyms:
    """Nouns in the singular and the others of their most frequent sense that are counted less often than they are."""
    from grapebench.rewriters import wordnet

    words = wordnet.WordNet(wordnet.find())

    @functools.cache
    def of(phrase: str) -> tuple[str, ...]:
        lemma = phrase.replace(" ", "_")
        often = words.frequency(lemma)
        # A word that was never counted, or more often as something else, is rarely a noun where it stands.
        if not often or not words.mostly_noun(lemma):
            return ()
        rare = [one for one in words.synonyms(lemma) if words.frequency(one.lower()) < often]
        return tuple(one.replace("_", " ") for one in rare)

    return Synonyms(of, words.longest, words.sha256)
