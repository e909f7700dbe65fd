"""Flickr30k-CN: Chinese captions of Flickr30k images, in every form that circulates.

File names say little of what is inside: a form is recognised by the first line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from grapebench.datasets import chinese_clip, formats
from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.records import Dataset, Gallery, Query

SPLITS = ("train", "val", "test")
HEADER = "image,caption"
FOLDERS = (".", "TextData", "*/TextData")
"""Where the files are under the annotations' folder; the original archive has a folder for each split."""
SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl")
LONGEST = 1 << 16
"""Bytes of a first line: a longer one is no caption."""


@dataclass(frozen=True)
class Form:
    """One way of writing captions."""

    shown: str
    line: re.Pattern[str]


JSON_LINES = Form('{"text_id": …, "text": …, "image_ids": […]}', re.compile(r"\s*\{.*", re.DOTALL))
# Captions hold ASCII commas and nothing is quoted: the first '.jpg,' is the border.
COMMA = Form("<id>.jpg,<caption>", re.compile(r"(?P<image>[^,\s]+?)\.jpg,(?P<caption>.*)", re.DOTALL))
NUMBERED = Form(
    "<id>#zhm#<n>, a tab or spaces, and the caption",
    re.compile(r"(?P<image>[^#\s]+?)(?:\.jpg)?#zh\w*#(?P<number>\d+)(?P<border>\t| +)(?P<caption>.*)", re.DOTALL),
)
# Chinese-CLIP's lines of images look the same but for a picture in base64.
TAB = Form(
    "<id>, a tab and the caption",
    re.compile(r"(?P<image>[^#\s]+?)(?:\.jpg)?\t(?![0-9A-Za-z+/=]{100})(?P<caption>.*)", re.DOTALL),
)
FORMS = (JSON_LINES, COMMA, NUMBERED, TAB)

TAGGED = re.compile(r"(?P<word>.*):[A-Za-z]+\d*", re.DOTALL)
"""A word with its part of speech: `警车:n`, `，:wd`."""
LATIN = re.compile(r"[0-9A-Za-zÀ-ɏ]")


@dataclass(frozen=True, slots=True)
class Row:
    line: formats.Line
    image: str
    caption: str
    in_words: bool
    """Whether spaces stand between the words, because spaces already stood before the first."""


def load(place: Place, split: str) -> Dataset:
    """Read the split's file: `place.annotations`, or the one in that folder whose name holds the split's. (A file that
    is named itself and holds no split's name is the test split's.)

    Query ids are `<id>#<n>`, the n-th caption of the image in the order of the file, from 1: of the forms one numbers
    its captions from 0, others not at all, and in this way their ids agree. The gallery is the original archive's
    `ImageSets` list, or the split's own store of images by id, or else the images that the captions name, in that
    order. In Chinese-CLIP's form ids are its own, and the gallery is as `chinese_clip.read` says.
    """
    path, form = _file(place, split)
    if form is JSON_LINES:
        return chinese_clip.read(path, place, "zh")
    rows = _rows(path, form)
    captions, how = _plain(rows)
    listing = _image_set(path)
    store = None if listing else chinese_clip.own_store(split, path.parent, place)
    if listing:
        images = _listed(listing, rows)
    elif store:
        images = _stored(store, rows)
        place = replace(place, images=store)
    else:
        images = list(dict.fromkeys(row.image for row in rows))
    counts: dict[str, int] = {}
    queries = []
    for row, caption in zip(rows, captions, strict=True):
        counts[row.image] = counts.get(row.image, 0) + 1
        queries.append(Query(f"{row.image}#{counts[row.image]}", caption, (row.image,), language="zh"))
    notes = [f"the form read is {form.shown}{how}", *formats.caption_notes(captions)]
    if store:
        notes.append(f"the gallery is that of {chinese_clip.shown(store)}")
    gallery = Gallery(tuple(images), place.pictures({image: f"{image}.jpg" for image in images}))
    return Dataset(tuple(queries), gallery, (path, listing) if listing else (path,), tuple(notes))


