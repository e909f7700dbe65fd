"""The nouns of WordNet, read from its database files as every distribution of it holds them.

The format is that of the manual pages wndb(5WN), cntlist(5WN) and morphy(7WN). NLTK's reader wants more than that: its
own layout of folders, two files that Debian's package leaves out, and a table of senses that takes seconds to make.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256, sha256_json

FILES = ("index.noun", "data.noun", "noun.exc", "cntlist.rev")
VARIABLE = "WNSEARCHDIR"
"""WordNet's own environment variable for the folder of its database."""
INSTALLED = Path("/usr/share/wordnet")
"""Where Debian's package wordnet-base puts it."""

_DETACH = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)
_NOUN = "1"
"""The part of speech in a sense key (senseidx(5WN)): 1 noun, 2 verb, 3 adjective, 4 adverb, 5 adjective satellite."""


def find(folder: Path | None = None) -> Path:
    """The folder of the database: the one given, that of WNSEARCHDIR, or Debian's. Raises UserError."""
    named = folder or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    found = named or INSTALLED
    missing = [name for name in FILES if not (found / name).is_file()]
    if missing:
        what = "WordNet's database is not there" if named is None else f"no WordNet database: it lacks {missing[0]}"
        fix = f"install Debian's package wordnet-base, or name a folder with {', '.join(FILES)} by {VARIABLE}"
        raise UserError(what, file=found, fix=fix)
    return found


class WordNet:
    """Lemmas and glosses of nouns. Lemmas are in lower case, the words of one joined by underscores."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where a file cannot be read. Nothing is parsed before it is needed."""
        self.folder = folder
        self._raw: dict[str, bytes] = {}
        for name in FILES:
            try:
                self._raw[name] = (folder / name).read_bytes()
            except OSError as error:
                raise explain_os_error(error, folder / name) from error

    @property
    def sha256(self) -> str:
        """Of the four files."""
        return sha256_json({name: sha256(raw) for name, raw in self._raw.items()})

    @property
    def version(self) -> str | None:
        """As the licence at the head of the data says it, such as '3.0'."""
        found = re.search(rb"WordNet (\d+\.\d+)", self._raw["data.noun"][:4096])
        return found[1].decode() if found else None

    def lemma(self, phrase: str) -> str | None:
        """The lemma of a noun or compound in any number: the base of an exception, itself, or by rules of detachment.

        Exceptions come first, and rules are for forms that are none: 'men' is man, although men (a work force) is a
        lemma too. None where there is no such noun.
        """
        form = phrase.lower().replace(" ", "_")
        if exceptions := self._exceptions.get(form):
            candidates = [*exceptions, form]
        else:
            candidates = [form, *(form[: -len(old)] + new for old, new in _DETACH if form.endswith(old))]
        return next((one for one in candidates if one in self._first), None)

    def gloss(self, lemma: str) -> str:
        """The definition of a lemma's first, most frequent sense, without its examples. Raises KeyError."""
        _, text = self._sense(lemma)
        return re.split(r'[;:]\s*"', text, maxsplit=1)[0].strip(" ;")

    def synonyms(self, lemma: str) -> tuple[str, ...]:
        """The other words for a lemma's first sense, in WordNet's order and spelling; none for what is no lemma."""
        if lemma not in self._first:
            return ()
        fields, _ = self._sense(lemma)
        # offset, file, part of speech, how many words in hexadecimal, and each word with a number
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        return tuple(word for word in words if word.lower() != lemma)

    def _sense(self, lemma: str) -> tuple[list[str], str]:
        """The line of a lemma's first sense: its fields, and what it says of it. Raises KeyError."""
        start = self._first[lemma]
        data = self._raw["data.noun"]
        line = data[start : data.find(b"\n", start)].decode("utf-8", "replace")
        number, _, text = line.partition(" | ")
        if not text or not number.startswith(f"{start:08d} "):
            where = f"the sense of {lemma!r} is not at byte {start:,}, where index.noun says that it is"
            raise UserError(where, file=self.folder / "data.noun", fix="take all files from one release of WordNet")
        return number.split(), text

    def frequency(self, lemma: str) -> int:
        """How often a lemma is a noun in the texts that WordNet counted."""
        return self._counts.get(lemma, {}).get(_NOUN, 0)

    def mostly_noun(self, lemma: str) -> bool:
        """Whether a lemma is a noun at least as often as anything else in the texts that WordNet counted."""
        counts = self._counts.get(lemma, {})
        return counts.get(_NOUN, 0) >= max(counts.values(), default=0)

    @cached_property
    def longest(self) -> int:
        """How many words the longest compound has."""
        return max((lemma.count("_") for lemma in self._first), default=0) + 1

    @cached_property
    def _first(self) -> dict[str, int]:
        """Where in data.noun the first sense of each lemma stands."""
        # lemma, pos, number of synsets n, …, and at the end n byte offsets, the most frequent sense first
        return {fields[0]: int(fields[-int(fields[2])]) for fields in self._rows("index.noun", 7)}

    @cached_property
    def _exceptions(self) -> dict[str, list[str]]:
        return {fields[0]: fields[1:] for fields in self._rows("noun.exc", 2)}

    @cached_property
    def _counts(self) -> dict[str, dict[str, int]]:
        """Lemma to part of speech to count."""
        counts: dict[str, dict[str, int]] = {}
        for fields in self._rows("cntlist.rev", 3):
            lemma, _, sense = fields[0].partition("%")
            # An adjective satellite is an adjective.
            kind = "3" if sense[:1] == "5" else sense[:1]
            mine = counts.setdefault(lemma, {})
            mine[kind] = mine.get(kind, 0) + int(fields[2])
        return counts

    def _rows(self, name: str, least: int) -> Iterator[list[str]]:
        """The fields of each line but those of the licence. Raises UserError for a line that has too few."""
        for number, line in enumerate(self._raw[name].decode("utf-8", "replace").splitlines(), 1):
            if line.startswith(" ") or not line:
                continue
            fields = line.split()
            if len(fields) < least or (name != "noun.exc" and not fields[2].isdecimal()):
                raise UserError("not a line of WordNet's database", file=self.folder / name, line=number)
            yield fields
