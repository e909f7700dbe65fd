"""What every export begins and ends with: a whole result with its task, its rankings, files written together."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grapebench import catalog, files
from grapebench.datasets import Place, load_task
from grapebench.errors import UserError
from grapebench.evaluation.trec import read_run
from grapebench.leaderboard import store
from grapebench.leaderboard.results import Result
from grapebench.names import read_back
from grapebench.paths import results_dir
from grapebench.records import Task

if TYPE_CHECKING:
    from grapebench.cards import TaskCard


@dataclass(frozen=True)
class Source:
    """A result, where it lies, and the task it was made on."""

    result: Result
    folder: Path
    task: Task


def open_source(result: str, dataset: str | None, data: Path | None) -> Source:
    """The result that `result` names (a folder, an id or its beginning), with its task's annotations.

    `data` is the folder of the official files; without it the remembered place is taken. Raises UserError where the
    result is not whole or was changed, and where the annotation files are not those that it was made with. With
    `dataset` also where its task is not read by that loader, and where it does not answer every query of the split.
    """
    folder = store.resolve(result, [results_dir(), store.published_dir()])
    found = store.load(folder, hashes=True)
    place = None if data is None else Place.of(data.expanduser())
    card = catalog.task_card(found.task).card if dataset is None else _card(found, dataset)
    task = load_task(card, found.suite, found.split, place, images=False, protocol=found.protocol)
    if dataset is not None and found.queries != len(task.queries):
        what = f"result {found.id} answers {found.queries:,} queries of the {len(task.queries):,} of {task.split}"
        raise UserError(what, file=folder, fix="make it without --limit")
    if found.data.dataset != task.dataset.fingerprint:
        what = f"the annotation files are not those that result {found.id} was made with"
        raise UserError(what, file=task.root, fix="give the folder it was made from with --data DIR")
    return Source(found, folder, task)


def _card(result: Result, dataset: str) -> TaskCard:
    cards = [catalog.task_card(name).card for name in catalog.task_names()]
    fitting = {card.name: card for card in cards if card.dataset == dataset}
    if result.task not in fitting:
        what = f"result {result.id} is one of the task {result.task}"
        raise UserError(what, fix=f"this export takes results of {', '.join(fitting)}")
    return fitting[result.task]


def ranked(source: Source, name: str, asked: Sequence[str], known: Collection[str], depth: int) -> dict[str, list[str]]:
    """The best `depth` (or fewer) ids for each of `asked`, best first, from the run file `name` of a result.

    Raises UserError where the result lacks the file, and where the file leaves out one of `asked`, has another, or
    names an id that is not `known`.
    """
    found = scored(source, name, asked, known)
    return {query: images[:depth] for query, (images, _) in found.items()}


def scored(
    source: Source, name: str, asked: Sequence[str], known: Collection[str]
) -> dict[str, tuple[list[str], np.ndarray]]:
    """The same, but all ids of each, with their scores `(ids,)`; equal ones as they stand in the file."""
    path = source.folder / name
    if name not in source.result.files:
        raise UserError(f"the result holds no {name}", file=source.folder, fix="make it again with its command")
    if not path.is_file():
        raise UserError("this published result lacks the file", file=path, fix="its command makes the whole result")
    run = read_run(path)
    wanted = set(asked)
    run = replace(run, queries=_ids(run.queries, wanted), images=_ids(run.images, known))
    answered = set(run.queries)
    for what, names in (
        ("no answer for", [one for one in asked if one not in answered]),
        ("an answer for the unknown", [one for one in run.queries if one not in wanted]),
        ("the unknown answer", [one for one in run.images if one not in known]),
    ):
        if names:
            raise UserError(f"the run has {what} {_some(names)}", file=path)
    best_first = np.lexsort((-run.score, run.query))
    ends = np.cumsum(np.bincount(run.query))
    found = {
        query: ([run.images[image] for image in run.image[rows].tolist()], run.score[rows])
        for query, rows in zip(run.queries, np.split(best_first, ends[:-1]), strict=True)
    }
    return {one: found[one] for one in asked}


def _ids(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    return tuple(one if (one := read_back(name)) in known else name for name in names)


def _some(names: Sequence[str]) -> str:
    """Up to three of them, and how many there are."""
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def write(contents: Mapping[str, Mapping[str, Any]], out: Path, most: int | None = None) -> list[Path]:
    """Write JSON files into the folder `out`, all or none; UserError where one would take more than `most` bytes."""
    texts = {name: json.dumps(value, ensure_ascii=False, separators=(",", ":")) for name, value in contents.items()}
    for name, text in texts.items():
        if most is not None and (size := len(text.encode())) > most:
            raise UserError(f"{name} would take {size:,} bytes, more than the {most:,} that are accepted")
    paths = [out / name for name in texts]
    with contextlib.ExitStack() as stack:
        for path in paths:
            stack.enter_context(files.atomic_file(path)).write_text(texts[path.name], encoding="utf-8")
    return paths
