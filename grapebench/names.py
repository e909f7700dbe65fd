"""How ids are spelled: in Unicode's composed and decomposed forms, and in TREC files, where none holds white space."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from grapebench.errors import UserError


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
    """An id as it stands in a TREC file: one that holds white space in percent-encoding (`photo%201.png`), others as
    they are, even where they hold a `%`."""
    if not any(letter.isspace() for letter in name):
        return name
    return "".join(quote(letter, safe="") if letter.isspace() or letter == "%" else letter for letter in name)


def read_back(known: Iterable[str]) -> dict[str, str]:
    """Of known ids, those that TREC files write otherwise, by what stands there."""
    return {form: name for name in known if (form := written(name)) != name}


def check_writable(names: Iterable[str], noun: str) -> None:
    """Raises UserError for ids that no TREC file can hold: an empty one, and two that would stand there as one."""
    known = frozenset(names)
    if "" in known:
        raise UserError(f"the id of a {noun} is empty")
    for form, name in read_back(known).items():
        if form in known:
            what = f"the {noun}s {name!r} and {form!r} cannot be told apart in a TREC file, which has no white space"
            raise UserError(what, fix="rename one of them")
