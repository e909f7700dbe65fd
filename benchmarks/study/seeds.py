"""Over the seeds: means, spreads and paired tests over clusters of queries, corrected for the table they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from grapebench.evaluation.significance import holm, paired_p

Record = Mapping[str, Any]
TESTED = 10
"""Tests are of R@10."""


@dataclass(frozen=True)
class Spread:
    """A figure over the seeds that have it."""

    mean: float
    sd: float | None
    """Of the sample (n - 1); None for one seed."""
    count: int


@dataclass(frozen=True)
class Row:
    """One setting on one task."""

    task: str
    setting: str
    records: tuple[Record, ...]
    tested_on: str
    way: str = "greedy"
    p: float | None = None
    """Of the difference to the frozen model, Holm's correction applied over the table."""
    p_control: float | None = None
    """The same of the difference to the table's control."""

    @property
    def place(self) -> tuple[str, str]:
        """Task and geometry: where its frozen model is found."""
        return self.tested_on, self.records[0]["run"].get("geometry", "")

    @property
    def tests(self) -> list[Record]:
        return [record["test"][self.tested_on][self.way] for record in self.records]

    def spread(self, figure: str | Callable[[Record], float | None]) -> Spread | None:
        """Of a test figure, or of anything of a record; None where no seed has it."""
        if callable(figure):
            values = [value for record in self.records if (value := figure(record)) is not None]
        else:
            values = [test[figure] for test in self.tests if test.get(figure) is not None]
        return spread(values)


def spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), sd, len(values))


def successes(tests: Sequence[Record], k: int = TESTED) -> np.ndarray:
    """Share of the seeds that find each query's image within the first k, `(queries,)`."""
    found: np.ndarray = np.mean([np.asarray(test["ranks"]) <= k for test in tests], axis=0)
    return found


def p_of(tests: Sequence[Record], others: Sequence[Record], pairing: Record) -> float:
    """Of the difference of two settings' R@10, each averaged over its seeds first, by sign flips of whole clusters.

    Seeds are no replicates of the queries: they make the estimate steadier and are not counted as more queries. The
    test asks whether these trainings differ on other images; how much trainings differ, the spread over seeds says.
    """
    weights = np.asarray(pairing["weights"]) if pairing["weights"] else None
    return paired_p(successes(tests) - successes(others), pairing["clusters"], weights)


def with_p(rows: Sequence[Row], frozen: Mapping[tuple[str, str], Record], control: str = "") -> list[Row]:
    """The rows with their p-values. `frozen` are the records of the frozen model by task and geometry; a row that has
    none there is left without. A row's control is that of its task and geometry."""
    controls = {row.place: row for row in rows if row.setting.rpartition(", ")[2] == control}
    against_frozen: list[float | None] = []
    against_control: list[float | None] = []
    for row in rows:
        before, other = frozen.get(row.place), controls.get(row.place)
        pairing = None if before is None else before["test"][row.tested_on]
        against_frozen.append(None if pairing is None else p_of(row.tests, [pairing["greedy"]], pairing))
        alone = pairing is None or other is None or other is row
        against_control.append(None if alone else p_of(row.tests, other.tests, pairing))  # type: ignore[union-attr]
    return [
        replace(row, p=one, p_control=two)
        for row, one, two in zip(rows, _adjusted(against_frozen), _adjusted(against_control), strict=True)
    ]


def _adjusted(values: Sequence[float | None]) -> list[float | None]:
    known = iter(holm([value for value in values if value is not None]))
    return [None if value is None else next(known) for value in values]
