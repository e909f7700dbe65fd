"""How ids are spelled: in Unicode's composed and decomposed forms, and in TREC files, where none holds white space."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from urllib.parse import quote, unquote


def composed(name: str) -> str:
    """In Unicode's form NFC: in file names macOS may write `é` as `e` and an accent, where others have one letter."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class Spellings:
    """Finds among known names the one that is meant by a name in another Unicode form."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._by_form: dict[str, str | None] = {}
        for name in self._known:
            if not name.isascii():
                form = composed(name)
                self._by_form[form] = None if form in self._by_form else name

    def __call__(self, name: str) -> str:
        """The known name; `name` itself where there is none, or where several differ in nothing else."""
        if name in self._known or name.isascii():
            return name
        return self._by_form.get(composed(name)) or name


def written(name: str) -> str:
    """An id as it stands in a TREC file: with the percent-encoding of its white space and of `%` (`photo%201.png`)
    where it holds white space, or looks like an id that was written so; any other as it is."""
    return _encoded(name) if _needs(name) else name


def read_back(text: str) -> str:
    """The id that `written` wrote so. The two are each other's inverse."""
    name = _decoded(text)
    return name if name is not None and _needs(name) else text


def _needs(name: str) -> bool:
    if "%" not in name:
        return bool(name) and name.split() != [name]
    inner = _decoded(name)
    return name.split() != [name] or (inner is not None and _needs(inner))


def _encoded(name: str) -> str:
    return "".join(quote(letter, safe="") if letter.isspace() or letter == "%" else letter for letter in name)


def _decoded(text: str) -> str | None:
    """What `_encoded` makes `text` of; None where it makes that of nothing, or where nothing is encoded in it."""
    if "%" not in text:
        return None
    try:
        name = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
    return name if name != text and _encoded(name) == text else None
