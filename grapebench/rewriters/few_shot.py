"""Examples in a prompt: training queries, each answered by a caption of the picture that it is about.

They come from `few_shot.jsonl` beside the dataset where there is one. Otherwise they are drawn from the task's training
split, for whose pictures `oracle.jsonl` beside it must hold captions (the miniature writes it). Never from what is
searched: `seen` says which pictures the examples are about, and a run that searches one of them is refused.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grapebench.datasets import formats
from grapebench.datasets.seen import SCHEMA_VERSION, Seen, Source, image_hash
from grapebench.errors import UserError
from grapebench.files import sha256
from grapebench.records import Query
from grapebench.rewriters.engines import Message
from grapebench.rewriters.prompts import Prompt
from grapebench.rewriters.setup import Setup

FILE = "few_shot.jsonl"
LONGEST = 400
"""Characters of an example's query; each example is paid for in every prompt."""


@dataclass(frozen=True)
class Example:
    query: Query
    rewrite: str


@dataclass(frozen=True)
class _Source:
    """Where examples come from."""

    examples: tuple[Example, ...]
    task: str
    split: str
    """The training split, or the name of the file."""
    collection: str


def examples(setup: Setup, prompt: Prompt, count: int) -> tuple[Message, ...]:
    """`count` examples as turns of a chat, user and assistant by turns; the same in every run.

    Of a query longer than LONGEST the beginning and the end are shown. Raises UserError where there are fewer.
    """
    turns: list[Message] = []
    for example in _chosen(setup, count).examples:
        turns.append(prompt.messages(example.query, shortened(example.query.text))[-1])
        turns.append({"role": "assistant", "content": example.rewrite})
    return tuple(turns)


def seen(setup: Setup, count: int) -> Seen:
    """The pictures that the examples are about, reference images included."""
    chosen = _chosen(setup, count)
    images = {image for example in chosen.examples for image in _pictures(example.query)}
    source = Source(
        task=chosen.task,
        suite=setup.suite,
        split=chosen.split,
        queries=len(chosen.examples),
        images=len(images),
    )
    hashes = sorted(image_hash(setup.suite, chosen.collection, image) for image in images)
    return Seen(schema_version=SCHEMA_VERSION, sources=(source,), images=tuple(hashes))


def shortened(text: str) -> str:
    """A text of at most LONGEST characters: of a longer one, whole words of its beginning and of its end."""
    text = text.strip()
    if len(text) <= LONGEST:
        return text
    half = (LONGEST - 3) // 2
    start, end = text[:half], text[-half:]
    # Chinese and Japanese have no spaces: there the cut is where it falls.
    start = start.rpartition(" ")[0] or start
    end = end.partition(" ")[2] or end
    return f"{start.rstrip()} … {end.lstrip()}"


def _chosen(setup: Setup, count: int) -> _Source:
    found = _all(setup.suite, setup.family, setup.task, setup.root)
    if len(found.examples) < count:
        what = f"{count} examples are asked for, and there are {len(found.examples)}"
        raise UserError(what, file=setup.root / FILE, fix="write more, or lower few_shot in the card")
    return dataclasses.replace(found, examples=found.examples[:count])


@functools.lru_cache(maxsize=4)
def _all(suite: str, family: str, task: str, root: Path) -> _Source:
    """All examples there are, in the order they are taken."""
    from grapebench import catalog

    setup = Setup(suite, family, 0, root, task=task)  # type: ignore[arg-type]
    if not task:
        raise UserError("examples belong to a task, and the rewriter was not told which")
    card = catalog.task_card(task).card
    if (root / FILE).is_file():
        return _Source(tuple(_read(root / FILE, setup)), card.name, FILE, card.collection or card.name)
    return _drawn(setup)


def _drawn(setup: Setup) -> _Source:
    """Training queries whose picture has a caption, one a picture, in an order that only their ids decide."""
    from grapebench.rewriters.oracle import FILE as CAPTIONS
    from grapebench.rewriters.oracle import read_captions
    from grapebench.rewriters.training_split import SPLIT, training_split

    if setup.suite == "full" and not (setup.root / CAPTIONS).is_file():
        raise _needed(setup)
    task = training_split(setup, images=False)
    captions = read_captions(task.root / CAPTIONS)
    by_picture: dict[str, Example] = {}
    for query in sorted(task.queries, key=lambda query: sha256(f"few-shot {query.id}")):
        pictures = _pictures(query)
        if query.positives and all(image in captions for image in pictures):
            told = dataclasses.replace(query, reference_caption=captions[query.reference]) if query.reference else query
            by_picture.setdefault(query.positives[0], Example(told, captions[query.positives[0]]))
    return _Source(tuple(by_picture.values()), task.name, SPLIT, task.collection)


def _read(path: Path, setup: Setup) -> Iterator[Example]:
    """The user's own examples, in the order of the file."""
    for number, entry in enumerate(formats.read_json_lines(path)):
        caption = entry.text("caption") if setup.family == "compose" else None
        language = entry.text("language") if "language" in entry.value else "en"
        positives = (entry.identifier("image"),)
        reference = entry.identifier("reference") if "reference" in entry.value else None
        text, rewrite = entry.text("query"), entry.text("rewrite")
        for key, value in (("query", text), ("rewrite", rewrite), ("caption", caption)):
            if value is not None and not value.strip():
                raise entry.error(f"the text under {key!r} is empty")
        query = Query(str(number), text, positives, language, reference, reference_caption=caption)
        yield Example(query, rewrite.strip())


def _pictures(query: Query) -> tuple[str, ...]:
    return (*query.positives[:1], *((query.reference,) if query.reference else ()))


def _needed(setup: Setup) -> UserError:
    keys = '"image": "<id>", "query": "…", "rewrite": "…"'
    keys += ', "caption": "<of the reference image>"' if setup.family == "compose" else ""
    return UserError(
        "no such file; it holds the examples that go into the prompt",
        file=setup.root / FILE,
        fix=f"write one JSON object a line, of training images only: {{{keys}}}",
    )
