"""Crossmodal-3600: captions of the same images in 36 languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(place: Place, split: str, languages: Sequence[str] | None = None) -> Dataset:
    """Read `captions.jsonl`, one image a line: the file that the place names, `<split>/captions.jsonl` or the folder's.

    The official data is one split, 'test'. Every caption is a query `<key>#<language>#<n>`, n from 1; `languages`
    leaves the others out and says the order, without it a line's own order holds. Every image of the file is in the
    gallery; one without captions in a language has no query in it, which `notes` says.
    """
    path = _file(place.annotations, split)
    chosen = tuple(dict.fromkeys(languages or ()))
    unique = formats.Unique("image")
    queries: list[Query] = []
    images: list[str] = []
    known: dict[str, None] = {}
    captioned: Counter[str] = Counter()
    for entry in formats.read_json_lines(path):
        image = entry.text("image/key")
        unique.add(image, entry)
        images.append(image)
        present = [key for key in entry.value if "/" not in key]
        known |= dict.fromkeys(present)
        for language in chosen or present:
            captions = _captions(entry, language)
            captioned[language] += bool(captions)
            queries += [
                Query(f"{image}#{language}#{number}", caption, (image,), language=language)
                for number, caption in enumerate(captions, start=1)
            ]
    if not images:
        raise UserError("the file holds no records", file=path, line=1)
    if strangers := [language for language in chosen if language not in known]:
        there = ", ".join(known) or "none"
        raise UserError(f"no captions in the language {strangers[0]!r}", file=path, fix=f"there is: {there}")
    gallery = Gallery(tuple(images), place.pictures({image: f"images/{image}.jpg" for image in images}))
    return Dataset(tuple(queries), gallery, (path,), tuple(_notes(chosen or known, captioned, len(images))))


def _file(annotations: Path, split: str) -> Path:
    if annotations.is_file():
        return annotations
    own = annotations / split / "captions.jsonl"
    return own if split != "test" or own.is_file() else annotations / "captions.jsonl"


def _captions(entry: formats.Entry, language: str) -> list[str]:
    if language not in entry.value:
        return []
    found = entry.inner(language)
    return found.texts("caption") if found.get("caption") != [] else []


def _notes(languages: Iterable[str], captioned: Counter[str], images: int) -> list[str]:
    lacking = {language: images - captioned[language] for language in languages}
    return [f"{count} images have no caption in {language}" for language, count in lacking.items() if count]
