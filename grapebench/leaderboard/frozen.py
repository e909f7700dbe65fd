"""A board frozen: of every row of every table what tells later what it was, in lines that a diff shows well."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from grapebench import files
from grapebench.leaderboard.board import Figure, Row, Table, Versus
from grapebench.leaderboard.results import Environment, Part

SCHEMA_VERSION = 1
_DIGITS = 6

Group = Literal["ranked", "seen", "oracle"]


class FrozenFigure(Part):
    """A shown figure, as a fraction."""

    value: float
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    spread: float | None = None
    """Standard deviation over seeds."""


class FrozenDelta(FrozenFigure):
    """A difference to searching the raw query text."""

    p: float | None = None
    """After Holm's correction."""


class FrozenResult(Part):
    """One result of a row."""

    seed: int
    id: str
    commit: str | None = None
    """Of grapebench, when it was made."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Versions of the libraries that it was made with."""


class FrozenRow(Part):
    """One rewriter in a table, all its seeds together."""

    label: str
    """As it stood on the board."""
    rewriter: str
    fingerprint: str
    """Of all that changes a rewrite."""
    parts: dict[str, str]
    """What the fingerprint is of, by name (`prompt`, `model`, `settings`, …), each as the beginning of a hash."""
    group: Group
    """Whether it is ranked, or stands apart because it had seen images or looks at the answer."""
    rank: int | None = None
    """1 + the number of rows that are better beyond chance."""
    results: list[FrozenResult]
    """By seed."""
    figures: dict[str, FrozenFigure]
    """Those that the board shows."""
    raw: FrozenDelta | None = None
    """The main figure's difference to searching the raw query text."""


class FrozenTable(Part):
    """Rows that can be compared, and what they share."""

    suite: str
    task: str
    split: str
    protocol: str
    limit: int | None = None
    benchmark: str
    revision: int
    retriever: str
    retriever_fingerprint: str
    retriever_parts: dict[str, str]
    """What the fingerprint is of, as in `FrozenRow.parts`."""
    dataset: str
    """Hash of queries, labels and gallery ids."""
    images: str | None = None
    """Hash of the pixels."""
    queries: int
    gallery: int
    main: str
    """The figure that ranks."""
    rows: list[FrozenRow]
    """As they stood: ranked ones first."""

    @property
    def name(self) -> str:
        """What a reader knows it by."""
        limit = "" if self.limit is None else f" · first {self.limit:,} queries"
        return f"{self.task} · suite {self.suite} · {self.split} · {self.protocol} · {self.retriever}{limit}"


class Release(Part):
    """versions/X.Y.json"""

    schema_version: int = SCHEMA_VERSION
    version: str
    """X.Y; 'now' for a board that is not frozen."""
    benchmark: str
    """Version of the rules of measurement at that time."""
    revisions: dict[str, int]
    """Of each task on the board at that time."""
    date: str
    """The day, ISO 8601."""
    commit: str | None = None
    """Of the checkout that the release was made in, before the release itself was committed."""
    grapebench: str
    """Version of the package."""
    tables: list[FrozenTable]


def freeze(
    version: str,
    tables: Sequence[Table],
    revisions: Mapping[str, int],
    benchmark: str,
    environment: Environment,
    date: str,
) -> Release:
    """The board as it stands. `revisions` are those of the cards, by task; the tasks of the board are kept."""
    tasks = {table.first.task for table in tables}
    return Release(
        version=version,
        benchmark=benchmark,
        revisions={task: revision for task, revision in sorted(revisions.items()) if task in tasks},
        date=date,
        commit=environment.commit,
        grapebench=environment.grapebench,
        tables=[_table(table) for table in tables],
    )


def _table(table: Table) -> FrozenTable:
    one = table.first
    groups: dict[Group, Sequence[Row]] = {"ranked": table.ranked, "seen": table.seen, "oracle": table.oracles}
    return FrozenTable(
        suite=one.suite,
        task=one.task,
        split=one.split,
        protocol=one.protocol,
        limit=one.limit,
        benchmark=one.benchmark,
        revision=one.revision,
        retriever=one.retriever.name,
        retriever_fingerprint=one.retriever.fingerprint,
        retriever_parts=_parts(one.retriever.description),
        dataset=one.data.dataset,
        images=one.data.images,
        queries=one.queries,
        gallery=one.gallery,
        main=table.main,
        rows=[_row(row, group, table.keys) for group, rows in groups.items() for row in rows],
    )


def _row(row: Row, group: Group, keys: Sequence[str]) -> FrozenRow:
    one = row.results[0].rewriter
    return FrozenRow(
        label=row.label,
        rewriter=one.name,
        fingerprint=one.fingerprint,
        parts=_parts(one.description),
        group=group,
        rank=row.rank,
        results=[
            FrozenResult(
                seed=result.seed,
                id=result.id,
                commit=result.environment.commit,
                packages=result.environment.packages,
            )
            for result in row.results
        ],
        figures={key: FrozenFigure(**_numbers(row.figures[key])) for key in keys if key in row.figures},
        raw=None if row.raw is None else _against(row.raw),
    )


def _parts(description: Mapping[str, Any]) -> dict[str, str]:
    """What is no part itself but the name or the hash of all is left out."""
    told = {key: value for key, value in description.items() if key not in ("name", "fingerprint")}
    return {key: files.sha256_json(value)[:12] for key, value in sorted(told.items())}


def _against(versus: Versus) -> FrozenDelta:
    return FrozenDelta(**_numbers(versus.delta), p=None if versus.p is None else round(versus.p, _DIGITS))


def _numbers(figure: Figure) -> dict[str, float]:
    numbers = {"value": figure.value, "low": figure.low, "high": figure.high, "spread": figure.spread}
    # Adding 0.0 makes -0.0 the 0.0 that it is.
    return {name: round(value, _DIGITS) + 0.0 for name, value in numbers.items() if value is not None}


def dump(release: Release) -> str:
    """As JSON with a line a row, so that two releases differ in the lines of what moved."""
    whole = release.model_dump(exclude_none=True)
    tables = [_dump_table(table) for table in whole.pop("tables")]
    head = _line(whole)[:-1]
    return f'{head}, "tables": [\n' + ",\n".join(tables) + "\n]}\n"


def _dump_table(table: dict[str, Any]) -> str:
    rows = [_line(row) for row in table.pop("rows")]
    return f'{_line(table)[:-1]}, "rows": [\n ' + ",\n ".join(rows) + "\n]}"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
