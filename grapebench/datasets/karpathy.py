"""Karpathy's splits of English image-text data (`dataset_flickr30k.json`, `dataset_coco.json`)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query

SPLITS = ("train", "restval", "val", "test")


def load(place: Place, split: str, dataset: str, captions: int | None = None, restval: bool = False) -> Dataset:
    """Read `dataset_<dataset>.json`, which is `place.annotations` or stands in it.

    An image's id is its file name without the ending; a query is `<image>#<n>`, its n-th sentence as it was written
    ('raw'), from 1. `captions` takes so many of each image and leaves the rest; with `restval` the images of the split
    of that name are in 'train', as is usual for COCO.
    """
    path = place.annotations if place.annotations.is_file() else place.annotations / f"dataset_{dataset}.json"
    wanted = ("train", "restval") if restval and split == "train" else (split,)
    unique = formats.Unique("image")
    files: dict[str, str] = {}
    queries = []
    held = 0
    for entry in formats.entries_of(_images(path, dataset), path, within="images"):
        if (found := entry.text("split")) not in SPLITS:
            raise entry.error(f"'split' must be one of {', '.join(SPLITS)}, found {found!r}")
        if found not in wanted:
            continue
        name = entry.text("filename")
        image = PurePosixPath(name).stem
        unique.add(image, entry)
        files[image] = f"{entry.text('filepath')}/{name}" if "filepath" in entry.value else name
        # One without sentences asks for nothing and is searched all the same.
        sentences = entry.inners("sentences") if entry.get("sentences") != [] else []
        held += len(sentences)
        queries += [
            Query(f"{image}#{number}", sentence.text("raw"), (image,))
            for number, sentence in enumerate(sentences[:captions], start=1)
        ]
    if not files:
        raise UserError(f"the file holds no images of the split {split!r}", file=path, line=1)
    notes = formats.caption_notes([query.text for query in queries])
    if left := held - len(queries):
        notes.insert(0, f"{left} captions beyond the first {captions} of their images are left out")
    gallery = Gallery(tuple(files), place.pictures(files))
    return Dataset(tuple(queries), gallery, (path,), tuple(notes), captions=held)


def _images(path: Path, dataset: str) -> list[Any]:
    found = formats.read_json(path)
    images = found.get("images") if isinstance(found, dict) else None
    if not isinstance(images, list):
        raise UserError("expected a JSON object with a list under 'images'", file=path, line=1)
    if (name := found.get("dataset", dataset)) != dataset:
        what = f"this is the dataset {name!r}, and {dataset!r} was asked for"
        raise UserError(what, file=path, line=formats.line_of_key(path, "dataset"))
    return images
