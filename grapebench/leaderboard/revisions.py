"""The lock on what figures depend on: who changes it has to raise a number, so that old and new figures never meet.

leaderboard/revisions.json holds hashes of each task's data and of the figures that the rules come to in a fixed
experiment, each under the number that stands for it: the task card's `revision`, or `BENCHMARK`. A test compares it
with the present; `python -m grapebench.leaderboard.revisions` writes it anew, unless a number has yet to be raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grapebench import catalog, datasets, files
from grapebench.errors import UserError
from grapebench.evaluation.protocols import PROTOCOLS
from grapebench.leaderboard import experiment, results

if TYPE_CHECKING:
    from grapebench.cards import SuiteCard, TaskCard

RULES = "rules"
COMMAND = "python -m grapebench.leaderboard.revisions"
CHOOSING = "val"
"""The split that rewriters are chosen on: locked beside the one that is searched by default."""


class Entry(BaseModel):
    """What one number stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: str = Field(pattern=r"^\d+(\.\d+)?$")
    """`BENCHMARK`, or a task card's revision."""
    parts: dict[str, str]
    """What it stands for, by name, each as a hash."""


class Lock(BaseModel):
    """revisions.json: entries by name, which is `rules` or `<suite>/<task>`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    entries: dict[str, Entry]


def path() -> Path:
    return catalog.folder() / "leaderboard" / "revisions.json"


def present() -> dict[str, Entry]:
    """All entries as the code, the cards and the generated data make them now; a minute at most."""
    entries = {RULES: rules(*PROTOCOLS)}
    for name in catalog.task_names():
        entries |= task(catalog.task_card(name).card)
    return entries


def rules(*protocols: str) -> Entry:
    """What the rules of measurement come to, by protocol."""
    found = {name: experiment.figures(PROTOCOLS[name]) for name in protocols}
    parts = {f"{name}: {kind}": value for name, kinds in found.items() for kind, value in kinds.items()}
    return Entry(number=results.BENCHMARK, parts=parts)


def task(card: TaskCard) -> dict[str, Entry]:
    """The entries of one task, by suite: generated data by their content, official data by what the card says."""
    entries = {}
    for suite, offered in (("mini", card.mini), ("full", card.full)):
        if offered is None:
            continue
        parts = {"the card": _card(card, offered)} | (_generated(card, offered) if suite == "mini" else _told(offered))
        entries[f"{suite}/{card.name}"] = Entry(number=str(card.revision), parts=parts)
    return entries


def _card(card: TaskCard, suite: SuiteCard) -> str:
    """What figures depend on, none of the prose."""
    told = [card.dataset, card.protocol, card.languages, card.source, suite.default_split, suite.options]
    return files.sha256_json(told)


def _told(suite: SuiteCard) -> dict[str, str]:
    return {f"split {name}": files.sha256_json(split.model_dump()) for name, split in suite.splits.items()}


def _generated(card: TaskCard, suite: SuiteCard) -> dict[str, str]:
    """Queries, labels and pixels as the loader reads them."""
    parts = {}
    for split in sorted({suite.default_split, CHOOSING} & set(suite.splits)):
        loaded = datasets.load_task(card, "mini", split)
        gallery = loaded.gallery
        parts[f"{split}: queries and labels"] = loaded.dataset.fingerprint
        parts[f"{split}: pixels"] = files.sha256_json(gallery.images.sha256(gallery.ids))
    return parts


def unraised(locked: Mapping[str, Entry], now: Mapping[str, Entry]) -> list[str]:
    """A sentence for each number that should have been raised; what is new, or is gone, changes no figure."""
    found = []
    for name, entry in now.items():
        old = locked.get(name)
        if old is None:
            continue
        changed = [part for part, value in entry.parts.items() if old.parts.get(part, value) != value]
        if _order(entry) < _order(old):
            found.append(f"{name}: the number went down from {old.number} to {entry.number}")
        elif changed and _order(entry) == _order(old):
            what = f"{name}: {', '.join(changed)} changed and the number is still {old.number}"
            found.append(f"{what}; raise {_place(name)}, then run: {COMMAND}")
    return found


def _place(name: str) -> str:
    """Where the number of an entry stands."""
    if name == RULES:
        return "BENCHMARK in grapebench/leaderboard/results.py"
    return f"'revision' in tasks/{name.partition('/')[2]}.toml"


def _order(entry: Entry) -> tuple[int, ...]:
    return tuple(map(int, entry.number.split(".")))


def read(file: Path) -> dict[str, Entry]:
    """The lock; nothing where there is none yet. Raises UserError where it cannot be read."""
    try:
        return Lock.model_validate_json(file.read_text(encoding="utf-8")).entries
    except FileNotFoundError:
        return {}
    except (ValidationError, UnicodeDecodeError) as error:
        raise UserError("is not the lock that was written", file=file, fix="take it from the last commit") from error
    except OSError as error:
        raise files.explain_os_error(error, file) from error


def write(file: Path, now: Mapping[str, Entry]) -> None:
    """Write the lock. Raises UserError, and leaves it, where a number was not raised that should be."""
    if refused := unraised(read(file), now):
        raise UserError(" · ".join(refused), file=file)
    lock = Lock(entries=dict(sorted(now.items())))
    files.write_text(file, json.dumps(lock.model_dump(), indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    """Write the lock anew; 2 where that is refused."""
    import sys

    try:
        write(path(), present())
    except UserError as error:
        print("error:", error, file=sys.stderr)
        return 2
    print(path())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
