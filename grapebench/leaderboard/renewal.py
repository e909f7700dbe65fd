"""What makes a published result again: its own command, as far as it names nothing but what ships.

A result that somebody sent in may say any command. What runs here are cards of the catalog, and no file or folder that
a command names.
"""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from grapebench import catalog
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.leaderboard import attribution, store
from grapebench.leaderboard.results import RESULT_FILE

_KNOWN = {
    "--task": catalog.task_names,
    "--rewriter": catalog.rewriter_names,
    "--retriever": catalog.retriever_names,
    "--captioner": catalog.captioner_names,
}
"""Options whose values must be names of cards."""
_FREE = ("--suite", "--split", "--seed", "--limit", "--protocol", "--languages")


@dataclass(frozen=True)
class Row:
    """A published result and the command that makes it again."""

    folder: Path
    arguments: tuple[str, ...]
    """Of `grapebench`, the folder of results left out."""

    def value(self, option: str) -> str:
        """What the command gives for an option; '' where it does not."""
        named = dict(zip(self.arguments[1::2], self.arguments[2::2], strict=True))
        return named.get(option, "")


def rows(board: Path) -> tuple[list[Row], list[UserError]]:
    """The rows of a folder of results, whatever schema version they are of, and why others cannot be made again."""
    found, refused = [], []
    for path in sorted(board.glob(f"*/*/*/*/*/{RESULT_FILE}")):
        try:
            found.append(read(path.parent))
        except UserError as error:
            refused.append(error)
    return found, refused


def read(folder: Path) -> Row:
    """One row. Raises UserError, naming the file, where its command is none that may be run here."""
    path = folder / RESULT_FILE
    try:
        told = json.loads(path.read_bytes())
        words = shlex.split(told["command"].strip())
    except OSError as error:
        raise explain_os_error(error, path) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError("does not say the command that made it", file=path) from None
    if words[:2] != ["grapebench", "run"]:
        raise UserError("was not made by `grapebench run`", file=path)
    arguments = words[1:]
    options, values = arguments[1::2], arguments[2::2]
    if len(options) != len(values):
        raise UserError(f"its command cannot be run here: {told['command']!r}", file=path)
    for option, value in zip(options, values, strict=True):
        if option not in _KNOWN and option not in _FREE:
            raise UserError(f"its command says {option}, and only its author has what that needs", file=path)
        if option in _KNOWN and value not in _KNOWN[option]():
            raise UserError(f"{value!r} is not the name of a card that ships ({option})", file=path)
    return Row(folder, tuple(arguments))


def replace(row: Row, made: Path, board: Path) -> Path:
    """Put a result that was made again in its row's place; where it is the same result, the row stays.

    Who submitted the row goes on being named. Returns the row's folder.
    """
    if made.name == row.folder.name:
        return row.folder
    goal = store.publish(made, board, attribution.read(row.folder))
    shutil.rmtree(row.folder)
    return goal
