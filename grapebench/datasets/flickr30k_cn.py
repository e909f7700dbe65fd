"""Flickr30k-CN: Chinese captions of Flickr30k images, in the two text forms that circulate."""

from __future__ import annotations

import re
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query

HEADER = "image,caption"
# Captions hold ASCII commas and nothing is quoted: the first '.jpg,' is the border.
COMMA = re.compile(r"(?P<image>[^,\s]+?)\.jpg,(?P<caption>.*)", re.DOTALL)
TAB = re.compile(r"(?P<image>[^#\s]+)#zhm#(?P<number>\d+)\t(?P<caption>.*)", re.DOTALL)


def load(root: Path, split: str) -> Dataset:
    """Read `flickr30k_cn_<split>.txt` (or the one file that continues this name) under `root`.

    The form is recognised by the first line: `image,caption` and then `<id>.jpg,<caption>`, or `<id>#zhm#<n>`, a tab
    and the caption. Query ids are `<id>#<n>` in both, n from 1; images are `images/<id>.jpg`, `.jpeg` or `.png`, in the
    order in which they are first named.
    """
    path = _file(root, split)
    lines = list(formats.read_lines(path))
    if not lines:
        raise UserError("the file is empty", file=path, line=1)
    comma = lines[0].text == HEADER
    form, shown = (COMMA, "<id>.jpg,<caption>") if comma else (TAB, "<id>#zhm#<n>, a tab and the caption")
    if not comma and not TAB.fullmatch(lines[0].text):
        raise lines[0].error(f"neither the header {HEADER!r} nor {shown}")
    counts: dict[str, int] = {}
    unique = formats.Unique("caption")
    queries = []
    for line in lines[1:] if comma else lines:
        found = form.fullmatch(line.text)
        if found is None:
            raise line.error(f"expected {shown}")
        image = found["image"]
        counts[image] = counts.get(image, 0) + 1
        number = str(counts[image]) if comma else found["number"]
        unique.add(f"{image}#{number}", line)
        queries.append(Query(f"{image}#{number}", found["caption"], (image,), language="zh"))
    if not queries:
        raise UserError("the file holds no captions", file=path, line=1)
    gallery = Gallery(tuple(counts), Folder({image: root / "images" / f"{image}.jpg" for image in counts}))
    notes = []
    if repeated := len(queries) - len({query.text for query in queries}):
        notes.append(f"{repeated} captions repeat an earlier one word for word")
    return Dataset(tuple(queries), gallery, (path,), tuple(notes))


def _file(root: Path, split: str) -> Path:
    exact = root / f"flickr30k_cn_{split}.txt"
    if exact.exists():
        return exact
    others = sorted(root.glob(f"flickr30k_cn_{split}.*.txt"))
    if len(others) > 1:
        names = " and ".join(path.name for path in others)
        raise UserError(f"several files of the split: {names}", file=root, fix=f"name the one to use {exact.name}")
    return others[0] if others else exact
