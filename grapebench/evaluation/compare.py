"""Rewriters against a baseline on the same queries: wins, ties and losses, differences, and whether they are chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import figures
from grapebench.evaluation.figures import ImagePlaces, Places, Sheet
from grapebench.evaluation.protocols import protocol_named
from grapebench.evaluation.significance import holm, pairs_p
from grapebench.leaderboard import artifacts, results, rows, store
from grapebench.leaderboard.results import Result
from grapebench.records import Query

_SHARED: tuple[tuple[str, Callable[[Result], object]], ...] = (
    ("suite", lambda result: result.suite),
    ("task", lambda result: result.task),
    ("benchmark's version", lambda result: result.benchmark),
    ("revision", lambda result: result.revision),
    ("split", lambda result: result.split),
    ("protocol", lambda result: result.protocol),
    ("retriever", lambda result: result.retriever.name),
    ("retriever's fingerprint", lambda result: result.retriever.fingerprint[:12]),
    ("limit", lambda result: result.limit or "none"),
    ("dataset's hash", lambda result: result.data.dataset[:12]),
    ("sources' hash", lambda result: (result.data.sources or "none")[:12]),
    ("images' hash", lambda result: (result.data.images or "none")[:12]),
)
"""What two results must have in common, in the order in which a difference is told."""
_DIGITS = 9


@dataclass(frozen=True)
class Scored:
    """A result, read again from its files."""

    result: Result
    folder: Path
    sheets: tuple[Sheet, ...]
    """What its figures are means of: of queries and, where images ask as well, of images."""
    headline: dict[str, float]
    """The figures, as in the result, without those of single languages or categories."""
    ids: tuple[str, ...]
    """Of the queries."""
    goodness: np.ndarray
    """See the function of this name."""

    @property
    def weights(self) -> np.ndarray | None:
        """How much each query counts in the headline, `(queries,)`; None where all count the same."""
        return self.sheets[0].weights

    @property
    def name(self) -> str:
        """The rewriter and the beginning of the result's id."""
        return f"{self.result.rewriter.name} ({self.result.id[:8]})"


@dataclass(frozen=True)
class Change:
    """One figure of a rewriter and of the baseline, as fractions."""

    base: float
    value: float
    low: float
    """Lower end of the 95 % interval of the difference, by a bootstrap over clusters of queries."""
    high: float
    p: float
    """Of the difference, two-sided, by a permutation test over clusters of queries."""
    adjusted: float
    """The same after Holm's correction for the number of rewriters that are compared with the baseline."""

    @property
    def delta(self) -> float:
        return self.value - self.base


@dataclass(frozen=True)
class Comparison:
    """One rewriter against the baseline."""

    other: Scored
    wins: int
    """Queries whose right image stands higher than with the baseline."""
    ties: int
    losses: int
    changes: dict[str, Change]
    """By figure, in the order of the protocol."""


@dataclass(frozen=True)
class Asked:
    """The queries of a result and where their right images came, read again from its ranks."""

    ids: tuple[str, ...]
    places: Places
    sheet: Sheet


def read(folder: Path) -> Scored:
    """Read a result for a comparison. Raises UserError where it is not whole, has no labels or came without ranks."""
    result = store.load(folder, hashes=True)
    if not result.labelled:
        what = f"the labels of {result.task} {result.split} are not public: there is nothing to compare"
        raise UserError(what, file=folder)
    protocol = protocol_named(result.protocol)
    asked = read_queries(folder, result)
    places, sheets = asked.places, [asked.sheet]
    if protocol.image_to_text:
        images = _per_image(folder)
        sheets.append(figures.image_sheet(protocol, read_image_places(images), images["cluster"]))
    found = figures.figures(protocol, sheets, places)
    return Scored(
        result=result,
        folder=folder,
        sheets=tuple(sheets),
        headline={key: found[key] for sheet in sheets for key in sheet.values},
        ids=asked.ids,
        goodness=goodness(places),
    )


def goodness(places: Places) -> np.ndarray:
    """By what queries are won and lost, `(queries,)`: minus the rank, or the average precision where there is one."""
    return -places.rank if places.precision is None else places.precision


def outcomes(gains: np.ndarray) -> tuple[int, int, int]:
    """How many queries were won, tied and lost, by how much the goodness of each grew, `(queries,)`."""
    # Rounded, because the mean of three equal precisions is not always that precision.
    gains = np.round(gains, _DIGITS)
    wins, losses = int(np.count_nonzero(gains > 0)), int(np.count_nonzero(gains < 0))
    return wins, len(gains) - wins - losses, losses


def read_queries(folder: Path, result: Result) -> Asked:
    """Read what figures over queries are means of. Raises UserError where the result came without ranks."""
    table = rows.ranks(folder)
    places = read_places(table)
    protocol = protocol_named(result.protocol)
    sheet = figures.query_sheet(protocol, read_rows(table), places, result.groups, table["cluster"])
    return Asked(tuple(table["query_id"]), places, sheet)


def read_rows(table: Mapping[str, Any]) -> list[Query]:
    """All that figures need of each query: its first right image, and the part of the data it belongs to."""
    categories = table.get("category", [""] * len(table["query_id"]))
    columns = zip(table["query_id"], table["positive"], table["language"], categories, strict=True)
    return [Query(name, "", (image,), language, category=category or "") for name, image, language, category in columns]


