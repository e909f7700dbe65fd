"""Finds the cards, reads them, and says what is wrong with one."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256
from grapebench.registry import unknown_name
from grapebench.text import decoded

if TYPE_CHECKING:
    from pydantic import ValidationError

    from grapebench.cards import CaptionerCard, Card, RetrieverCard, RewriterCard, TaskCard

CardT = TypeVar("CardT", bound="Card")


@dataclass(frozen=True)
class Loaded(Generic[CardT]):
    """A card and where it came from."""

    card: CardT
    path: Path
    sha256: str
    """Of the file, hex."""


def folder() -> Path:
    """The folder that holds tasks/, baselines/ and leaderboard/: the checkout, or the package's own in a wheel."""
    package = Path(__file__).resolve().parent
    packed = package / "_catalog"
    return packed if packed.is_dir() else package.parent


def spec_of(card: TaskCard) -> str:
    """What a task is called on the command line: its name where that leads to this card, else the path of the card."""
    path = card.path
    return card.name if path is None or path.resolve() == (folder() / "tasks" / path.name).resolve() else str(path)


def task_names() -> list[str]:
    return _names(folder() / "tasks")


def rewriter_names() -> list[str]:
    return _names(folder() / "baselines")


def retriever_names() -> list[str]:
    return _names(folder() / "baselines" / "retrievers")


def captioner_names() -> list[str]:
    return _names(folder() / "baselines" / "captioners")


def task_card(spec: str) -> Loaded[TaskCard]:
    """The card of a task, by name or by the path of a .toml file."""
    from grapebench.cards import TaskCard

    return _load(TaskCard, "task", spec, folder() / "tasks")


def rewriter_card(spec: str) -> Loaded[RewriterCard]:
    """The card of a rewriter, by name or by the path of a .toml file."""
    from grapebench.cards import RewriterCard

    return _load(RewriterCard, "rewriter", spec, folder() / "baselines")


def retriever_card(spec: str) -> Loaded[RetrieverCard]:
    """The card of a retriever, by name or by the path of a .toml file."""
    from grapebench.cards import RetrieverCard

    return _load(RetrieverCard, "retriever", spec, folder() / "baselines" / "retrievers")


def captioner_card(spec: str) -> Loaded[CaptionerCard]:
    """The card of a captioner, by name or by the path of a .toml file."""
    from grapebench.cards import CaptionerCard

    return _load(CaptionerCard, "captioner", spec, folder() / "baselines" / "captioners")


def _names(place: Path) -> list[str]:
    return sorted(path.stem for path in place.glob("*.toml"))


def _load(model: type[CardT], noun: str, spec: str, place: Path) -> Loaded[CardT]:
    """Raises UserError where there is no such card, or where it is not TOML, or says what a card may not say."""
    if spec.endswith(".toml"):
        path = Path(spec).expanduser()
    elif spec in (known := _names(place)):
        path = place / f"{spec}.toml"
    else:
        raise unknown_name(noun, spec, known)
    from pydantic import ValidationError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise explain_os_error(error, path) from error
    text, values = _parse(data, path)
    try:
        card = model.model_validate(values)
    except ValidationError as error:
        raise _explain(error, model, path, text) from error
    if values["name"] != path.stem:
        raise UserError(
            f"'name' is {values['name']!r} but the file is called {path.name!r}",
            file=path,
            line=_line(text, ("name",)),
            fix="a card bears the name of its file",
        )
    return Loaded(card.lies_at(path), path, sha256(data))


def _parse(data: bytes, path: Path) -> tuple[str, dict[str, Any]]:
    text = decoded(data, path)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        what = re.sub(r" \(at .*\)$", "", str(error))
        raise UserError(f"is not valid TOML: {what[0].lower()}{what[1:]}", file=path, line=line) from error


def _explain(error: ValidationError, model: type[Card], path: Path, text: str) -> UserError:
    """One sentence on the first thing wrong with a card, and how many more there are."""
    details = error.errors(include_url=False)
    # A misspelt key shows as missing too; the misspelling is what helps.
    first = next((detail for detail in details if detail["type"] == "extra_forbidden"), details[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        what = _unknown_key(model, first["loc"])
    elif first["type"] == "missing":
        what = f"the key {key!r} is missing"
    else:
        what = f"{key!r} is {first['input']!r}; " + first["msg"].replace("Input should be", "it should be")
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return UserError(what + more, file=path, line=_line(text, first["loc"]))


def _unknown_key(model: type[Card], place: Sequence[int | str]) -> str:
    """What is wrong with a key that its table, the one before the last of `place`, may not hold."""
    from grapebench.cards import Card

    *parents, key = place
    current = model
    for parent in parents:
        if isinstance(parent, str) and parent in current.model_fields:
            inner = _inner_card(current.model_fields[parent].annotation, Card)
            current = inner or current
    where = f"in [{'.'.join(map(str, parents))}]: " if parents else ""
    return where + str(unknown_name("key", str(key), current.model_fields))


def _inner_card(annotation: Any, card: type[Card]) -> type[Card] | None:
    """The card model within an annotation such as `dict[str, SplitCard]` or `SuiteCard | None`."""
    if isinstance(annotation, type) and issubclass(annotation, card):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner_card(part, card))), None)


def _line(text: str, place: Iterable[int | str]) -> int | None:
    """The line that sets the key at `place`, or opens its table; None where the card spells it in another way."""
    wanted = tuple(str(part) for part in place)
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)([^\[\]]+)\]", line):
            table = _key(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, str(counts[table]))
            here = table
        elif setting := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            here = (*table, *_key(setting[1]))
        else:
            continue
        if here == wanted:
            return number
    return _line(text, wanted[:-1]) if len(wanted) > 1 else None


def _key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
