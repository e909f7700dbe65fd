"""Texts that were searched for a query, and where the right image came: what the data sets are made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grapebench.files import atomic_file
from grapebench.leaderboard.artifacts import read_table
from grapebench.training.raqo.settings_data import Data


@dataclass(frozen=True, slots=True)
class Trial:
    """A query's own text, an answer to it, or a rare wording of it."""

    query_id: str
    text: str
    """Empty where there was trouble."""
    trouble: str | None = None
    """Why an answer could not be used ('empty', 'no words', …)."""
    rank: int = 0
    """Of the best right image, ties counted against it, from 1; 0 where it was not searched."""
    cosine: float = 0.0
    """Of the text with that image."""
    meaning: float | None = None
    """How well it keeps to the matter, from 0 to 1 by facts and from -1 by sentences; None where nobody asked."""
    concepts: tuple[str, ...] | None = None
    """The challenging ones: those that the model named, or the rare words. None where nobody named any."""
    unread: str | None = None
    """Why the concepts that the model named could not be read."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cut: bool = False
    """Whether the answer it comes from, or that answer's prompt, was cut off."""


@dataclass(frozen=True)
class Bounds:
    """Which trials find their image, fail, and are kept."""

    unambiguous: int
    ambiguous: int
    least: float | None
    """The least meaning of what is kept; None: it is not judged."""

    @classmethod
    def of(cls, settings: Data, least: float | None) -> Bounds:
        return cls(settings.unambiguous, settings.ambiguous, least)

    def finds(self, trial: Trial) -> bool:
        return trial.trouble is None and trial.rank <= self.unambiguous

    def fails(self, trial: Trial) -> bool:
        return trial.trouble is None and trial.rank > self.ambiguous

    def keeps_meaning(self, trial: Trial) -> bool:
        return self.least is None or (trial.meaning is not None and trial.meaning >= self.least)

    def keeps(self, trial: Trial) -> bool:
        """Whether it finds its image without leaving the matter."""
        return self.finds(trial) and self.keeps_meaning(trial)

    def outcome(self, trial: Trial) -> str:
        """'unusable', 'fails', 'between', 'drifts' or 'kept'."""
        if trial.trouble is not None:
            return "unusable"
        if not self.finds(trial):
            return "fails" if self.fails(trial) else "between"
        return "kept" if self.keeps_meaning(trial) else "drifts"


def write(path: Path, trials: Sequence[Trial]) -> None:
    """A parquet file of them, whole or absent."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "str": pa.string(), "str | None": pa.string(), "int": pa.int64(), "float": pa.float64(),
        "float | None": pa.float64(), "bool": pa.bool_(), "tuple[str, ...] | None": pa.list_(pa.string()),
    }  # fmt: skip
    columns = {
        field.name: pa.array([_plain(getattr(trial, field.name)) for trial in trials], kinds[str(field.type)])
        for field in dataclasses.fields(Trial)
    }
    with atomic_file(path) as temporary:
        pq.write_table(pa.table(columns), temporary, compression="zstd")


def read(path: Path) -> list[Trial]:
    """What `write` wrote. Raises UserError where the file is not that."""
    columns = read_table(path)
    columns["concepts"] = [None if some is None else tuple(some) for some in columns["concepts"]]
    return [Trial(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