def read_places(columns: Mapping[str, Any], suffix: Literal["", "_before"] = "") -> Places:
    """What `beside.write_files` wrote of the places after rewriting, or before it; columns are lists or arrays."""

    def column(name: str) -> np.ndarray | None:
        return np.array(columns[name + suffix], dtype=np.float64) if name + suffix in columns else None

    def by_grade(kind: str) -> np.ndarray | None:
        found = [column(f"{kind}_grade_{grade}") for grade in grades]
        # No such image: null in the file.
        return np.stack([np.nan_to_num(ranks, nan=np.inf) for ranks in found if ranks is not None]) if found else None

    grades = [
        name.removeprefix("rank_grade_")
        for name in columns
        if name.startswith("rank_grade_") and not name.endswith("_before")
    ]
    has_subsets = any(name.startswith("subset_rank_grade_") for name in columns)
    return Places(
        rank=np.array(columns[f"rank{suffix}"]),
        candidates=np.array(columns["candidates"]) if "candidates" in columns else None,
        subset_rank=column("subset_rank"),
        grades=np.array([float(grade) for grade in grades]) if grades else None,
        grade_rank=by_grade("rank"),
        grade_subset_rank=by_grade("subset_rank") if has_subsets else None,
        precision=column("average_precision"),
    )


def _per_image(folder: Path) -> dict[str, Any]:
    path = folder / results.PER_IMAGE_FILE
    if not path.is_file():
        raise UserError("this published result holds no ranks", file=path, fix="its command makes the whole result")
    return artifacts.read_table(path)


def read_image_places(columns: Mapping[str, Any], suffix: Literal["", "_before"] = "") -> ImagePlaces:
    """The same of the way back."""

    def column(name: str) -> np.ndarray | None:
        return np.array(columns[name + suffix]) if name + suffix in columns else None

    images = columns["image_id"]
    languages = tuple(columns.get("language", [""] * len(images)))
    return ImagePlaces(tuple(images), languages, rank=column("rank"), precision=column("average_precision"))


def require_comparable(first: Scored, second: Scored) -> None:
    """UserError, in one sentence, where the two did not search the same with the same."""
    if first.result.id == second.result.id:
        raise UserError(f"{first.name} is given twice", fix="name two results")
    for what, of in _SHARED:
        one, other = of(first.result), of(second.result)
        if one != other:
            raise UserError(
                f"{first.name} and {second.name} cannot be compared: the {what} differs, {one} and {other}",
                fix="run both with the same options",
            )
    if first.ids != second.ids:
        raise UserError(f"{first.name} and {second.name} cannot be compared: the queries differ", file=second.folder)


def compare(base: Scored, others: Sequence[Scored], *, seed: int = 0) -> list[Comparison]:
    """Each of the others against the baseline; `seed` is of the permutations.

    Where figures are means over languages, so are the differences and what is tested. Raises UserError where two are
    not comparable.
    """
    for other in others:
        require_comparable(base, other)
    tests = _p_values(base, others, seed)
    adjusted = {key: holm(tests[key]) for key in base.headline}
    found = []
    for place, other in enumerate(others):
        bounds = figures.difference_intervals(base.sheets, other.sheets)
        changes = {
            key: Change(base.headline[key], other.headline[key], *bounds[key], tests[key][place], adjusted[key][place])
            for key in base.headline
        }
        found.append(Comparison(other, *outcomes(other.goodness - base.goodness), changes))
    return found


def _p_values(base: Scored, others: Sequence[Scored], seed: int) -> dict[str, list[float]]:
    """By figure, of each of the others, by the test and the flips of the board."""
    found = {}
    pairs = np.array([(0, place) for place in range(1, len(others) + 1)])
    for place, sheet in enumerate(base.sheets):
        images = np.unique(np.asarray(sheet.clusters), return_inverse=True)[1]
        weights = 1.0 if sheet.weights is None else sheet.weights
        for key in sheet.values:
            columns = [one.sheets[place].values[key] * weights for one in (base, *others)]
            sums = np.stack([np.bincount(images, weights=column) for column in columns], axis=1)
            found[key] = pairs_p(sums, pairs, seed=seed).tolist()
    return found


def examples(base: Scored, comparison: Comparison, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The `count` largest gains and losses over the baseline, largest first.

    From rank 10 to 1 is as much as from 100 to 10. Each is an object with the query's id, both ranks (`base_rank`,
    `rank`) or average precisions, both rewrites and, where the result holds it, the query's own text.
    """
    other = comparison.other
    if protocol_named(other.result.protocol).relevance == "category":
        gains, figure = other.goodness - base.goodness, "average_precision"
    else:
        gains, figure = np.log(base.goodness / other.goodness), "rank"
    before, after = ({row["query_id"]: row for row in rows.joined(one.folder, one.result)} for one in (base, other))

    def shown(place: int) -> dict[str, Any]:
        old, new = before[base.ids[place]], after[base.ids[place]]
        text = new.get("text", old.get("text"))
        return {
            "query_id": base.ids[place],
            **({} if text is None else {"text": text}),
            f"base_{figure}": old[figure],
            figure: new[figure],
            "base_rewrite": old.get("rewrite", "as it came") or "not published with this result",
            "rewrite": new.get("rewrite", "as it came") or "not published with this result",
        }

    order = sorted(range(len(gains)), key=lambda place: (-gains[place], base.ids[place]))
    best = [place for place in order[:count] if gains[place] > 0]
    worst = [place for place in order[::-1][:count] if gains[place] < 0]
    return [shown(place) for place in best], [shown(place) for place in worst]
