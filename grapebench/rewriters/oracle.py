"""The ceiling: the caption of the right answer, in the retriever's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from grapebench.errors import UserError
from grapebench.files import sha256_file, sha256_json
from grapebench.records import Query, Rewrite
from grapebench.rewriters.setup import Setup
from grapebench.text import lines_of, read_text

FILE = "oracle.jsonl"
"""Beside the dataset: the caption of every image."""


class Oracle:
    """Answers with the caption of each query's first positive, read from `oracle.jsonl` beside the dataset."""

    language_model = False
    sampled = False
    stored = False

    def __init__(self, setup: Setup) -> None:
        self.path = setup.root / FILE
        if not self.path.is_file():
            raise UserError(
                "no such file; it holds the caption of every image",
                file=self.path,
                fix='write one JSON object a line: {"image": "<id>", "caption": "<text>"}',
            )

    @property
    def fingerprint(self) -> str:
        return sha256_json(["oracle", sha256_file(self.path)])

    def rewrite(self, queries: Sequence[Query]) -> Iterator[Rewrite]:
        """One rewrite for each query. Raises UserError where an answer is unknown or has no caption."""
        captions = read_captions(self.path)
        for query in queries:
            if not query.positives:
                raise UserError(f"query {query.id!r} has no labelled answer", fix="choose a split with public labels")
            target = query.positives[0]
            if target not in captions:
                raise UserError(f"no caption for image {target!r}, the answer of query {query.id!r}", file=self.path)
            yield Rewrite(query.id, texts=(captions[target],))


def read_captions(path: Path) -> dict[str, str]:
    """The caption of each image in a file of JSON lines. Raises UserError where a line is not a record."""
    captions: dict[str, str] = {}
    for number, line in enumerate(lines_of(read_text(path)), 1):
        try:
            record = json.loads(line)
            image, caption = record["image"], record["caption"]
            if not (isinstance(image, str) and isinstance(caption, str) and caption.strip()):
                raise TypeError
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise UserError(
                'not a record of the form {"image": "<id>", "caption": "<text>"}', file=path, line=number
            ) from error
        captions[image] = caption
    return captions
