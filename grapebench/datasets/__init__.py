"""From a task card to a loaded task: the data of one suite and split, checked against what the card promises."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapebench import catalog, registry
from grapebench.datasets.place import Place
from grapebench.datasets.training import training_set
from grapebench.errors import UserError
from grapebench.records import Dataset, Task

if TYPE_CHECKING:
    from grapebench.cards import SplitCard, SuiteCard, TaskCard

__all__ = [
    "Place",
    "first_ten",
    "full_suite",
    "load_dataset",
    "load_task",
    "loader",
    "remembered_place",
    "training_set",
]


def load_task(
    card: TaskCard,
    suite: str,
    split: str | None = None,
    place: Place | None = None,
    images: bool = True,
    check_counts: bool = True,
    protocol: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Task:
    """Load one suite and split (default: the card's) of a task.

    `place` is where the official files are: for the full suite by default the remembered place of the task, not taken
    for mini, which writes its own. `images=False` asks for annotation files alone. `protocol` is one of those that the
    card allows (default: its own), and chooses which queries are asked. `options` are for the loader, over those of
    the card; where they change something the numbers may differ from the card's.

    Raises UserError for a suite, split or protocol the card does not offer, for numbers that differ from the card's,
    for ids that stand in one file and not in the other, and for images that are not there.
    """
    from grapebench.evaluation.protocols import protocol_named, select_queries

    offered = _suite(card, suite)
    split = split or offered.default_split
    if split not in offered.splits:
        known = ", ".join(offered.splits)
        raise UserError(f"{card.name} has no split {split!r} in the suite {suite}", fix=f"there is: {known}")
    asked = protocol_named(_protocol(card, protocol))
    place = _place(card, suite, split, place, images)
    given = {**offered.options, **(options or {})}
    dataset = load_dataset(card, split, place, given)
    if check_counts and given == offered.options:
        _check_counts(card, split, offered.splits[split], dataset, place)
    if images and (missing := dataset.gallery.images.missing(dataset.gallery.ids)):
        how_many = f"{len(missing):,} of the {len(dataset.gallery):,} images of {card.name} {split}"
        raise UserError(f"{how_many} are missing: {first_ten(missing)}", file=place.images)
    selected = select_queries(asked, dataset.queries)
    unasked = {query.id for query in dataset.queries} - {query.id for query in selected}
    dataset = replace(dataset, queries=selected, unasked=frozenset(unasked))
    return Task(
        name=card.name,
        suite=suite,
        split=split,
        family=card.family,
        protocol=asked.name,
        revision=card.revision,
        dataset=dataset,
        root=place.root,
        collection=card.collection or card.name,
    )


def load_dataset(card: TaskCard, split: str, place: Place, options: Mapping[str, Any]) -> Dataset:
    """What the task's loader reads at the place: all queries, counted by nobody yet. Raises UserError."""
    dataset = _call(loader(card), card, options, place, split)
    _check_ids(dataset, place)
    return dataset


def loader(card: TaskCard) -> Callable[..., Dataset]:
    """The function that a card names under `dataset`: a file's lies beside the card, or in the working directory."""
    base = card.path.parent if card.path else Path()
    if registry.is_file_spec(card.dataset):
        file = Path(card.dataset.rpartition(":")[0]).expanduser()
        base = Path() if file.is_file() and not (base / file).is_file() else base
    found: Callable[..., Dataset] = registry.resolve("datasets", card.dataset, base)
    return found


def full_suite(card: TaskCard) -> SuiteCard:
    """The suite of the official files. Raises UserError where the task has none."""
    return _suite(card, "full")


def remembered_place(card: TaskCard, images: bool = True) -> Place:
    """Where the user has said that the official files of a task are.

    Raises UserError where nothing was said, or where the annotations (or, with `images`, the images) have gone.
    """
    from grapebench.datasets import places

    known = places.remembered(card.name)
    if known is None:
        raise _needed(card, full_suite(card))
    try:
        known.check(images)
    except UserError as error:
        fix = f"bring it back, or say where the files are now: {places.add_command(catalog.spec_of(card))}"
        raise UserError(f"the remembered place of {card.name} has gone: {error}", fix=fix) from error
    return known


def first_ten(names: list[str]) -> str:
    """Up to ten names."""
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _suite(card: TaskCard, suite: str) -> SuiteCard:
    suites = {name: found for name, found in (("mini", card.mini), ("full", card.full)) if found is not None}
    if suite not in suites:
        raise UserError(f"{card.name} has no suite {suite!r}", fix=f"there is: {', '.join(suites) or 'none'}")
    return suites[suite]


def _protocol(card: TaskCard, protocol: str | None) -> str:
    allowed = tuple(dict.fromkeys((card.protocol, *card.protocols)))
    if protocol is not None and protocol not in allowed:
        raise UserError(f"{card.name} has no protocol {protocol!r}", fix=f"there is: {', '.join(allowed)}")
    return protocol or card.protocol


def _place(card: TaskCard, suite: str, split: str, place: Place | None, images: bool) -> Place:
    if suite == "mini":
        if place is not None:
            raise UserError("the suite mini writes its own data", fix="leave --data out, or say --suite full")
        from grapebench import world

        return Place.of(world.prepare(card.name, split))
    if place is None:
        return remembered_place(card, images)
    place.check(images)
    return place


def _needed(card: TaskCard, suite: SuiteCard) -> UserError:
    from grapebench.datasets.places import add_command

    needed = [
        f"{noun}: {text}" for noun, text in (("annotations", suite.annotations), ("images", suite.images)) if text
    ]
    origin = "; ".join([*needed, f"source: {card.source}", f"licence: {card.licence}"])
    what = f"the suite full of {card.name} needs the official files ({origin})"
    return UserError(what, fix=f"fetch them and say where they are: {add_command(catalog.spec_of(card))}")


def _call(
    load: Callable[..., Dataset], card: TaskCard, options: Mapping[str, Any], place: Place, split: str
) -> Dataset:
    try:
        inspect.signature(load).bind(place, split, **options)
    except TypeError as error:
        raise UserError(f"the options of the task card {card.name} do not fit its loader: {error}") from error
    return load(place, split, **options)


def _check_ids(dataset: Dataset, place: Place) -> None:
    """The loaders refuse these with a line; here the same holds for a loader of the user's."""
    gallery, index = dataset.gallery, dataset.gallery.index
    if len(index) < len(gallery):
        raise UserError(f"{len(gallery) - len(index)} image ids occur twice in the gallery", file=place.annotations)
    if gallery.categories and len(gallery.categories) != len(gallery):
        what = f"{len(gallery.categories)} categories for {len(gallery)} images"
        raise UserError(what, file=place.annotations)
    if "" in index or any(not query.id for query in dataset.queries):
        raise UserError("a query or an image has an empty id", file=place.annotations)
    if len({query.id for query in dataset.queries}) < len(dataset.queries):
        raise UserError("a query id occurs twice", file=place.annotations)
    for query in dataset.queries:
        named = (*query.positives, *query.excluded, *query.subset, *((query.reference,) if query.reference else ()))
        if strangers := [image for image in named if image not in index]:
            what = f"query {query.id!r} names images outside the gallery: {first_ten(strangers)}"
            raise UserError(what, file=place.annotations)


def _check_counts(card: TaskCard, split: str, wanted: SplitCard, dataset: Dataset, place: Place) -> None:
    from grapebench.datasets.survey import counts

    for noun, count in counts(wanted, dataset).items():
        if count.differs:
            what = f"{card.name} {split} holds {count.found:,} {noun} where the task card says {count.expected:,}"
            file = dataset.files[0] if dataset.files else place.annotations
            raise UserError(what, file=file, fix="fetch the official files again")
