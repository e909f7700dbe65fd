"""From places to figures: means over queries or images, of all and of each language or category, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grapebench.errors import UserError
from grapebench.evaluation import metrics
from grapebench.evaluation.clusters import clusters as clusters_of
from grapebench.evaluation.protocols import I2T, Protocol
from grapebench.records import Query


def part_weights(parts: Sequence[str]) -> np.ndarray:
    """How much each row counts in a mean over its parts, each counting the same, times the number of rows, `(rows,)`.

    Rows of the part '' count nothing.
    """
    names, places, sizes = np.unique(np.asarray(parts), return_inverse=True, return_counts=True)
    counted = names != ""
    weights: np.ndarray = np.where(counted, len(places) / (np.count_nonzero(counted) * sizes), 0.0)[places]
    return weights


@dataclass(frozen=True)
class Places:
    """Where each query's right images came: all that its figures are computed from."""

    rank: np.ndarray
    """`(queries,)`: of the best positive, from 1; a miss lies beyond all candidates and every cut-off."""
    subset_rank: np.ndarray | None = None
    """`(queries,)`: the same among each query's look-alikes."""
    grades: np.ndarray | None = None
    """`(levels,)`: the grades above 0 that occur, ascending; for the protocol `graded` alone, as the next two."""
    grade_rank: np.ndarray | None = None
    """`(levels, queries)`: of the best image of at least that grade; infinity where the query has no such image."""
    grade_subset_rank: np.ndarray | None = None
    """`(levels, queries)`: the same among each query's look-alikes."""
    precision: np.ndarray | None = None
    """`(queries,)`: average precision over the whole ranking, where every image of a category is right."""
    candidates: np.ndarray | None = None
    """`(queries,)`: how many images stood in the ranking; None where every query has a right image among them."""

    @property
    def missed(self) -> np.ndarray:
        """`(queries,)`: whether no right image stood in the ranking: such a query scores 0 in every measure."""
        found: np.ndarray = np.zeros(len(self.rank), bool) if self.candidates is None else self.rank > self.candidates
        return found


@dataclass(frozen=True)
class ImagePlaces:
    """The way back: where each image's texts came. Images that are no text's answer are left out."""

    images: tuple[str, ...]
    """One a row; once for each language that it has texts in, where languages are apart."""
    languages: tuple[str, ...]
    """One a row; '' where languages are not apart."""
    rank: np.ndarray | None = None
    """`(rows,)`: of the image's best text."""
    precision: np.ndarray | None = None
    """`(rows,)`: average precision, where every text of the image's category is right."""


@dataclass(frozen=True)
class Sheet:
    """The values that figures are means of."""

    values: Mapping[str, np.ndarray]
    """Figure to `(rows,)`, a row being a query or an image."""
    clusters: Sequence[str]
    """The cluster of each row: rows of one cluster are not independent, and the bootstrap draws them together."""
    parts: tuple[Sequence[str], ...] = ()
    """Ways to divide the rows, each with a name for every row; rows of the name '' are in no part."""
    macro: bool = False
    """Whether the headline is the mean over the parts, each counting the same, and not over the rows."""

    @property
    def weights(self) -> np.ndarray | None:
        """How much each row counts in the headline, times the number of rows; None where all count the same."""
        return part_weights(self.parts[0]) if self.macro else None


def query_values(protocol: Protocol, places: Places) -> dict[str, np.ndarray]:
    """What text-to-image figures are means of, `(queries,)` each, in the order of `protocol.query_keys`."""
    values: dict[str, np.ndarray] = {}
    if protocol.relevance == "graded":
        grades, ranks, subset_ranks = places.grades, places.grade_rank, places.grade_subset_rank
        if grades is None or ranks is None:
            raise ValueError("the protocol needs the ranks of graded images")
        values |= {f"R@{k}": metrics.grade_at(grades, ranks, k) for k in protocol.ks}
        if subset_ranks is not None:
            values |= {f"R_subset@{k}": metrics.grade_at(grades, subset_ranks, k) for k in protocol.subset_ks}
    elif protocol.relevance == "category":
        if places.precision is None:
            raise ValueError("the protocol needs average precision")
        values["mAP"] = places.precision
    else:
        values |= {f"R@{k}": metrics.success_at(places.rank, k) for k in protocol.ks}
        if places.subset_rank is not None:
            values |= {f"R_subset@{k}": metrics.success_at(places.subset_rank, k) for k in protocol.subset_ks}
        values["MRR"] = metrics.reciprocal_rank(places.rank, places.missed)
    return values


