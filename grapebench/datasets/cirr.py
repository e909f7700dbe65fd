"""CIRR rc2 (composed retrieval): a reference image and a wish for a change; sets of six look-alikes."""

from __future__ import annotations

from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(root: Path, split: str) -> Dataset:
    """Read `captions/cap.rc2.<split>.json` and `image_splits/split.rc2.<split>.json` under `root`.

    Images lie at the split file's own relative paths under `root`. A split is labelled (`positives` is the hard
    target) or not at all, as test1; a file that names the target of some queries only is an error.
    """
    captions = root / "captions" / f"cap.rc2.{split}.json"
    images = root / "image_splits" / f"split.rc2.{split}.json"
    paths = _image_paths(images)
    entries = formats.read_entries(captions)
    labelled = any("target_hard" in entry.value for entry in entries)
    unique = formats.Unique("pairid")
    queries = []
    outside = 0
    for entry in entries:
        query = _query(entry, labelled, paths, images)
        unique.add(query.id, entry)
        outside += labelled and query.positives[0] not in query.subset
        queries.append(query)
    notes = []
    if not labelled:
        notes.append("the split has no public labels")
    if blank := sum(not query.text.strip() for query in queries):
        notes.append(f"{blank} blank captions are queries all the same")
    if outside:
        notes.append(f"the target of {outside} queries is not one of their look-alikes")
    gallery = Gallery(tuple(paths), Folder({image: root / path for image, path in paths.items()}))
    return Dataset(tuple(queries), gallery, (captions, images), tuple(notes))


def _image_paths(path: Path) -> dict[str, str]:
    found = formats.read_json(path)
    if not isinstance(found, dict) or not found:
        raise UserError("expected a JSON object from image names to paths", file=path, line=1)
    for name, place in found.items():
        if not isinstance(place, str) or not formats.encodable(name + place):
            line = formats.line_of_key(path, name)
            raise UserError(f"the path of image {name!r} must be a string", file=path, line=line)
    return found


def _query(entry: formats.Entry, labelled: bool, paths: dict[str, str], split_file: Path) -> Query:
    pairid = entry.identifier("pairid")
    reference = entry.text("reference")
    members = entry.inner("img_set").texts("members")
    positives = (entry.text("target_hard"),) if labelled else ()
    for role, images in (("reference", (reference,)), ("target", positives), ("member", members)):
        for image in images:
            if image not in paths:
                raise entry.error(f"the {role} {image!r} of pairid {pairid} is not in {split_file}")
    subset = tuple(image for image in dict.fromkeys(members) if image != reference)
    return Query(pairid, entry.text("caption"), positives, reference=reference, excluded=(reference,), subset=subset)
