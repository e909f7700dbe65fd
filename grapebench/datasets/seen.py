"""What a rewriter was trained on, so that it is not measured on the same images unnoticed.

A trainer records the images of its training splits in a small file beside the rewriter's card (`trained_on`). Ids are
kept as short hashes: a benchmark's ids may not be passed on everywhere, and hashes are all that comparing needs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from grapebench.cards import RewriterCard, Suite, TaskCard
from grapebench.errors import UserError
from grapebench.files import explain_os_error, sha256, write_text
from grapebench.records import Task

if TYPE_CHECKING:
    from grapebench.catalog import Loaded
    from grapebench.rewriters import LoadedRewriter

SCHEMA_VERSION: Literal[1] = 1
DIGITS = 12
"""Hex digits of a hash: with 100,000 images seen and 10,000 searched, two different ones look equal once in 100,000."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Model):
    """One split that was trained on, or that chose the checkpoint."""

    task: str
    suite: Suite
    split: str
    queries: int = Field(ge=0)
    images: int = Field(ge=0)

    def __str__(self) -> str:
        return f"{self.task} {self.split}" + (" (mini)" if self.suite == "mini" else "")


class Seen(_Model):
    """The content of a `trained_on` file."""

    schema_version: Literal[1]
    sources: tuple[Source, ...] = Field(min_length=1)
    images: tuple[Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{DIGITS}}}$")], ...]
    """`image_hash` of every image of the sources, sorted, each once."""

    @cached_property
    def hashes(self) -> frozenset[str]:
        return frozenset(self.images)

    def __str__(self) -> str:
        return ", ".join(map(str, self.sources))


def together(one: Seen | None, other: Seen | None) -> Seen | None:
    """What was seen in either way."""
    if one is None or other is None:
        return one or other
    sources = tuple(dict.fromkeys(one.sources + other.sources))
    images = tuple(sorted({*one.images, *other.images}))
    return Seen(schema_version=SCHEMA_VERSION, sources=sources, images=images)


def image_hash(suite: str, collection: str, image_id: str) -> str:
    """An image by its name: equal in all tasks that search the same collection."""
    return sha256(f"{suite}/{collection}/{image_id}")[:DIGITS]


def whole(tasks: Iterable[Task]) -> Seen:
    """Tasks as something seen: their whole galleries, since whoever searches one may look at every image of it."""
    tasks = list(tasks)
    sources = {
        (task.suite, task.name, task.split): Source(
            task=task.name,
            suite=task.suite,  # type: ignore[arg-type]
            split=task.split,
            queries=len(task.queries),
            images=len(task.gallery),
        )
        for task in tasks
    }
    return Seen(
        schema_version=SCHEMA_VERSION,
        sources=tuple(source for _, source in sorted(sources.items())),
        images=tuple(sorted({digest for task in tasks for digest in _gallery_hashes(task)})),
    )


def record(path: Path, tasks: Iterable[Task]) -> Seen:
    """Write what was trained on, as a reward by rank sees it: `whole` tasks."""
    seen = whole(tasks)
    # One hash a line without indentation: git shows what changed, and no byte is spent on spaces.
    write_text(path, json.dumps(seen.model_dump(mode="json"), sort_keys=True, indent=0) + "\n")
    return seen


def read(path: Path) -> Seen:
    """The file that `record` writes. Raises UserError, naming file and key, where it is not that."""
    try:
        return Seen.model_validate_json(path.read_bytes())
    except OSError as error:
        raise explain_os_error(error, path) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        what = f"{key}: {first['msg']}" if key else first["msg"]
        fix = "it is written by training; take the file that came with the rewriter"
        raise UserError(f"does not say what was trained on: {what}", file=path, fix=fix) from error


def seen_of(loaded: Loaded[RewriterCard]) -> Seen | None:
    """What a rewriter's card says that it was trained on. Raises UserError where the file that it names is missing."""
    if loaded.card.trained_on is None:
        return None
    path = loaded.path.parent / loaded.card.trained_on
    if not path.is_file():
        what = f"'trained_on' names {loaded.card.trained_on!r}, and there is no such file beside the card"
        fix = "put the file there that its training wrote, or leave the key out if it was not trained on any images"
        raise UserError(what, file=loaded.path, fix=fix)
    return read(path)


def overlap(task: Task, rewriter: LoadedRewriter) -> list[str]:
    """The images of a task's gallery that the rewriter was trained on, in the gallery's order."""
    if rewriter.seen is None:
        return []
    hashes = rewriter.seen.hashes
    return [image for image, digest in zip(task.gallery.ids, _gallery_hashes(task), strict=True) if digest in hashes]


def warnings(card: TaskCard, retriever: str | None, suite: str) -> list[str]:
    """One sentence for each published training set that the task's card knows and the retriever was trained on.

    `retriever` is as on the command line, None for the suite's default. Known is what cards say: of a retriever
    without a card nothing, and of the miniature, whose pictures are its own, nothing either.
    """
    from grapebench import catalog

    if suite == "mini" or not card.seen_by:
        return []
    known = [catalog.retriever_card(name) for name in catalog.retriever_names()]
    if retriever is None:
        found = [loaded.card for loaded in known if suite in loaded.card.default_for]
    elif retriever.endswith(".toml"):
        found = [catalog.retriever_card(retriever).card]
    else:
        found = [loaded.card for loaded in known if loaded.card.name == retriever]
    return [
        f"{card.name}: retriever {one.name} was trained on {name}: {card.seen_by[name]}"
        for one in found
        for name in one.trained_on
        if name in card.seen_by
    ]


def _gallery_hashes(task: Task) -> list[str]:
    collection = task.collection or task.name
    return [image_hash(task.suite, collection, image) for image in task.gallery.ids]
