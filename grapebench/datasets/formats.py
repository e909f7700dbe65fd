"""Reading annotation files so that whatever is wrong with one is said with its file and line.

Everything is UTF-8. A byte order mark is skipped, nothing else is repaired here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from grapebench.errors import UserError
from grapebench.text import lines_of
from grapebench.text import read_text as read_text


class Place(Protocol):
    """Something that stands on a line of a file."""

    @property
    def path(self) -> Path: ...

    @property
    def line(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a text file, without its line break; lines count from 1."""

    path: Path
    line: int
    text: str

    def fields(self, separator: str, names: Sequence[str]) -> list[str]:
        """The line's columns; UserError where there are not as many as `names`."""
        found = self.text.split(separator)
        if len(found) != len(names):
            wanted = f"{len(names)} columns ({', '.join(names)})"
            raise self.error(f"expected {wanted} separated by {separator!r}, found {len(found)}")
        return found

    def error(self, what: str, fix: str | None = None) -> UserError:
        return UserError(what, file=self.path, line=self.line, fix=fix)


@dataclass(frozen=True, slots=True)
class Entry:
    """One JSON object of an annotation file, read key by key with its errors placed."""

    path: Path
    value: dict[str, Any]
    number: int
    """Its place in the file's array, or its line in a file of JSON lines; both count from 1."""
    by_line: bool = False
    within: str | None = None
    """The key of the array, where the file is an object that holds it."""

    @property
    def line(self) -> int:
        """Found by reading the file again where it is in a JSON array: only errors ask for it."""
        return self.number if self.by_line else _line_of_item(self.path, self.number - 1, self.within)

    def error(self, what: str, fix: str | None = None) -> UserError:
        place = "" if self.by_line else f"record {self.number}: "
        return UserError(place + what, file=self.path, line=self.line, fix=fix)

    def get(self, key: str) -> Any:
        if key not in self.value:
            raise self.error(f"the key {key!r} is missing")
        return self.value[key]

    def text(self, key: str) -> str:
        return self._text(self.get(key), key)

    def identifier(self, key: str) -> str:
        """An id that files write as a number or as a string."""
        return self._identifier(self.get(key), key)

    def identifiers(self, key: str) -> list[str]:
        """A list of such ids, which may be empty."""
        found = self.get(key)
        if not isinstance(found, list):
            raise self._wrong_type(key, "a list of ids", found)
        return [self._identifier(one, key) for one in found]

    def texts(self, key: str) -> list[str]:
        """A list of at least one string."""
        found = self.get(key)
        if not isinstance(found, list) or not found:
            raise self._wrong_type(key, "a list of strings", found)
        return [self._text(text, key) for text in found]

    def inner(self, key: str) -> Entry:
        """The JSON object under a key."""
        found = self.get(key)
        if not isinstance(found, dict):
            raise self._wrong_type(key, "an object", found)
        return replace(self, value=found)

    def inners(self, key: str) -> list[Entry]:
        """The JSON objects of the list under a key, of which there is at least one."""
        found = self.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
            raise self._wrong_type(key, "a list of objects", found)
        return [replace(self, value=one) for one in found]

    def _identifier(self, found: Any, key: str) -> str:
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        return self._text(found, key)

    def _text(self, found: Any, key: str) -> str:
        if not isinstance(found, str):
            raise self._wrong_type(key, "a string", found)
        if not encodable(found):
            raise self.error(f"the text under {key!r} holds half a surrogate pair and is not valid Unicode")
        return found

    def _wrong_type(self, key: str, wanted: str, found: Any) -> UserError:
        return self.error(f"{key!r} must be {wanted}, found {_shown(found)}")


class Unique:
    """Refuses an id that came before, naming both lines."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen: dict[str, Place] = {}

    def add(self, identifier: str, place: Place) -> None:
        first = self._seen.setdefault(identifier, place)
        if first is not place:
            where = f"line {first.line}" + ("" if first.path == place.path else f" of {first.path}")
            what = f"{self._what} {identifier!r} occurs twice, first on {where}"
            raise UserError(what, file=place.path, line=place.line)


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8 (JSON escapes can spell texts that cannot)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, as `text.lines_of` has them."""
    for number, text in enumerate(lines_of(read_text(path)), start=1):
        yield Line(path, number, text)