def _file(place: Place, split: str) -> tuple[Path, Form]:
    """The one file of the split and its form."""
    if place.annotations.is_file():
        named = [name for name in SPLITS if name in place.annotations.name.lower()] or ["test"]
        found = [place.annotations] if split in named else []
    else:
        inside = {path for folder in FOLDERS for path in place.annotations.glob(f"{folder}/*{split}*")}
        found = sorted(path for path in inside if path.suffix in SUFFIXES and path.is_file())
    forms = {path: form for path in found if (form := _form(path)) is not None}
    if len(forms) > 1:
        names = " and ".join(str(path.relative_to(place.annotations)) for path in forms)
        fix = "name the one to read, in place of the folder"
        raise UserError(f"several files of the split {split}: {names}", file=place.annotations, fix=fix)
    if not found:
        wanted = place.root / f"flickr30k_cn_{split}.txt"
        raise UserError("the file is missing", file=wanted, fix=f"any name that holds {split!r} will do")
    if not forms:
        raise _unknown(found[0])
    return next(iter(forms.items()))


def _form(path: Path) -> Form | None:
    line = _first_line(path)
    if line == HEADER:
        return COMMA
    return next((form for form in FORMS if line is not None and form.line.fullmatch(line)), None)


def _first_line(path: Path) -> str | None:
    """None where it is too long for a caption: of a file of images only so much is read."""
    try:
        with path.open("rb") as file:
            line = file.readline(LONGEST)
    except OSError as error:
        raise explain_os_error(error, path) from error
    if len(line) == LONGEST:
        return None
    return line.decode("utf-8-sig", errors="replace").removesuffix("\n").removesuffix("\r")


def _unknown(path: Path) -> UserError:
    if path.stat().st_size == 0:
        return UserError("the file is empty", file=path, line=1)
    if not {"\ufffd", "\0"}.isdisjoint(_first_line(path) or ""):
        formats.read_text(path)  # says what is not UTF-8, and where
    forms = "; ".join(form.shown for form in FORMS)
    return UserError(f"the first line is in none of the forms of captions that are known: {forms}", file=path, line=1)


def _rows(path: Path, form: Form) -> list[Row]:
    unique = formats.Unique("caption")
    rows = []
    for line in formats.read_lines(path):
        if line.line == 1 and line.text == HEADER:
            continue
        found = form.line.fullmatch(line.text)
        if found is None:
            raise line.error(f"expected {form.shown}")
        parts = found.groupdict()
        if "number" in parts:
            unique.add(f"{parts['image']}#{parts['number']}", line)
        rows.append(Row(line, parts["image"], parts["caption"], parts.get("border", "\t") != "\t"))
    if not rows:
        raise UserError("the file holds no captions", file=path, line=1)
    return rows


def _plain(rows: list[Row]) -> tuple[list[str], str]:
    """The captions as they are written in Chinese, and what had to be done for it.

    Words are tagged if most captions are made of tagged words alone: `8:am` in a few is none.
    """
    said = [words for row in rows if (words := _words(row.caption))]
    tagged = 2 * sum(all(map(TAGGED.fullmatch, words)) for words in said) > len(said)
    if not tagged and not any(row.in_words for row in rows):
        return [row.caption for row in rows], ""
    captions = []
    for row in rows:
        words = _words(row.caption) if tagged or row.in_words else [row.caption]
        if tagged:
            words = [found["word"] if (found := TAGGED.fullmatch(word)) else word for word in words]
        captions.append(_joined(words))
    return captions, "; the words' tags were removed" if tagged else "; the spaces between words were removed"


def _words(caption: str) -> list[str]:
    """White space of other kinds is part of a word."""
    return [word for word in re.split(r"[ \t]+", caption) if word]


def _joined(words: list[str]) -> str:
    """As Chinese is written: without spaces, except between two Latin words."""
    text = ""
    for word in words:
        apart = text and word and LATIN.match(text[-1]) and LATIN.match(word[0])
        text += f" {word}" if apart else word
    return text


def _image_set(path: Path) -> Path | None:
    """The original archive's own list of a split's images, beside its folder of texts."""
    name = path.name.removeprefix("seg.").removesuffix(".caption.txt")
    listing = path.parent.parent / "ImageSets" / f"{name}.txt"
    return listing if path.parent.name == "TextData" and listing.is_file() else None


def _listed(listing: Path, rows: list[Row]) -> list[str]:
    unique = formats.Unique("image")
    images = []
    for line in formats.read_lines(listing):
        if image := line.text.strip().removesuffix(".jpg"):
            unique.add(image, line)
            images.append(image)
    _refuse_strangers(rows, images, listing)
    return images


def _stored(store: Path, rows: list[Row]) -> list[str]:
    images = list(chinese_clip.image_ids(store))
    _refuse_strangers(rows, images, store)
    return images


def _refuse_strangers(rows: list[Row], images: list[str], source: Path) -> None:
    known = set(images)
    for row in rows:
        if row.image not in known:
            raise row.line.error(f"the image {row.image!r} is not in {source}")
