"""CVLUE image-text retrieval: Chinese captions of culture-bound images, in all three forms of its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.cvlue_categories import category_of, group_of
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query

IMAGES, CAPTIONS, GOLD = "images.json", "captions.json", "gold.json"


def load(place: Place, split: str) -> Dataset:
    """Read `<split>.json`, the file that the place names, or the blind form of the test files.

    Records `{"image": path, "caption": [texts]}` (`image_id` may stand beside) are the training and the gold form;
    a query's id is `<path>#<n>` of the first record that has it, n from 1. The blind form is a folder with
    `images.json` (paths) and `captions.json` (texts); a query's id is `caption#<n>` of its first place there, so that
    it is the same once `gold.json` lies beside them and names the positives.

    As in the official scorer a caption TEXT is one query, and every image with that caption is a positive. Image ids
    are paths; a query's category is that of its first image.
    """
    path = place.annotations if place.annotations.is_file() else place.annotations / f"{split}.json"
    images, captions = path.parent / IMAGES, path.parent / CAPTIONS
    if path in (images, captions) or (not path.is_file() and (images.is_file() or captions.is_file())):
        return _blind(place, images, captions, path.parent / GOLD)
    gold = _read_gold(path)
    if not gold.images:
        raise UserError("the file holds no records", file=path, line=1)
    queries = [_query(gold.names[text], text, positives) for text, positives in gold.by_text.items()]
    return _dataset(place, queries, gold.images, gold.captions, (path,))


@dataclass
class _Gold:
    """What a file of records says."""

    images: list[str] = field(default_factory=list)
    by_text: dict[str, list[str]] = field(default_factory=dict)
    """Caption to the images that have it, both in file order."""
    names: dict[str, str] = field(default_factory=dict)
    """Caption to the id of its first place."""
    captions: int = 0


def _read_gold(path: Path) -> _Gold:
    gold, unique = _Gold(), formats.Unique("image")
    for entry in formats.read_entries(path):
        image = entry.text("image")
        unique.add(image, entry)
        gold.images.append(image)
        # An image without captions asks for nothing and is searched all the same.
        captions = entry.texts("caption") if entry.get("caption") != [] else []
        for number, caption in enumerate(captions, start=1):
            gold.captions += 1
            gold.names.setdefault(caption, f"{image}#{number}")
            images = gold.by_text.setdefault(caption, [])
            if image not in images:
                images.append(image)
    return gold


def _blind(place: Place, images_file: Path, captions_file: Path, gold_file: Path) -> Dataset:
    unique, images = formats.Unique("image"), []
    for entry in _texts(images_file, "image"):
        images.append(entry.text("image"))
        unique.add(images[-1], entry)
    if not images:
        raise UserError("the file holds no images", file=images_file, line=1)
    captions = [entry.text("caption") for entry in _texts(captions_file, "caption")]
    names: dict[str, str] = {}
    for number, caption in enumerate(captions, start=1):
        names.setdefault(caption, f"caption#{number}")
    files: tuple[Path, ...] = (images_file, captions_file)
    golds: Mapping[str, list[str]] = {}
    if gold_file.is_file():
        files = (*files, gold_file)
        golds = _match(names, images, gold_file, captions_file)
    queries = [_query(name, text, golds.get(text, ())) for text, name in names.items()]
    return _dataset(place, queries, images, len(captions), files)


def _match(
    captions: Iterable[str], images: Iterable[str], gold_file: Path, captions_file: Path
) -> dict[str, list[str]]:
    """The images of each caption. UserError where the gold file is about other captions or images."""
    gold = _read_gold(gold_file)
    if strangers := set(gold.images) - set(images):
        what = f"{len(strangers)} of its images are not in images.json, such as {min(strangers)!r}"
        raise UserError(what, file=gold_file, fix="take files of the same split")
    found, left = {}, dict(gold.by_text)
    for caption in captions:
        # The official scorer looks a caption with spaces up with commas in their place.
        text = caption if caption in gold.by_text else ",".join(caption.split())
        if text not in gold.by_text:
            what = f"the caption {caption!r} of {captions_file.name} has no image"
            raise UserError(what, file=gold_file, fix="take files of the same split")
        found[caption] = gold.by_text[text]
        left.pop(text, None)
    if left:
        what = f"{len(left)} of its captions are not in {captions_file.name}, such as {next(iter(left))!r}"
        raise UserError(what, file=gold_file, fix="take files of the same split")
    return found


def _texts(path: Path, what: str) -> list[formats.Entry]:
    """A JSON array of texts, each as an entry that has it under the key `what`."""
    found = formats.read_json(path)
    if not isinstance(found, list):
        raise UserError(f"expected a JSON array of {what}s", file=path, line=1)
    return [formats.Entry(path, {what: text}, number) for number, text in enumerate(found, start=1)]


def _query(name: str, text: str, images: Iterable[str]) -> Query:
    positives = tuple(images)
    category = category_of(positives[0]) if positives else ""
    return Query(name, text, positives, language="zh", category=category)


def _dataset(place: Place, queries: list[Query], images: list[str], captions: int, files: tuple[Path, ...]) -> Dataset:
    notes = []
    if merged := captions - len(queries):
        notes.append(f"{merged} captions repeat an earlier one and are one query with it")
    if queries and not any(query.positives for query in queries):
        notes.append("the files name no right answers")
    categories = tuple(category_of(image) for image in images)
    gallery = Gallery(tuple(images), place.pictures({image: image for image in images}), categories)
    groups = {category: group for category in categories if (group := group_of(category))}
    return Dataset(tuple(queries), gallery, files, tuple(notes), captions, groups)
