"""Chinese-CLIP's form of any image-text data: `<split>_texts.jsonl`, with the images in `<split>_imgs.tsv` or LMDB."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import holds_ids, open_container
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.names import Spellings
from grapebench.records import Dataset, Gallery, Query

TEXTS, IMAGES = "_texts.jsonl", "_imgs.tsv"
SPELLINGS = {"val": "valid", "valid": "val"}
"""Its own tools say 'valid' where most others say 'val'."""


def load(place: Place, split: str, language: str = "zh") -> Dataset:
    """Read `<split>_texts.jsonl`, which is `place.annotations` or stands in it; `valid_` serves for a split 'val' too.

    Each text is a query under its `text_id`, and every one of its `image_ids` is right. A file that names no images at
    all is a split without public labels.
    """
    named = place.annotations.name
    names = [f"{name}{TEXTS}" for name in (split, SPELLINGS.get(split, split))]
    files = [place.annotations] if named in names else [place.root / name for name in names]
    return read(next((file for file in files if file.exists()), files[0]), place, language)


def read(path: Path, place: Place, language: str) -> Dataset:
    """One file of texts. The gallery is the split's store of images, where it is at hand, else the images of the texts.

    The store is `<split>_imgs.tsv` or the split's LMDB, and stands beside the texts or where the images are, or is what
    `place.images` names. Images are read from it where `place.images` is that, or a folder that holds it.
    """
    rows = [
        (entry, entry.identifier("text_id"), entry.identifiers("image_ids")) for entry in formats.read_json_lines(path)
    ]
    if not rows:
        raise UserError("the file holds no texts", file=path, line=1)
    labelled = any(images for _, _, images in rows)
    split = _split_name(path)
    store = own_store(split, path.parent, place) or _named_store(split, place)
    ids = image_ids(store) if store else dict.fromkeys(image for _, _, images in rows for image in images)
    if not ids:
        raise UserError("the file is missing, and no text names an image", file=path.with_name(split + IMAGES))
    unique = formats.Unique("text")
    spelled = Spellings(ids)
    queries = []
    for entry, text_id, images in rows:
        unique.add(text_id, entry)
        if labelled and not images:
            raise entry.error(f"text {text_id} names no image, and others do")
        positives = dict.fromkeys(map(spelled, images))
        for image in positives:
            if image not in ids:
                raise entry.error(f"the image {image!r} of text {text_id} is not in {store}")
        queries.append(Query(text_id, entry.text("text"), tuple(positives), language=language))
    notes = ["the form read is Chinese-CLIP's JSON lines"]
    notes.append(f"the gallery is that of {shown(store)}" if store else "the gallery is the images of the texts")
    if not labelled:
        notes.append("the split has no public labels")
    notes += formats.caption_notes([query.text for query in queries])
    pictures = replace(place, images=_images(split, place)).pictures({image: f"{image}.jpg" for image in ids})
    return Dataset(tuple(queries), Gallery(tuple(ids), pictures), (path,), tuple(notes))


def own_store(split: str, beside: Path, place: Place) -> Path | None:
    """The file of images, or the LMDB, that bears the split's name; None where there is none.

    It stands in the folder `beside`, or where the images are.
    """
    for name in dict.fromkeys((split, SPELLINGS.get(split, split))):
        if place.images.name == name + IMAGES and place.images.is_file():
            return place.images
        for folder in (beside, place.images):
            found = next((folder / one for one in _stores(name) if holds_ids(folder / one)), None)
            if found is not None:
                return found
        if holds_ids(place.images) and _words(place.images) & _SPLITS == {name}:
            return place.images
    return None


def image_ids(store: Path) -> dict[str, None]:
    """The ids that a store of images holds, in its order; what is found is remembered for when they are read."""
    return dict.fromkeys(open_container(store).entries())


def shown(store: Path) -> str:
    """The store as a result's notes name it: without the folders that only its user knows."""
    if store.name.endswith(".tsv"):
        return store.name
    parts = store.with_name("imgs").parts if store.name == "data.mdb" else store.parts
    return "/".join(parts[-2:] if parts[-1] == "imgs" else parts[-1:])


_SPLITS = {"train", "val", "valid", "test"}


def _named_store(split: str, place: Place) -> Path | None:
    """The store of images by id that is named as the place of the images, unless its name is another split's."""
    if not holds_ids(place.images) or _words(place.images) & _SPLITS - {split, SPELLINGS.get(split, split)}:
        return None
    return place.images


def _words(path: Path) -> set[str]:
    """Of the last names of a path: `lmdb/test/imgs/data.mdb` is about 'test'."""
    return set(re.split(r"[^a-z]+", "/".join(path.parts[-3:]).lower()))


def _split_name(texts: Path) -> str:
    return texts.name.removesuffix(".jsonl").removesuffix("_texts")


def _stores(split: str) -> tuple[str, ...]:
    """Where a folder has the images of a split."""
    return (split + IMAGES, f"lmdb/{split}/imgs", f"{split}/imgs")


def _images(split: str, place: Place) -> Path:
    """Where the images of this split are: in a folder that has files for several, its own."""
    own = [place.images / name for name in _stores(split)]
    return next((path for path in own if path.exists()), place.images)
