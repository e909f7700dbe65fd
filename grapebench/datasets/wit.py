"""WIT (Wikipedia-based Image Text): rows of a page, a section and a picture, as the 17-column TSV files have them.

The files are taken to be what the csv module writes with tabs: a field that holds a tab, a line break or a quotation
mark stands in quotation marks, and its own are doubled (the authors recommend that module). There are no pictures in
WIT, only their addresses; they are the user's to fetch.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from grapebench.datasets.place import Place
from grapebench.errors import UserError
from grapebench.files import explain_os_error
from grapebench.records import Dataset, Gallery, Query
from grapebench.text import without_mark

COLUMNS = (
    "language", "page_url", "image_url", "page_title", "section_title", "hierarchical_section_title",
    "caption_reference_description", "caption_attribution_description", "caption_alt_text_description", "mime_type",
    "original_height", "original_width", "is_main_image", "attribution_passes_lang_id", "page_changed_recently",
    "context_page_description", "context_section_description",
)  # fmt: skip
CONTEXT = ("context_page_description", "context_section_description")
LONGEST = 16 << 20
"""Bytes in a line, and characters in a field, beyond which a file is not believed."""
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.tsv$")


def load(
    place: Place,
    split: str,
    languages: Sequence[str] = ("en",),
    columns: Sequence[str] = CONTEXT,
    main_only: bool = True,
) -> Dataset:
    """Read `wit_v1.<split>.all-*.tsv`, each plain or as `.tsv.gz`, or the one file that the place names.

    A query is the text of a row's `columns`, equal ones only once. Rows in other `languages` are left out, and with
    `main_only` those whose picture is not their page's main one. The id of an image is the hex MD5 of its `image_url`,
    that of a query `<image>#<language>#<n>`, n from 1. An image that several rows have is in the gallery once, and one
    whose rows have no text is in it too.
    """
    if strange := [column for column in columns if column not in COLUMNS]:
        raise UserError(f"WIT has no column {strange[0]!r}", fix=f"there is: {', '.join(COLUMNS)}")
    files = _files(place.annotations, split)
    chosen, spoken = frozenset(languages), dict[str, None]()
    numbers: Counter[tuple[str, str]] = Counter()
    texts: Counter[str] = Counter()
    queries: list[Query] = []
    aside = blank = 0
    for row in _rows(files):
        language = row.values["language"]
        spoken[language] = None
        if language not in chosen:
            continue
        if main_only and not row.flag("is_main_image"):
            aside += 1
            continue
        text = "\n".join(dict.fromkeys(filter(None, (row.values[column].strip() for column in columns))))
        image = row.image
        texts[image] += bool(text)
        if not text:
            blank += 1
            continue
        numbers[image, language] += 1
        name = f"{image}#{language}#{numbers[image, language]}"
        queries.append(Query(name, text, (image,), language=language, source=row.values["page_url"]))
    if strangers := [language for language in languages if language not in spoken]:
        there = ", ".join(spoken) or "none"
        raise UserError(f"no rows in the language {strangers[0]!r}", file=files[0], fix=f"there is: {there}")
    if not queries:
        raise UserError("no row is left to ask", file=files[0])
    notes = [f"{aside} rows of other than main images are left out"] if aside else []
    if blank:
        notes.append(f"{blank} rows without text ask for nothing; their images are searched")
    if shared := sum(count > 1 for count in texts.values()):
        notes.append(f"{shared} images have several texts")
    gallery = Gallery(tuple(texts), place.pictures({image: f"{image}.jpg" for image in texts}))
    return Dataset(tuple(queries), gallery, tuple(files), tuple(notes))


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and the line on which it begins."""

    path: Path
    line: int
    values: dict[str, str]

    @property
    def image(self) -> str:
        address = self.values["image_url"]
        if not address:
            raise UserError("the image_url is empty", file=self.path, line=self.line)
        return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()

    def flag(self, column: str) -> bool:
        value = self.values[column].lower()
        if value not in ("true", "false"):
            what = f"{column} must be true or false, found {self.values[column]!r}"
            raise UserError(what, file=self.path, line=self.line)
        return value == "true"


def _files(annotations: Path, split: str) -> list[Path]:
    """The shards of a split in their order. UserError where there are none, or where some of them are missing."""
    if annotations.is_file():
        return [annotations]
    # Sorted backwards: of a shard that lies unpacked beside its archive the plain file is taken.
    paths = sorted(annotations.glob(f"wit_v1.{split}.all-*"), reverse=True)
    found = {path.name.removesuffix(".gz"): path for path in paths if path.name.endswith((".tsv", ".tsv.gz"))}
    if not found:
        raise UserError("there is no such file", file=annotations / f"wit_v1.{split}.all-*.tsv.gz")
    shards = {name: shard for name in found if (shard := SHARD.search(name))}
    for total in {shard[2] for shard in shards.values()}:
        there = {int(shard[1]) for shard in shards.values() if shard[2] == total}
        if lacking := [number for number in range(int(total)) if number not in there]:
            missing = f"wit_v1.{split}.all-{lacking[0]:05}-of-{total}.tsv.gz"
            what = f"{len(lacking)} of the {int(total)} files of the split are missing, such as this one"
            fix = "fetch them, or name the one file to read"
            raise UserError(what, file=annotations / missing, fix=fix)
    # The sample that is given out beside the shards is a part of them.
    return [found[name] for name in sorted(shards or found)]


def _rows(files: Iterable[Path]) -> Iterator[Row]:
    limit = csv.field_size_limit(LONGEST)
    try:
        for path in files:
            yield from _rows_of(path)
    finally:
        csv.field_size_limit(limit)


def _rows_of(path: Path) -> Iterator[Row]:
    reader = csv.reader(_lines(path), delimiter="\t", strict=True)
    line = 1
    try:
        for values in reader:
            if line == 1 and tuple(values) != COLUMNS:
                raise UserError("the first line does not name the 17 columns of WIT", file=path, line=1)
            if not values:
                continue
            if len(values) != len(COLUMNS):
                raise UserError(f"expected {len(COLUMNS)} columns, found {len(values)}", file=path, line=line)
            if line > 1:
                yield Row(path, line, dict(zip(COLUMNS, values, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        what = f"the quoting is broken ({error})"
        raise UserError(what, file=path, line=line, fix="fetch the file again") from error
    if line == 1:
        raise UserError("the file is empty", file=path, line=1)


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file that may be gzipped, whatever its name; read as they are asked for."""
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with gzip.open(raw) if zipped else nullcontext(raw) as file:
                for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), start=1):
                    if len(line) > LONGEST:
                        raise UserError(f"a line of more than {LONGEST >> 20} MiB", file=path, line=number)
                    yield (without_mark(line, path) if number == 1 else line).decode()
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte 0x{error.object[error.start]:02x})"
        raise UserError(what, file=path, line=number, fix="convert it, for example with: iconv -t UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        what = f"the gzip file is broken or broken off ({error})"
        raise UserError(what, file=path, line=number + 1, fix="fetch the file again") from error
    except OSError as error:
        raise explain_os_error(error, path) from error
