"""The queries of a board's results: what is shared by all results that asked them, and what is a result's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grapebench.errors import UserError
from grapebench.leaderboard import rows
from grapebench.leaderboard.results import PER_QUERY_FILE
from grapebench.leaderboard.site.tops import Tops
from grapebench.leaderboard.store import Stored
from grapebench.records import Query, Task
from grapebench.rewriters.recot import CONCEPTS

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Material:
    """Queries that several results asked, in their order, and the images among which they searched."""

    ids: tuple[str, ...]
    texts: tuple[str, ...] | None
    """None where they are not at hand."""
    languages: tuple[str, ...]
    categories: tuple[str, ...]
    targets: tuple[str, ...]
    """The first right image of each; '' without labels."""
    references: tuple[str, ...]
    """The image that a composed query wants changed; '' where there is none, or where that is not known."""
    gallery: tuple[str, ...]
    """All images that were searched, or, where the data are not at hand, those that are named anywhere."""
    pictures: tuple[str, ...] | None
    """The file of each of `gallery`; None where there are none."""


def read(stored: Stored) -> Rows | None:
    """All that a result says of its queries; None where it came without. Raises UserError for broken files."""
    if stored.result.labelled and not (stored.folder / PER_QUERY_FILE).is_file():
        return None
    return rows.joined(stored.folder, stored.result) or None


def as_came(found: Rows) -> bool:
    """Whether every query was searched as it came: then a run is that of the raw query texts."""
    return all("rewrite" not in row or row["rewrite"] == row.get("text", ()) for row in found)


def of_task(task: Task, limit: int | None, pictures: tuple[str, ...] | None) -> Material:
    """From the benchmark's own data."""
    queries = task.queries[:limit]
    return Material(
        ids=tuple(query.id for query in queries),
        texts=tuple(query.text for query in queries),
        languages=tuple(query.language for query in queries),
        categories=tuple(query.category for query in queries),
        targets=tuple(_target(query) for query in queries),
        references=tuple(query.reference or "" for query in queries),
        gallery=task.gallery.ids,
        pictures=pictures,
    )


def _target(query: Query) -> str:
    return query.positives[0] if query.positives else ""


def of_rows(found: Rows, tops: Sequence[Tops]) -> Material:
    """From what a result says of its queries, and the images that runs name."""
    targets = tuple(row.get("positive") or "" for row in found)
    named = {image for one in tops for images in one.values() for image in images}
    return Material(
        ids=tuple(row["query_id"] for row in found),
        texts=tuple(row["text"] for row in found) if all("text" in row for row in found) else None,
        languages=tuple(row.get("language") or "" for row in found),
        categories=tuple(row.get("category") or "" for row in found),
        targets=targets,
        references=("",) * len(found),
        gallery=tuple(sorted(named.union(targets) - {""})),
        pictures=None,
    )


def shared(one: Material, before: Tops | None) -> dict[str, Any]:
    """What pages read of the queries; `before` is what the raw query texts found."""
    place = {image: number for number, image in enumerate(one.gallery)}
    return {
        "ids": one.ids,
        "texts": one.texts,
        "language": _coded(one.languages),
        "category": _coded(one.categories),
        "target": [place.get(image, -1) for image in one.targets],
        "reference": [place.get(image, -1) for image in one.references] if any(one.references) else None,
        "gallery": one.gallery,
        "pictures": one.pictures,
        "tops": _places(one, before),
    }


def own(one: Material, found: Rows, tops: Tops | None, stored: Stored) -> dict[str, Any]:
    """What pages read of one result's queries, in the order of `one.ids`. Raises UserError where these are others."""
    by_id = {row["query_id"]: row for row in found}
    if set(by_id) != set(one.ids) or len(found) != len(one.ids):
        what = "its queries are not those of the other results that searched the same"
        raise UserError(what, file=stored.folder)
    ordered = [by_id[name] for name in one.ids]
    columns: dict[str, Any] = {
        name: [row[column] for row in ordered] if column in ordered[0] else None
        for name, column in (
            ("rank", "rank"),
            ("before", "rank_before"),
            ("precision", "average_precision"),
            ("precisionBefore", "average_precision_before"),
        )
    }
    rewrites = [_rewrite(row) for row in ordered]
    published = any("rewrite" not in row or row["rewrite"] is not None for row in ordered)
    notes = {place: note for place, row in enumerate(ordered) if (note := _notes(row))}
    return columns | {
        # null: as it came. Without any of them known the whole is null.
        "rewrites": rewrites if published else None,
        "notes": notes,
        "tops": _places(one, tops),
    }


def _rewrite(row: Mapping[str, Any]) -> str | list[str] | None:
    """What was searched: one text, several parts, or None for the query as it came."""
    if "rewrite" not in row or row["rewrite"] == row.get("text", ()):
        return None
    parts = [*row.get("texts", ()), *(f"<image {image}>" for image in row.get("images", ()))]
    parts += ["<vector>"] * len(row.get("vectors", ()))
    return parts if len(parts) > 1 else row["rewrite"]


def _notes(row: Mapping[str, Any]) -> dict[str, str]:
    """What else is told of a query, by name; what the model wrote only where it was not searched."""
    found = {"Fallback": row["fallback"]} if row.get("fallback") else {}
    told = row.get("trace") or {}
    if CONCEPTS in told:
        found["Concepts"] = told[CONCEPTS]
    found |= {str(name): str(value) for name, value in told.items() if name != CONCEPTS}
    if row.get("fallback") and row.get("raw"):
        found["The model wrote"] = row["raw"]
    return found


def _coded(values: Sequence[str]) -> dict[str, Any] | None:
    """Names once, and the place of each value's name; None where there is nothing to tell apart."""
    names = sorted(set(values))
    if len(names) < 2:
        return None if names in ([], [""]) else {"names": names, "of": None}
    place = {name: number for number, name in enumerate(names)}
    return {"names": names, "of": [place[value] for value in values]}


def _places(one: Material, tops: Tops | None) -> dict[str, Any] | None:
    """Rows of equal length one after the other, -1 where a query has fewer images."""
    if tops is None:
        return None
    place = {image: number for number, image in enumerate(one.gallery)}
    depth = max((len(images) for images in tops.values()), default=0)
    flat: list[int] = []
    for name in one.ids:
        images = [place[image] for image in tops.get(name, ()) if image in place]
        flat += images + [-1] * (depth - len(images))
    return {"depth": depth, "of": flat}
