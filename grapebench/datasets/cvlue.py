"""CVLUE image-text retrieval: Chinese captions of culture-bound images, as its training and gold files have them."""

from __future__ import annotations

from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query


def load(root: Path, split: str) -> Dataset:
    """Read `<split>.json` under `root`: records `{"image": path, "caption": [texts]}`, `image_id` may stand beside.

    As in the official scorer a caption TEXT is one query, and every image with that caption is a positive. Image
    ids are the records' paths, under `root`; a query's id is `<path>#<n>` of the first record that has it, n from 1.
    """
    path = root / f"{split}.json"
    images = formats.Unique("image")
    paths: dict[str, Path] = {}
    golds: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    captions = 0
    for entry in formats.read_entries(path):
        image = entry.text("image")
        images.add(image, entry)
        paths[image] = root / image
        for number, caption in enumerate(entry.texts("caption"), start=1):
            captions += 1
            names.setdefault(caption, f"{image}#{number}")
            gold = golds.setdefault(caption, [])
            if image not in gold:
                gold.append(image)
    if not paths:
        raise UserError("the file holds no records", file=path, line=1)
    queries = tuple(Query(names[text], text, tuple(gold), language="zh") for text, gold in golds.items())
    merged = captions - len(queries)
    notes = (f"{merged} captions repeat an earlier one and are one query with it",) if merged else ()
    return Dataset(queries, Gallery(tuple(paths), Folder(paths)), (path,), notes)
