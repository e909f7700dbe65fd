"""A whole board from a folder of results: what every form of it (page, site, exports) is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grapebench import catalog
from grapebench.cards import TaskCard
from grapebench.errors import UserError
from grapebench.leaderboard import board, references, standings, store
from grapebench.leaderboard.board import Overall, Table
from grapebench.leaderboard.overall import overall
from grapebench.leaderboard.store import Stored


@dataclass(frozen=True)
class Board:
    """What the results in a folder come to."""

    tables: tuple[Table, ...]
    overall: tuple[Overall, ...]
    cards: Mapping[str, TaskCard]
    """By task name."""
    stored: tuple[Stored, ...]
    """All results that were read, those without public labels too, which stand in no table."""
    problems: tuple[str, ...]
    """What is broken, and left out."""

    @property
    def folders(self) -> dict[str, Path]:
        """By result id."""
        return {one.result.id: one.folder for one in self.stored}


def read(*folders: Path) -> Board:
    """All results in some folders with their standings. Raises UserError where there is no such folder."""
    for folder in folders:
        if not folder.is_dir():
            raise UserError("no such folder of results", file=folder)
    stored, broken = store.find(folders)
    cards = {name: catalog.task_card(name).card for name in catalog.task_names()}
    tables, unusable = standings.stand(
        board.tables(one.result for one in stored), {one.result.id: one.folder for one in stored}, references.named()
    )
    problems = [f"left out: {problem}" for problem in broken]
    problems += [f"without a rank and without tests: {problem}" for problem in unusable]
    return Board(tuple(tables), tuple(overall(tables, cards)), cards, tuple(stored), tuple(problems))
