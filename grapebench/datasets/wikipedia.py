"""The Wikipedia collection of Rasiwasia et al. (ACM MM 2010): sections of articles, one image each."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.images import Folder
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query

COLUMNS = ("text id", "image id", "category")
BODY = re.compile(r"<text\b[^>]*>(.*)</text>", re.DOTALL)
# A semicolon is asked for: of `&lt=1` in a link html.unescape alone would make `<=1`.
ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")


def load(root: Path, split: str) -> Dataset:
    """Read `<split>set_txt_img_cat.list` and `texts/<text id>.xml` under `root`; the text is the query.

    About a third of the official XML files are not well formed; their text is recovered and `notes` says of how
    many. Images are `images/<category>/<image id>.jpg`, `.jpeg` or `.png`, category folders being named as the lines
    of `categories.list`, or `images/<image id>.*` where there are no such folders.
    """
    path = root / f"{split}set_txt_img_cat.list"
    texts, images = formats.Unique("text"), formats.Unique("image")
    folders = _category_folders(root)
    rows: list[tuple[str, str]] = []
    paths: dict[str, Path] = {}
    for line in formats.read_lines(path):
        text, image, category = line.fields("\t", COLUMNS)
        texts.add(text, line)
        images.add(image, line)
        if not category.isdecimal() or int(category) < 1:
            raise line.error(f"the category must be a number from 1, found {category!r}")
        if folders and int(category) > len(folders):
            raise line.error(f"category {category} is not in categories.list, which has {len(folders)}")
        folder = folders[int(category) - 1] if folders else root / "images"
        rows.append((text, image))
        paths[image] = folder / f"{image}.jpg"
    if not rows:
        raise UserError("the file is empty", file=path, line=1)
    _refuse_missing(path, root / "texts", [text for text, _ in rows])
    queries = []
    recovered = 0
    for text, image in rows:
        body, repaired = read_article(root / "texts" / f"{text}.xml")
        recovered += repaired
        queries.append(Query(text, body, (image,)))
    note = f"{recovered} of {len(rows)} XML files are not well formed; their text was recovered"
    return Dataset(tuple(queries), Gallery(tuple(paths), Folder(paths)), (path,), (note,) if recovered else ())


def read_article(path: Path) -> tuple[str, bool]:
    """The text of an article's section, and whether its XML had to be recovered.

    Recovering takes what stands between `<text>` and `</text>` and resolves HTML's entities; a bare `&` stays what
    it is. UserError where there is no such body.
    """
    source = formats.read_text(path)
    try:
        body = ElementTree.fromstring(source).find("text")
    except ElementTree.ParseError as error:
        found = BODY.search(source)
        if found is None:
            what = f"no text can be recovered from the XML ({error})"
            raise UserError(what, file=path, line=error.position[0]) from error
        return ENTITY.sub(lambda entity: html.unescape(entity[0]), found[1]).strip(), True
    if body is None:
        raise UserError("the XML has no <text>", file=path, line=1)
    return "".join(body.itertext()).strip(), False


def _category_folders(root: Path) -> list[Path]:
    """The image folder of each category; empty where the images lie flat."""
    path = root / "categories.list"
    if not path.exists():
        return []
    folders = [root / "images" / line.text.strip() for line in formats.read_lines(path) if line.text.strip()]
    return folders if any(folder.is_dir() for folder in folders) else []


def _refuse_missing(path: Path, folder: Path, texts: list[str]) -> None:
    present = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    missing = [f"{text}.xml" for text in texts if f"{text}.xml" not in present]
    if missing:
        shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        what = f"{len(missing)} of the {len(texts)} texts named in {path} are missing: {shown}"
        raise UserError(what, file=folder)
