"""What is there of a task's official files, held against what its card promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grapebench.datasets import full_suite, load_dataset
from grapebench.errors import UserError
from grapebench.records import Dataset, ImageSource

if TYPE_CHECKING:
    from grapebench.cards import SplitCard, TaskCard
    from grapebench.datasets.place import Place


@dataclass(frozen=True)
class Count:
    """How many there are and how many there should be."""

    found: int | None
    """None where the files could not be read."""
    expected: int | None
    """None where it is not published."""

    @property
    def differs(self) -> bool:
        return None not in (self.found, self.expected) and self.found != self.expected


@dataclass(frozen=True)
class SplitSurvey:
    """One split as it was found."""

    split: str
    counts: dict[str, Count]
    """Of 'queries', 'captions' and 'images', by what the annotation files name."""
    there: bool = True
    """Whether its annotation files are there, whatever is in them."""
    problem: str | None = None
    """Why nothing could be read, where nothing could."""
    missing: tuple[str, ...] = ()
    """Ids of the images that are named and not there."""
    images_problem: str | None = None
    """Why nobody can say which images are there, where that is so."""
    notes: tuple[str, ...] = ()
    dataset: Dataset | None = field(default=None, repr=False)

    @property
    def differences(self) -> list[str]:
        """Where the card promises other counts, as '4,180 queries instead of 4,181'."""
        counts = self.counts.items()
        return [f"{count.found:,} {noun} instead of {count.expected:,}" for noun, count in counts if count.differs]

    @property
    def readable(self) -> bool:
        """Whether its annotation files can be used, images or not."""
        return self.dataset is not None and not self.differences

    @property
    def lacks_all_images(self) -> bool:
        return self.dataset is not None and 0 < len(self.missing) == len(self.dataset.gallery)

    @property
    def complete(self) -> bool:
        return self.readable and not self.missing and self.images_problem is None


def counts(wanted: SplitCard, dataset: Dataset | None) -> dict[str, Count]:
    """Queries, captions and images of a loaded split (None: one that could not be loaded) against its card."""
    queries = images = captions = None
    if dataset is not None:
        queries, images = len(dataset.queries), len(dataset.gallery)
        captions = queries if dataset.captions is None else dataset.captions
    return {
        "queries": Count(queries, wanted.queries),
        "captions": Count(captions, wanted.queries if wanted.captions is None else wanted.captions),
        "images": Count(images, wanted.images),
    }


def survey(card: TaskCard, place: Place | None) -> list[SplitSurvey]:
    """Every split of the card's full suite: its annotation files are read, images are looked for but not opened.

    Without a place nothing is there.
    """
    found = [_survey(card, place, split, wanted) for split, wanted in full_suite(card).splits.items()]
    whole = [split for split in found if split.readable]
    return [_unless_another(split, whole) for split in found]


def survey_split(card: TaskCard, place: Place, split: str) -> SplitSurvey:
    """One split. Raises UserError where the card does not have it."""
    splits = full_suite(card).splits
    if split not in splits:
        raise UserError(f"{card.name} has no split {split!r} in the suite full", fix=f"there is: {', '.join(splits)}")
    return _survey(card, place, split, splits[split])


def _survey(card: TaskCard, place: Place | None, split: str, wanted: SplitCard) -> SplitSurvey:
    if place is None:
        return SplitSurvey(split, counts(wanted, None), there=False)
    try:
        place.check(images=False)
        dataset = load_dataset(card, split, place, full_suite(card).options)
    except UserError as error:
        # A loader names the file that it looks for; one that is not there is no fault of the others.
        absent = error.file is not None and not error.file.exists()
        return SplitSurvey(split, counts(wanted, None), there=not absent, problem=str(error))
    missing, problem = _missing(dataset.gallery.images, dataset.gallery.ids)
    return SplitSurvey(
        split, counts(wanted, dataset), missing=missing, images_problem=problem, notes=dataset.notes, dataset=dataset
    )


def _unless_another(found: SplitSurvey, whole: Sequence[SplitSurvey]) -> SplitSurvey:
    """A split as it is; not there where a loader that was given one file has read another split's for it."""
    if found.dataset is None or found.readable:
        return found
    for other in whole:
        if other.dataset and found.dataset.queries == other.dataset.queries:
            counts = {noun: Count(None, count.expected) for noun, count in found.counts.items()}
            problem = f"the files are those of the split {other.split}"
            return SplitSurvey(found.split, counts, there=False, problem=problem)
    return found


def _missing(images: ImageSource, ids: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    try:
        return tuple(images.missing(ids)), None
    except UserError as error:
        return (), str(error)
