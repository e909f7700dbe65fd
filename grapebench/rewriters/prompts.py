"""The prompt system: a card names one file for the system and one for each family, with variables that are checked.

Variables are written as in `string.Template`: `$query` (the query's text), `$language` (its language, in English) and
in compose prompts `$caption` (the reference image in words). `$$` is a dollar sign.

A card that names a file `detect` has its model asked for challenging concepts first; the family's prompt then uses
`$concepts`. `detect-<family>` stands instead of `detect` for one family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import get_args

from grapebench.cards import Family
from grapebench.errors import UserError
from grapebench.files import sha256_json
from grapebench.records import Query
from grapebench.text import decoded

FAMILIES = get_args(Family)
DETECT = "detect"
REQUIRED = {"translate": ("query",), "condense": ("query",), "compose": ("query", "caption")}
_NAMES = (
    "ar Arabic, bn Bengali, cs Czech, da Danish, de German, el Greek, en English, es Spanish, fa Persian, fi Finnish, "
    "fil Filipino, fr French, he Hebrew, hi Hindi, hr Croatian, hu Hungarian, id Indonesian, it Italian, ja Japanese, "
    "ko Korean, mi Maori, nl Dutch, no Norwegian, pl Polish, pt Portuguese, quz Quechua, ro Romanian, ru Russian, "
    "sv Swedish, sw Swahili, te Telugu, th Thai, tr Turkish, uk Ukrainian, vi Vietnamese, zh Chinese"
)
LANGUAGES = {code: name for code, _, name in (pair.partition(" ") for pair in _NAMES.split(", "))}


@dataclass(frozen=True)
class Prompt:
    """The templates for one family, already checked."""

    family: str
    user: str
    system: str = ""
    detect: str = ""
    """What asks for a query's challenging concepts; empty where nothing does."""

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the templates that are used."""
        return sha256_json(self.templates)

    @property
    def templates(self) -> dict[str, str]:
        """By what they are for; `detect` only where there is one."""
        return {"system": self.system, "user": self.user} | ({DETECT: self.detect} if self.detect else {})

    @property
    def instructions(self) -> tuple[str, ...]:
        """The words that every query is asked with: of system and user, in order, cut where a query's own words are."""
        variable = re.compile(Template.pattern)
        pieces = (variable.split(text)[:: 1 + variable.groups] for text in (self.system, self.user) if text)
        return tuple(piece for cut in pieces for piece in cut)

    def messages(self, query: Query, text: str | None = None, concepts: str | None = None) -> list[dict[str, str]]:
        """The prompt for one query as chat messages; `text` stands in for a query's text that is too long.

        `concepts` are the query's challenging concepts as `grapebench.rewriters.concepts.write` has them. Raises
        UserError where the template wants them and they are not given, or a reference caption and the query has none.
        """
        return self._messages(self.user, query, text, concepts)

    def detect_messages(self, query: Query, text: str | None = None) -> list[dict[str, str]]:
        """The prompt that asks for the challenging concepts of one query."""
        return self._messages(self.detect, query, text, None)

    def _messages(self, template: str, query: Query, text: str | None, concepts: str | None) -> list[dict[str, str]]:
        values = {
            "query": (query.text if text is None else text).strip(),
            "language": LANGUAGES.get(query.language.split("-")[0].lower(), query.language),
        }
        used = Template(template).get_identifiers()
        if "concepts" in used:
            if concepts is None:
                raise UserError(f"the prompt uses $concepts, and those of query {query.id!r} were not asked for")
            values["concepts"] = concepts
        if "caption" in used:
            if query.reference_caption is None:
                raise UserError(
                    f"the prompt uses $caption, and query {query.id!r} has no reference caption",
                    fix="name a captioner in the rewriter's card: captioner = 'bank'",
                )
            values["caption"] = query.reference_caption.strip()
        user = {"role": "user", "content": Template(template).substitute(values)}
        if not self.system:
            return [user]
        system_values = {name: values.get(name, "") for name in ("language",)}
        return [{"role": "system", "content": Template(self.system).substitute(system_values)}, user]


def load(
    files: Mapping[str, str], family: str, base: Path, card: str | Path = "the card", sees: bool = False
) -> Prompt | None:
    """The prompt of one family from the files a card names (paths relative to `base`); None where it names none.

    A model that `sees` is shown the reference image, so that its prompt need not use $caption.
    Raises UserError for a key that is no family, a family without a file, an unreadable or empty file, and an unknown
    or missing variable.
    """
    if not files:
        return None
    allowed = ("system", *FAMILIES, DETECT)
    for key in files:
        if key not in allowed and key.removeprefix(f"{DETECT}-") not in FAMILIES:
            raise UserError(f"prompts.{key}: unknown key", file=card, fix=f"allowed are {', '.join(allowed)}")
    if family not in files:
        raise UserError(f"no prompt for the family {family!r}", file=card, fix=f"name a file under prompts.{family}")
    known = (*REQUIRED[family], "language")
    required = tuple(name for name in REQUIRED[family] if not (sees and name == "caption"))
    system = checked(base / files["system"], ("language",), ()) if "system" in files else ""
    detect = files.get(f"{DETECT}-{family}", files.get(DETECT))
    if detect is None:
        return Prompt(family, checked(base / files[family], known, required), system)
    user = checked(base / files[family], (*known, "concepts"), (*required, "concepts"))
    return Prompt(family, user, system, checked(base / detect, known, ("query",)))


def read_file(path: Path) -> str:
    """A prompt file without white space at its end. Raises UserError where it cannot be read or is empty."""
    try:
        text = decoded(path.read_bytes(), path).rstrip()
    except OSError as error:
        raise UserError(f"cannot read the prompt: {(error.strerror or str(error)).lower()}", file=path) from error
    if not text:
        raise UserError("the prompt is empty", file=path)
    return text


def checked(path: Path, allowed: tuple[str, ...], required: tuple[str, ...]) -> str:
    """A template whose variables are of those `allowed`, all `required` ones among them. Raises UserError."""
    text = read_file(path)
    names = ", ".join(f"${name}" for name in allowed)
    found = set()
    for match in re.finditer(Template.pattern, text):
        line = text.count("\n", 0, match.start()) + 1
        name = match["named"] or match["braced"]
        if match["invalid"] is not None:
            raise UserError("a lone $", file=path, line=line, fix="write $$ for a dollar sign")
        if name and name not in allowed:
            raise UserError(f"unknown variable ${name}", file=path, line=line, fix=f"known here: {names}")
        found.add(name)
    for name in required:
        if name not in found:
            raise UserError(f"the prompt never uses ${name}", file=path, line=text.count("\n") + 1)
    return text
