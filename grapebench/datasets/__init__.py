"""From a task card to a loaded task: the data of one suite and split, checked against what the card promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from grapebench import registry
from grapebench.errors import UserError
from grapebench.records import Dataset, Task

if TYPE_CHECKING:
    from grapebench.cards import SplitCard, SuiteCard, TaskCard


def load_task(
    card: TaskCard,
    suite: str,
    split: str | None = None,
    data: Path | None = None,
    images: bool = True,
    check_counts: bool = True,
) -> Task:
    """Load one suite and split (default: the card's) of a task.

    `data` is the folder with the official files: needed for the full suite, not taken for mini, which writes its own.
    `images=False` asks for annotation files alone. Raises UserError for a suite or split the card does not
    offer, for numbers that differ from the card's, for ids that stand in one file and not in the other, and for images
    that are not there.
    """
    offered = _suite(card, suite)
    split = split or offered.default_split
    if split not in offered.splits:
        known = ", ".join(offered.splits)
        raise UserError(f"{card.name} has no split {split!r} in the suite {suite}", fix=f"there is: {known}")
    root = _root(card, suite, split, data)
    load = registry.resolve("datasets", card.dataset)
    dataset = _call(load, card, offered, root, split)
    _check_ids(dataset, root)
    if check_counts:
        _check_counts(card, split, offered.splits[split], dataset, root)
    if images and (missing := dataset.gallery.images.missing(dataset.gallery.ids)):
        how_many = f"{len(missing):,} of the {len(dataset.gallery):,} images of {card.name} {split}"
        raise UserError(f"{how_many} are missing: {_first(missing)}", file=root)
    return Task(card.name, suite, split, card.family, card.protocol, card.revision, dataset, root)


def _suite(card: TaskCard, suite: str) -> SuiteCard:
    suites = {name: found for name, found in (("mini", card.mini), ("full", card.full)) if found is not None}
    if suite not in suites:
        raise UserError(f"{card.name} has no suite {suite!r}", fix=f"there is: {', '.join(suites) or 'none'}")
    return suites[suite]


def _root(card: TaskCard, suite: str, split: str, data: Path | None) -> Path:
    if suite == "mini":
        if data is not None:
            raise UserError("the suite mini writes its own data", fix="leave --data out, or say --suite full")
        from grapebench import world

        return world.prepare(card.name, split)
    if data is None:
        origin = f"source: {card.source}; licence: {card.licence}"
        what = f"the suite full of {card.name} needs the official files ({origin})"
        raise UserError(what, fix="fetch them and say where they are with --data DIR")
    root = data.expanduser()
    if not root.is_dir():
        what = "the data folder is not a folder" if root.exists() else "the data folder does not exist"
        raise UserError(what, file=root, fix=f"--data is to name the folder with the official files of {card.name}")
    return root


def _call(load: Callable[..., Dataset], card: TaskCard, offered: SuiteCard, root: Path, split: str) -> Dataset:
    try:
        inspect.signature(load).bind(root, split, **offered.options)
    except TypeError as error:
        raise UserError(f"the options of the task card {card.name} do not fit its loader: {error}") from error
    return load(root, split, **offered.options)


def _check_ids(dataset: Dataset, root: Path) -> None:
    """The loaders refuse these with a line; here the same holds for a loader of the user's."""
    index = dataset.gallery.index
    if len(index) < len(dataset.gallery):
        raise UserError(f"{len(dataset.gallery) - len(index)} image ids occur twice in the gallery", file=root)
    if len({query.id for query in dataset.queries}) < len(dataset.queries):
        raise UserError("a query id occurs twice", file=root)
    for query in dataset.queries:
        named = (*query.positives, *query.excluded, *query.subset, *((query.reference,) if query.reference else ()))
        if strangers := [image for image in named if image not in index]:
            raise UserError(f"query {query.id!r} names images outside the gallery: {_first(strangers)}", file=root)


def _check_counts(card: TaskCard, split: str, wanted: SplitCard, dataset: Dataset, root: Path) -> None:
    pairs = (("queries", len(dataset.queries), wanted.queries), ("images", len(dataset.gallery), wanted.images))
    for noun, found, promised in pairs:
        if promised is not None and found != promised:
            what = f"{card.name} {split} holds {found:,} {noun} where the task card says {promised:,}"
            file = dataset.files[0] if dataset.files else root
            raise UserError(what, file=file, fix="fetch the official files again")


def _first(names: list[str]) -> str:
    """Up to ten names."""
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
