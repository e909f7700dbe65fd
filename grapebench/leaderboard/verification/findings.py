"""What verifying a result came to: a mutable sheet that the checks write on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from grapebench.errors import UserError
from grapebench.leaderboard.bench import NotAtHand, short
from grapebench.leaderboard.results import RESULT_FILE, Result


@dataclass
class Findings:
    """One result, and what is wrong with it."""

    folder: Path
    result: Result | None = None
    """None where result.json is not one."""
    problems: list[str] = field(default_factory=list)
    """What is wrong: the file, the field where there is one, and a sentence."""
    unchecked: list[str] = field(default_factory=list)
    """What could not be checked, and why."""
    remarks: list[str] = field(default_factory=list)
    """What is not wrong, and good to know."""
    checked: list[str] = field(default_factory=list)
    """What was checked beyond the result's own files."""

    def wrong(self, file: str, what: str) -> None:
        self.problems.append(f"{file}: {what}")

    def differs(self, field: str, said: object, found: object, where: str) -> None:
        """A field of result.json that says something else than it should."""
        self.wrong(RESULT_FILE, f"{field} is {short(said)}, and {where} {short(found)}")

    def told(self) -> Told:
        """A block in which what is refused becomes a problem, and what is not at hand is said."""
        return Told(self)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": None if self.result is None else self.result.id,
            "folder": str(self.folder),
            "verified": not self.problems,
            "problems": self.problems,
            "checked": self.checked,
            "not_checked": self.unchecked,
            "remarks": self.remarks,
        }


@dataclass(frozen=True)
class Told:
    """See `Findings.told`; a class, for type checkers to know that the block may end early."""

    found: Findings

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        found = self.found
        if isinstance(error, NotAtHand):
            if str(error) not in found.unchecked:
                found.unchecked.append(str(error))
            return True
        if isinstance(error, UserError | OSError):
            found.problems.append(" ".join(str(error).replace(f"{found.folder}/", "").split()))
            return True
        return False


def some(names: Sequence[object]) -> str:
    """The first, and how many more there are."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"{names[0]!r}{more}"


def compare(found: Findings, name: str, said: Mapping[str, Any], due: Mapping[str, Any], where: str) -> None:
    """Two dictionaries of a result that should be the same, key by key."""
    for key in sorted({*said, *due}):
        if key not in due:
            found.wrong(RESULT_FILE, f"{name} has {key!r}, which {where} do not give")
        elif key not in said:
            found.wrong(RESULT_FILE, f"{name} lacks {key!r}")
        elif said[key] != due[key]:
            found.differs(f"{name}[{key!r}]", plain(said[key]), plain(due[key]), f"{where} give")


def plain(value: Any) -> Any:
    """Models as dictionaries: easier to read in a sentence."""
    return value.model_dump() if hasattr(value, "model_dump") else value