def read_json(path: Path) -> Any:
    """A JSON file's value. UserError with the line where it is broken off, malformed, or names a key twice."""
    return _parse(read_text(path), path)


def read_entries(path: Path) -> list[Entry]:
    """The objects of a JSON file that is one array of objects."""
    found = read_json(path)
    if not isinstance(found, list):
        raise UserError(f"expected a JSON array of records, found {_shown(found)}", file=path, line=1)
    return entries_of(found, path)


def entries_of(found: list[Any], path: Path, within: str | None = None) -> list[Entry]:
    """The objects of a JSON array that is the whole file, or stands under the key `within` of the file's object."""
    entries = []
    for number, value in enumerate(found, start=1):
        if not isinstance(value, dict):
            what = f"record {number} must be an object, found {_shown(value)}"
            raise UserError(what, file=path, line=_line_of_item(path, number - 1, within))
        entries.append(Entry(path, value, number, within=within))
    return entries


def read_json_lines(path: Path) -> Iterator[Entry]:
    """The objects of a file with one JSON object a line; empty lines are passed over."""
    for line in read_lines(path):
        if not line.text.strip():
            continue
        value = _parse(line.text, path, line.line)
        if not isinstance(value, dict):
            raise line.error(f"expected a JSON object, found {_shown(value)}")
        yield Entry(path, value, line.line, by_line=True)


def caption_notes(captions: Sequence[str]) -> list[str]:
    """What a reader of the numbers should know of a split's captions."""
    notes = []
    if repeated := len(captions) - len(set(captions)):
        notes.append(f"{repeated} captions repeat an earlier one word for word")
    if blank := sum(not caption.strip() for caption in captions):
        notes.append(f"{blank} blank captions are queries all the same")
    return notes


def line_of_key(path: Path, key: str) -> int:
    """The line of a key that stands in a JSON file once."""
    text = read_text(path)
    found = _key_pattern(key).search(text)
    return text.count("\n", 0, found.start()) + 1 if found else 1


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        self.key = key


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKey(key)
            seen.add(key)
    return found


def _parse(text: str, path: Path, line: int | None = None) -> Any:
    """`line` is where `text` stands, for files of JSON lines."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        broken_off = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        what = "the JSON is broken off" if broken_off else "malformed JSON"
        fix = "fetch the file again" if broken_off else None
        message = f"{what} ({error.msg}, column {error.colno})"
        raise UserError(message, file=path, line=line or error.lineno, fix=fix) from error
    except _RepeatedKey as error:
        lines = [text.count("\n", 0, found.start()) + 1 for found in _key_pattern(error.key).finditer(text)]
        # The same key may stand in other objects as well; then only the file's first two are known to be near.
        first = f", first on line {line or lines[0]}" if len(lines) == 2 else ""
        where = line or (lines[1] if len(lines) == 2 else None)
        raise UserError(f"the key {error.key!r} occurs twice{first}", file=path, line=where) from error
    except RecursionError as error:
        raise UserError("the JSON is nested too deeply", file=path, line=line or 1) from error


def _key_pattern(key: str) -> re.Pattern[str]:
    spellings = {json.dumps(key), json.dumps(key, ensure_ascii=False)}
    return re.compile(f"(?:{'|'.join(map(re.escape, sorted(spellings)))})\\s*:")


def _line_of_item(path: Path, index: int, within: str | None = None) -> int:
    """The line on which an element of a JSON array starts."""
    text, decoder, space = read_text(path), json.JSONDecoder(), re.compile(r"[\s,]*")
    after = _key_pattern(within).search(text) if within else None
    position = text.index("[", after.end() if after else 0) + 1
    for _ in range(index):
        position = decoder.raw_decode(text, _end(space, text, position))[1]
    return text.count("\n", 0, _end(space, text, position)) + 1


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _shown(value: Any) -> str:
    """A JSON value's type and, where it is short, the value."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    names = {dict: "an object", list: "a list", str: "a string", int: "a number", float: "a number"}
    name = names[type(value)]
    text = json.dumps(value, ensure_ascii=False)
    return f"{name} ({text})" if len(text) <= 40 else name
