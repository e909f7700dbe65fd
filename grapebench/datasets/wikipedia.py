"""The Wikipedia collection of Rasiwasia et al. (ACM MM 2010): sections of articles, one image each."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.parsers.expat import ErrorString

from grapebench.datasets import formats
from grapebench.datasets.place import Place
from grapebench.datasets.wikitext import plain, resolve_entities
from grapebench.errors import UserError
from grapebench.records import Dataset, Gallery, Query

COLUMNS = ("text id", "image id", "category")
LIST = "set_txt_img_cat.list"
"""What the name of a split's list ends with."""
GALLERIES = ("split", "all")
HEAD = re.compile(r"<document\b[^\n]*?\bcat=\"(\d+)\"")
BODY = re.compile(r"<text\b[^>]*>(.*)</text>", re.DOTALL)


def load(place: Place, split: str, gallery: str = "split") -> Dataset:
    """Read `<split>set_txt_img_cat.list` and `texts/<text id>.xml`; the text, without wiki markup, is the query.

    About a third of the official XML files are not well formed; their text is recovered. `notes` says of how many, what
    was stripped from how many, and how many articles have sections in another split. Categories are those of the list,
    by name where `categories.list` is there. With `gallery="all"` the images of every list in the folder are searched.
    """
    if gallery not in GALLERIES:
        raise UserError(f"unknown gallery {gallery!r} for Wikipedia", fix=f"there is: {', '.join(GALLERIES)}")
    folder = place.annotations
    path = folder / f"{split}{LIST}"
    others = sorted(file for file in folder.glob(f"*{LIST}") if file != path)
    if gallery == "all" and not others:
        raise UserError(f"the gallery 'all' needs another split's list beside {path.name}", file=folder)
    categories = _lines(folder / "categories.list")
    unique = formats.Unique("text"), formats.Unique("image")
    lists = {file: list(_rows(file, categories, *unique)) for file in (path, *others)}
    rows = lists[path]
    if not rows:
        raise UserError("the file is empty", file=path, line=1)
    _refuse_missing(path, folder / "texts", [row.text for row in rows])
    articles = [read_article(folder / "texts" / f"{row.text}.xml") for row in rows]
    queries = [
        Query(row.text, article.text, (row.image,), category=row.category, source=row.article)
        for row, article in zip(rows, articles, strict=True)
    ]
    # All of them in one order whichever split asks, so that vectors are computed once.
    searched = [row for file in sorted(lists) for row in lists[file]] if gallery == "all" else rows
    images = Gallery(
        tuple(row.image for row in searched),
        place.pictures({row.image: f"images/{row.category}/{row.image}.jpg" for row in searched}),
        tuple(row.category for row in searched),
    )
    notes = [*_repairs(articles), *_mismatches(folder, rows, articles)]
    for file in others:
        shared = len({row.article for row in rows} & {row.article for row in lists[file]})
        notes.append(f"{shared} articles have sections in {file.name} too")
    files = (path, *others) if gallery == "all" else (path,)
    return Dataset(tuple(queries), images, files, tuple(notes))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list."""

    text: str
    image: str
    category: str

    @property
    def article(self) -> str:
        """The id of the article that the section is from."""
        return self.text.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Article:
    """A section as it was read."""

    text: str
    original: int | None
    """Its category among the original 29; None where the file does not say."""
    fault: str = ""
    """What is wrong with the XML first; empty where it is well formed."""
    stripped: tuple[str, ...] = ()
    """The kinds of wiki markup that were in it."""


def read_article(path: Path) -> Article:
    """One XML file. UserError where no text can be got from it."""
    source = formats.read_text(path)
    head = HEAD.search(source)
    text, fault = recover(source, path)
    text, stripped = plain(text)
    return Article(text, int(head[1]) if head else None, fault, stripped)


def recover(source: str, path: Path) -> tuple[str, str]:
    """The body of an XML file with its wiki markup, and the first fault of the XML (empty: it is well formed).

    Of one that is not well formed, what stands between `<text>` and `</text>` is taken and HTML's entities are
    resolved; a bare `&` stays what it is. UserError where there is no such body.
    """
    try:
        body = ElementTree.fromstring(source).find("text")
    except ElementTree.ParseError as error:
        found = BODY.search(source)
        if found is None:
            what = f"no text can be recovered from the XML ({error})"
            raise UserError(what, file=path, line=error.position[0]) from error
        fault = ErrorString(error.code).removeprefix("not well-formed (").removesuffix(")")
        return resolve_entities(found[1]).strip(), fault
    if body is None:
        raise UserError("the XML has no <text>", file=path, line=1)
    return "".join(body.itertext()).strip(), ""


def _rows(path: Path, categories: list[str], texts: formats.Unique, images: formats.Unique) -> Iterable[Row]:
    for line in formats.read_lines(path):
        text, image, number = line.fields("\t", COLUMNS)
        for noun, identifier in (("text", text), ("image", image)):
            if not identifier or ".." in identifier or any(mark in identifier for mark in "/\\\0"):
                raise line.error(f"the {noun} id {identifier!r} cannot be the name of a file")
        texts.add(text, line)
        images.add(image, line)
        if not (number.isascii() and number.isdecimal()) or int(number) < 1:
            raise line.error(f"the category must be a number from 1, found {number!r}")
        if categories and int(number) > len(categories):
            raise line.error(f"category {number} is not in categories.list, which has {len(categories)}")
        yield Row(text, image, categories[int(number) - 1] if categories else f"category {number}")


def _lines(path: Path) -> list[str]:
    """The lines of a file that need not be there."""
    return [line.text.strip() for line in formats.read_lines(path) if line.text.strip()] if path.is_file() else []


def _refuse_missing(path: Path, folder: Path, texts: list[str]) -> None:
    present = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    missing = [f"{text}.xml" for text in texts if f"{text}.xml" not in present]
    if missing:
        shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")
        what = f"{len(missing)} of the {len(texts)} texts named in {path} are missing: {shown}"
        raise UserError(what, file=folder)


def _repairs(articles: list[Article]) -> Iterable[str]:
    faults = Counter(article.fault for article in articles if article.fault)
    if faults:
        kinds = ", ".join(f"{fault} in {count}" for fault, count in faults.most_common())
        share = f"{faults.total()} of {len(articles)} XML files are not well formed"
        yield f"{share} ({kinds}); their text was recovered"
    stripped = Counter(kind for article in articles for kind in article.stripped)
    if stripped:
        kinds = ", ".join(f"{kind} in {count}" for kind, count in stripped.most_common())
        yield f"wiki markup was stripped: {kinds}"


def _mismatches(folder: Path, rows: list[Row], articles: list[Article]) -> Iterable[str]:
    """The ten categories are ten of the original 29, each named after the first word of its original."""
    originals = _lines(folder / "categories_originalids.list")
    names = [re.split(r"\W", original.lower(), maxsplit=1)[0] for original in originals]
    differing = sum(
        article.original is None or names[article.original - 1 : article.original] != [row.category]
        for row, article in zip(rows, articles, strict=True)
    )
    if originals and differing:
        yield f"the XML of {differing} texts names another category than the list"
