"""Crossmodal-3600: captions of the same images in many languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(root: Path, split: str, languages: Sequence[str] | None = None) -> Dataset:
    """Read `captions.jsonl`, one image a line, from `<root>/<split>/` where that exists, else from `root`.

    The official data is one split, 'test'. Every caption is a query `<key>#<language>#<n>`, n from 1; `languages`
    leaves the others out and says the order, without it a line's own order holds. Images are `images/<key>.jpg`,
    `.jpeg` or `.png` beside the file.
    """
    folder = root / split
    if not folder.is_dir():
        if split != "test":
            raise UserError(f"there is no split {split!r}: the folder is missing", file=folder)
        folder = root
    path = folder / "captions.jsonl"
    unique = formats.Unique("image")
    queries: list[Query] = []
    images: list[str] = []
    for entry in formats.read_json_lines(path):
        image = entry.text("image/key")
        unique.add(image, entry)
        images.append(image)
        for language in languages or _languages(entry):
            captions = _captions(entry, language)
            queries += [
                Query(f"{image}#{language}#{number}", caption, (image,), language=language)
                for number, caption in enumerate(captions, start=1)
            ]
    if not images:
        raise UserError("the file holds no records", file=path, line=1)
    gallery = Gallery(tuple(images), Folder({image: folder / "images" / f"{image}.jpg" for image in images}))
    return Dataset(tuple(queries), gallery, (path,))


def _languages(entry: formats.Entry) -> list[str]:
    return [key for key in entry.value if "/" not in key]


def _captions(entry: formats.Entry, language: str) -> list[str]:
    if language not in entry.value:
        known = ", ".join(_languages(entry)) or "none"
        raise entry.error(f"no captions in the language {language!r}; the line has {known}")
    return entry.inner(language).texts("caption")
