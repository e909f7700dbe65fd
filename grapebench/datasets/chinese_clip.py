"""Chinese-CLIP's form of any image-text data: `<split>_texts.jsonl`, with the images in `<split>_imgs.tsv` or LMDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
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
    """One file of texts. The gallery is that of the file of images, where it is at hand, else the images of the texts.

    The file of images stands beside the texts or where the images are. Images are read from it, or from the split's
    LMDB, where `place.images` is a folder that holds one of them.
    """
    rows = [
        (entry, entry.identifier("text_id"), entry.identifiers("image_ids")) for entry in formats.read_json_lines(path)
    ]
    if not rows:
        raise UserError("the file holds no texts", file=path, line=1)
    labelled = any(images for _, _, images in rows)
    listing = _images_file(path, place)
    ids = _image_ids(listing) if listing else dict.fromkeys(image for _, _, images in rows for image in images)
    if not ids:
        raise UserError("the file is missing, and no text names an image", file=path.with_name(_images_name(path)))
    unique = formats.Unique("text")
    queries = []
    for entry, text_id, images in rows:
        unique.add(text_id, entry)
        if labelled and not images:
            raise entry.error(f"text {text_id} names no image, and others do")
        for image in images:
            if image not in ids:
                raise entry.error(f"the image {image!r} of text {text_id} is not in {listing}")
        queries.append(Query(text_id, entry.text("text"), tuple(dict.fromkeys(images)), language=language))
    notes = ["the form read is Chinese-CLIP's JSON lines"]
    notes.append(f"the gallery is that of {listing.name}" if listing else "the gallery is the images of the texts")
    if not labelled:
        notes.append("the split has no public labels")
    notes += formats.caption_notes([query.text for query in queries])
    pictures = replace(place, images=_images(path, place)).pictures({image: f"{image}.jpg" for image in ids})
    return Dataset(tuple(queries), Gallery(tuple(ids), pictures), (path,), tuple(notes))


def _split_name(texts: Path) -> str:
    return texts.name.removesuffix(".jsonl").removesuffix("_texts")


def _images_name(texts: Path) -> str:
    return _split_name(texts) + IMAGES


def _images_file(texts: Path, place: Place) -> Path | None:
    """The images that belong to a file of texts; None where there are none, or in another form."""
    name = _images_name(texts)
    beside_images = place.images if place.images.name == name else place.images / name
    return next((file for file in (texts.with_name(name), beside_images) if file.is_file()), None)


def _images(texts: Path, place: Place) -> Path:
    """Where the images of this split are: in a folder that has files for several, its own."""
    lmdb = Path(_split_name(texts), "imgs")
    own = [place.images / name for name in (_images_name(texts), "lmdb" / lmdb, lmdb)]
    return next((path for path in own if path.exists()), place.images)


def _image_ids(path: Path) -> dict[str, None]:
    """The ids that a file of images holds, in its order; where each image begins is remembered for when it is read."""
    from grapebench.datasets.images.tsv import Tsv

    return dict.fromkeys(Tsv(path).entries())