def query_sheet(
    protocol: Protocol,
    queries: Sequence[Query],
    places: Places,
    groups: Mapping[str, str],
    clusters: Sequence[str] | None = None,
) -> Sheet:
    """Text-to-image figures, in the order of `protocol.query_keys`; `groups` is category to group.

    `clusters` are the queries', where they are known already.
    """
    values = query_values(protocol, places)
    clusters = clusters_of(protocol, queries) if clusters is None else clusters
    if protocol.by == "language":
        return Sheet(values, clusters, ([query.language for query in queries],), macro=True)
    if protocol.by == "category":
        categories = [query.category for query in queries]
        if shared := set(categories) & set(groups.values()) - {""}:
            raise UserError(f"{sorted(shared)[0]!r} is the name of a category and of a group of categories")
        parts = (categories, [groups.get(category, "") for category in categories])
        return Sheet(values, clusters, tuple(names for names in parts if any(names)))
    return Sheet(values, clusters)


def image_sheet(protocol: Protocol, places: ImagePlaces, clusters: Sequence[str]) -> Sheet:
    """Image-to-text figures, in the order of `protocol.image_keys`; `clusters` are the images', one a row."""
    values = {}
    if places.precision is not None:
        values[I2T + "mAP"] = places.precision
    elif places.rank is not None:
        values = {f"{I2T}R@{k}": metrics.success_at(places.rank, k) for k in protocol.ks}
    apart = protocol.by == "language"
    return Sheet(values, clusters, (places.languages,) if apart else (), macro=apart)


def figures(protocol: Protocol, sheets: Sequence[Sheet], places: Places) -> dict[str, float]:
    """All figures of a protocol, as fractions; `median_rank` is a rank. The headline is first, `key/part` after it."""
    headline: dict[str, float] = {}
    apart: dict[str, float] = {}
    for sheet in sheets:
        if not len(sheet.clusters):
            raise UserError("there are no queries to score")
        found = {key: metrics.mean(column) for key, column in sheet.values.items()}
        for names in sheet.parts:
            tags = np.asarray(names)
            known = sorted(set(names) - {""})
            each = {
                name: {key: metrics.mean(column[tags == name]) for key, column in sheet.values.items()}
                for name in known
            }
            if sheet.macro:
                found = {key: metrics.mean(np.array([each[name][key] for name in known])) for key in sheet.values}
            apart |= {f"{key}/{name}": each[name][key] for name in known for key in sheet.values}
        headline |= found
    if protocol.relevance == "own":
        headline["median_rank"] = metrics.median_rank(places.rank)
    return headline | apart


def share_intervals(sheets: Sequence[Sheet]) -> dict[str, tuple[float, float]]:
    """95 % intervals of `figures`, but for `median_rank`."""
    from grapebench.evaluation import intervals

    found: dict[str, tuple[float, float]] = {}
    for sheet in sheets:
        for names in sheet.parts or (None,):
            found |= intervals.share_intervals(sheet.values, sheet.clusters, groups=names, macro=sheet.macro)
    return found


def difference_intervals(before: Sequence[Sheet], after: Sequence[Sheet]) -> dict[str, tuple[float, float]]:
    """95 % intervals of the paired differences of two ways to ask, whose sheets have the same rows."""
    from grapebench.evaluation import intervals

    found: dict[str, tuple[float, float]] = {}
    for old, new in zip(before, after, strict=True):
        changes = {key: new.values[key] - old.values[key] for key in new.values}
        for names in new.parts or (None,):
            found |= intervals.intervals(changes, new.clusters, groups=names, macro=new.macro)
    return found
