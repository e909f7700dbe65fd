"""CIRR rc2 (composed retrieval): a reference image and a wish for a change; sets of six look-alikes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(place: Place, split: str) -> Dataset:
    """Read `captions/cap.rc2.<split>.json` and `image_splits/split.rc2.<split>.json`.

    The gallery is the split file with its paths, in its order. A split is labelled (`positives` is the hard target,
    `grades` are the soft ones as they stand, the reference and a missing target included) or not at all, as test1; a
    file that names the target of some queries only is an error.
    """
    captions = place.annotations / "captions" / f"cap.rc2.{split}.json"
    images = place.annotations / "image_splits" / f"split.rc2.{split}.json"
    paths = _image_paths(images)
    entries = formats.read_entries(captions)
    labelled = any("target_hard" in entry.value for entry in entries)
    unique = formats.Unique("pairid")
    queries = []
    for entry in entries:
        query = _query(entry, labelled, paths, images)
        unique.add(query.id, entry)
        queries.append(query)
    gallery = Gallery(tuple(paths), place.pictures(paths))
    return Dataset(tuple(queries), gallery, (captions, images), tuple(_notes(queries, labelled)))


def _notes(queries: list[Query], labelled: bool) -> list[str]:
    notes = []
    if not labelled:
        notes.append("the split has no public labels")
    if blank := sum(not query.text.strip() for query in queries):
        notes.append(f"{blank} blank captions are queries all the same")
    if labelled:
        if outside := sum(query.positives[0] not in query.subset for query in queries):
            notes.append(f"the target of {outside} queries is not one of their look-alikes")
        if ungraded := sum(query.positives[0] not in dict(query.grades) for query in queries):
            notes.append(f"the target of {ungraded} queries has no grade among the soft labels")
        if own := sum(query.reference in dict(query.grades) for query in queries):
            notes.append(f"the soft labels of {own} queries grade the reference image")
    return notes


def _image_paths(path: Path) -> dict[str, str]:
    found = formats.read_json(path)
    if not isinstance(found, dict) or not found:
        raise UserError("expected a JSON object from image names to paths", file=path, line=1)
    for name, where in found.items():
        if not isinstance(where, str) or not formats.encodable(name + where):
            line = formats.line_of_key(path, name)
            raise UserError(f"the path of image {name!r} must be a string", file=path, line=line)
    return found


def _query(entry: formats.Entry, labelled: bool, paths: Mapping[str, str], split_file: Path) -> Query:
    pairid = entry.identifier("pairid")
    reference = entry.text("reference")
    members = entry.inner("img_set").texts("members")
    positives = (entry.text("target_hard"),) if labelled else ()
    grades = _grades(entry) if labelled else ()
    graded = [image for image, _ in grades]
    for role, images in (
        ("reference", (reference,)),
        ("target", positives),
        ("soft target", graded),
        ("member", members),
    ):
        for image in images:
            if image not in paths:
                raise entry.error(f"the {role} {image!r} of pairid {pairid} is not in {split_file}")
    return Query(
        pairid,
        entry.text("caption"),
        positives,
        reference=reference,
        excluded=(reference,),
        subset=tuple(image for image in dict.fromkeys(members) if image != reference),
        grades=grades,
    )


def _grades(entry: formats.Entry) -> tuple[tuple[str, float], ...]:
    grades = []
    for image, grade in entry.inner("target_soft").value.items():
        if isinstance(grade, bool) or not isinstance(grade, int | float) or not math.isfinite(grade):
            raise entry.error(f"the grade of {image!r} in 'target_soft' must be a number, found {grade!r}")
        grades.append((image, float(grade)))
    return tuple(grades)
